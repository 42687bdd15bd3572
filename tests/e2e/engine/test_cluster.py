"""The engine on three nodes: standbys open and end nothing, and an active node may die."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import requests

from tests.harness.secrets_engine import Engine, EngineSite, Leased, leased
from tests.harness.waiting import wait_until
from tests.servers import RaftCluster, Relay
from tests.servers.plugin import register
from tests.servers.synapse import SERVER_NAME

from .conftest import deploy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.harness.confidential import Confidential
    from tests.harness.stack import Stack
    from tests.servers.raft import RaftNode

pytestmark = pytest.mark.long


class ClusterEngine(Engine):
    """The engine at whichever node is active, or at one that is named."""

    def __init__(self, cluster: RaftCluster, confidential: Confidential) -> None:
        super().__init__(cluster.active(), confidential)
        self.cluster = cluster

    def at(self, node: RaftNode) -> Engine:
        """Return the engine as one node shows it."""
        return Engine(node, self.confidential)

    def follow(self) -> None:
        """Ask the node that is active now."""
        self.openbao = self.cluster.active()
        self.url = self.openbao.url


@pytest.fixture(scope="module")
def cluster(file_stack: Stack, plugins: Path) -> RaftCluster:
    return file_stack.start_raft("engine-raft", plugins=plugins)


@pytest.fixture(scope="module")
def site(
    file_stack: Stack, cluster: RaftCluster, confidential: Confidential
) -> Iterator[EngineSite]:
    active = cluster.active()
    register(active)
    Engine.enable(active, confidential)
    with Relay("http://127.0.0.1:1") as relay:
        engine = ClusterEngine(cluster, confidential)
        yield deploy(file_stack, engine, relay, vault_url=cluster.urls)


def test_a_standby_hands_out_leases_that_end(site: EngineSite, cluster: RaftCluster) -> None:
    bot = site.new_bot()
    cluster.settle()
    leases: list[Leased] = []
    for node in cluster.standbys():
        answer = ask(node, f"{site.engine.mount}/user/{bot}/{SERVER_NAME}", site)
        assert answer.status_code == 200, answer.text
        leases.append(leased(answer))
        static = ask(node, f"{site.engine.mount}/static/{bot}/{SERVER_NAME}", site)
        assert static.status_code == 200, static.text
    assert len(leases) == 2
    assert all(site.is_alive(lease) for lease in leases)
    for lease in leases:
        site.engine.revoke(lease.lease_id)
    assert not any(site.is_alive(lease) for lease in leases)
    site.engine.delete(f"static/{bot}/{SERVER_NAME}")
    assert site.devices(bot) == []


def test_no_standby_ends_what_the_active_node_has_under_way(
    site: EngineSite, cluster: RaftCluster
) -> None:
    bot = site.new_bot()
    site.configure(request_timeout="60s")
    released = threading.Event()
    try:
        released = site.hold_logins()
        seen = len(site.relay.requests)
        answers: list[requests.Response] = []
        reading = threading.Thread(
            target=lambda: answers.append(site.engine.ask("GET", f"user/{bot}/{SERVER_NAME}"))
        )
        reading.start()
        wait_until("the session is open", lambda: site.devices(bot))
        # A standby's clock ticks once a minute. Reads there start its plugin, if it has none.
        for node in cluster.standbys():
            ask(node, f"{site.engine.mount}/config/homeserver/{SERVER_NAME}", site)
        time.sleep(3)
        paths = [request.path for request in list(site.relay.requests)[seen:]]
        assert paths.count("/_matrix/client/v3/logout") == 0
    finally:
        released.set()
        site.relay.edit = None
    reading.join(60)
    assert answers[0].status_code == 200, answers[0].text
    lease = leased(answers[0])
    assert site.is_alive(lease)
    site.engine.revoke(lease.lease_id)
    site.configure(request_timeout="5s")


def test_a_killed_active_node_leaves_no_session_without_a_lease(
    site: EngineSite, cluster: RaftCluster
) -> None:
    engine = site.engine
    assert isinstance(engine, ClusterEngine)
    bot = site.new_bot(ttl="10s", max_ttl="20s")
    stop = threading.Event()
    read: list[Leased] = []

    def keep_reading() -> None:
        while not stop.is_set():
            for node in cluster.nodes:
                with suppress(requests.RequestException, KeyError, TypeError):
                    answer = ask(node, f"{engine.mount}/user/{bot}/{SERVER_NAME}", site)
                    if answer.status_code == 200:
                        read.append(leased(answer))
            time.sleep(0.05)

    readers = [threading.Thread(target=keep_reading) for _ in range(4)]
    for reader in readers:
        reader.start()
    wait_until("reads work", lambda: len(read) > 8)
    cluster.active().kill()
    before = len(read)
    wait_until("reads work again", lambda: len(read) > before + 8)
    stop.set()
    for reader in readers:
        reader.join(60)
    cluster.recover()
    engine.follow()
    # Every lease ends, and every session that has none at its longest life or before.
    wait_until("all sessions have ended", lambda: site.devices(bot) == [])
    assert engine.names("pending/") == []


def ask(node: RaftNode, path: str, site: EngineSite) -> requests.Response:
    """Read a path at a node, which answers itself or has the active one answer."""
    answer = requests.get(
        f"{node.url}/v1/{path}",
        headers={"X-Vault-Token": node.root_token},
        timeout=60,
        allow_redirects=True,
    )
    with suppress(ValueError, AttributeError):
        token = (answer.json().get("data") or {}).get("access_token")
        if isinstance(token, str):
            site.confidential.add(token)
    return answer
