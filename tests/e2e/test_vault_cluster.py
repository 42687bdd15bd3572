"""Three OpenBao nodes that lose some of themselves while users log in."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.accounts import PATH_ROOT, READ_USERS, Account
from tests.harness.confidential import Confidential
from tests.harness.core import Core
from tests.harness.deployment import Deployment
from tests.harness.waiting import wait_until
from tests.servers import RaftCluster, Relay
from tests.servers.port import ReservedPort
from tests.servers.raft import STANDBY
from tests.servers.relay import Reply, Silence

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from tests.harness.stack import Stack
    from tests.servers.raft import RaftNode

pytestmark = pytest.mark.long

HEALTH = "/v1/sys/health"


CLIENTS = 4
"""How many log in at a homeserver at once, in a stream each about once a second."""


@pytest.fixture(scope="module")
def nodes(file_stack: Stack) -> RaftCluster:
    return file_stack.start_raft()


@pytest.fixture
def cluster(nodes: RaftCluster) -> RaftCluster:
    """Return the cluster with all its nodes at work."""
    nodes.recover()
    return nodes


@pytest.fixture(scope="module")
def token(nodes: RaftCluster, confidential: Confidential) -> str:
    return confidential.add(nodes.active().create_token("read-users", READ_USERS))


def approle(nodes: RaftCluster, confidential: Confidential, ttl: str) -> dict[str, Any]:
    """Return the settings of a role whose tokens live this long."""
    role = f"auth/approle/role/homeserver-{ttl}"
    nodes.cli("write", role, "token_policies=read-users", f"token_ttl={ttl}")
    role_id = nodes.cli("read", "-field=role_id", f"{role}/role-id")
    secret_id = nodes.cli("write", "-f", "-field=secret_id", f"{role}/secret-id")
    return {
        "method": "approle",
        "role_id": role_id,
        "secret_id": confidential.add(secret_id.strip()),
    }


@pytest.fixture(scope="module")
def long_lived(file_stack: Stack, nodes: RaftCluster, token: str) -> Deployment:
    """Return a homeserver with a token that nothing needs to be done about."""
    return file_stack.start_homeserver(
        "long_lived", openbao=nodes.nodes[0], vault_url=nodes.urls, vault_token=token
    )


@pytest.fixture(scope="module")
def short_lived(file_stack: Stack, nodes: RaftCluster, confidential: Confidential) -> Deployment:
    """Return a homeserver that needs the active node every few seconds."""
    return file_stack.start_homeserver(
        "short_lived",
        openbao=nodes.nodes[0],
        vault_url=nodes.urls,
        vault_auth=approle(nodes, confidential, "4s"),
        login_timeout="1m",
    )


def new_accounts(deployment: Deployment, cluster: RaftCluster, count: int) -> list[Account]:
    """Return accounts whose secrets all nodes have, as the homeserver found when asked once."""
    deployment.openbao = cluster.active()
    accounts = [deployment.new_account() for _ in range(count)]
    cluster.settle()
    for account in accounts:
        log_in(deployment, account)
    return accounts


def log_in(deployment: Deployment, account: Account) -> None:
    response = deployment.synapse.login(account.user_id, account.token_hash, 300)
    assert response.status_code == 200, response.text


@contextmanager
def stream(deployment: Deployment, accounts: list[Account]) -> Iterator[None]:
    """Log in with each account about once a second meanwhile; fail if one login is lost."""
    ended = threading.Event()

    def log_in_until_the_end(account: Account) -> list[requests.Response]:
        responses = []
        while not ended.wait(1):
            responses.append(deployment.synapse.login(account.user_id, account.token_hash, 300))
        return responses

    with ThreadPoolExecutor(len(accounts)) as pool:
        streams: list[Future[list[requests.Response]]] = []
        try:
            streams = [pool.submit(log_in_until_the_end, account) for account in accounts]
            yield
        finally:
            ended.set()
        responses = [response for logins in streams for response in logins.result()]
    lost = [response.text for response in responses if response.status_code != 200]
    assert lost == [], f"{len(lost)} of {len(responses)} at {deployment.name}"
    assert len(responses) >= len(accounts)


def test_no_login_is_lost_when_the_active_node_is_killed(
    long_lived: Deployment, short_lived: Deployment, cluster: RaftCluster
) -> None:
    accounts = new_accounts(long_lived, cluster, CLIENTS)
    other_accounts = new_accounts(short_lived, cluster, CLIENTS)
    with stream(long_lived, accounts), stream(short_lived, other_accounts):
        time.sleep(3)
        killed = cluster.active()
        killed.kill()
        assert cluster.active() is not killed
        time.sleep(4)
        killed.start_again()
        wait_until("the node is back", lambda: killed.health() == STANDBY)
        time.sleep(3)


def test_without_any_active_node_a_standby_lets_users_in(
    long_lived: Deployment, cluster: RaftCluster
) -> None:
    accounts = new_accounts(long_lived, cluster, CLIENTS)
    leave_one_standby(cluster)
    for account in accounts * 2:
        log_in(long_lived, account)


def leave_one_standby(cluster: RaftCluster) -> RaftNode:
    """Kill all nodes but one, which cannot be elected without them."""
    last, other = cluster.standbys()
    other.kill()
    cluster.active().kill()
    return last


def test_logins_that_need_a_token_wait_for_the_election(
    short_lived: Deployment, cluster: RaftCluster
) -> None:
    accounts = new_accounts(short_lived, cluster, CLIENTS)
    last = leave_one_standby(cluster)
    time.sleep(5)  # Now the token is dead.
    with ThreadPoolExecutor(len(accounts)) as pool:
        logins = [pool.submit(log_in, short_lived, account) for account in accounts]
        time.sleep(1)
        assert not any(login.done() for login in logins)
        next(node for node in cluster.nodes if node is not last).start_again()
        for login in logins:
            login.result()


def test_no_login_is_lost_when_the_active_node_is_sealed(
    long_lived: Deployment, cluster: RaftCluster
) -> None:
    accounts = new_accounts(long_lived, cluster, CLIENTS)
    with stream(long_lived, accounts):
        cluster.active().seal()
        cluster.active()
        time.sleep(3)


def test_what_was_written_just_before_is_read_also_after_an_election(
    long_lived: Deployment, cluster: RaftCluster
) -> None:
    (account,) = new_accounts(long_lived, cluster, 1)
    cluster.active().kill()
    long_lived.openbao = cluster.active()
    wait_until("the homeserver is back at an active node", lambda: is_fresh(long_lived, account))
    for number in range(30):
        rotated = long_lived.put_secret(account.user_id, f"the secret of round {number}")
        log_in(long_lived, rotated)


def is_fresh(deployment: Deployment, account: Account) -> bool:
    """Tell whether ten secrets in turn can be used as soon as they are written."""
    secrets = [f"the secret of try {time.monotonic_ns()} {number}" for number in range(10)]
    rotations = (deployment.put_secret(account.user_id, secret) for secret in secrets)
    return all(
        deployment.synapse.login(rotated.user_id, rotated.token_hash).status_code == 200
        for rotated in rotations
    )


@pytest.fixture
def relays(cluster: RaftCluster) -> Iterator[dict[str, Relay]]:
    """Return what stands in front of each node."""
    with ExitStack() as stack:
        yield {node.node_id: stack.enter_context(Relay(node.url)) for node in cluster.nodes}


def core_with(
    urls: list[str],
    token: str,
    cluster: RaftCluster,
    confidential: Confidential,
    **settings: Any,
) -> Core:
    config = {"vault_url": urls, "vault_token": token, "vault_path_root": PATH_ROOT, **settings}
    return Core(cluster.active(), confidential, config)


def test_the_active_node_is_asked_whatever_its_place_in_the_list(
    cluster: RaftCluster, relays: dict[str, Relay], token: str, confidential: Confidential
) -> None:
    active = cluster.active().node_id
    urls = [relay.url for relay in relays.values()]
    for addresses in (urls, urls[::-1], urls[1:] + urls[:1]):
        with core_with(addresses, token, cluster, confidential) as core:
            accounts = [core.new_account() for _ in range(10)]
            for account in accounts:
                assert core.log_in(account.user_id, account.token_hash).code == "ok"
                readers = [name for name, relay in relays.items() if relay.reads(account.user_id)]
                assert readers == [active]


def test_a_new_active_node_is_found(
    cluster: RaftCluster, relays: dict[str, Relay], token: str, confidential: Confidential
) -> None:
    urls = [relay.url for relay in relays.values()]
    with core_with(urls, token, cluster, confidential) as core:
        account = core.new_account()
        cluster.settle()
        assert core.log_in(account.user_id, account.token_hash).code == "ok"
        cluster.active().kill()
        # A standby answers, which is asked while nobody is active.
        assert core.log_in(account.user_id, account.token_hash).code == "ok"
        active = relays[cluster.active().node_id]

        def is_asked() -> bool:
            before = active.reads(account.user_id)
            assert core.log_in(account.user_id, account.token_hash).code == "ok"
            return active.reads(account.user_id) > before

        wait_until("the new active node is asked", is_asked)
        assert all(is_asked() for _ in range(20))


def test_reads_do_not_wait_for_a_node_that_hangs(
    cluster: RaftCluster, token: str, confidential: Confidential
) -> None:
    timeouts = {"request_timeout": "1h", "login_timeout": "2h"}
    with core_with(cluster.urls, token, cluster, confidential, **timeouts) as core:
        accounts = [core.new_account() for _ in range(10)]
        cluster.settle()
        assert core.log_in(accounts[0].user_id, accounts[0].token_hash).code == "ok"
        hanging = cluster.active()
        with suspended(hanging):
            begun = [core.begin(account.user_id, account.token_hash) for account in accounts]
            assert [core.outcome(number).code for number in begun] == ["ok"] * 10
            assert core.log_in(accounts[0].user_id, accounts[0].token_hash).code == "ok"


@contextmanager
def suspended(node: RaftNode) -> Iterator[None]:
    """Let a node take connections and answer nothing."""
    os.kill(node.pid, signal.SIGSTOP)
    try:
        wait_until("OpenBao stands still", lambda: node.is_suspended)
        yield
    finally:
        os.kill(node.pid, signal.SIGCONT)


def test_a_node_that_is_slow_but_well_is_asked_together_with_another(
    cluster: RaftCluster, relays: dict[str, Relay], token: str, confidential: Confidential
) -> None:
    slow = relays[cluster.active().node_id]
    others = [relay for relay in relays.values() if relay is not slow]
    urls = [relay.url for relay in relays.values()]
    timeouts = {"request_timeout": "1h", "login_timeout": "2h"}
    with core_with(urls, token, cluster, confidential, **timeouts) as core:
        account = core.new_account()
        cluster.settle()
        assert core.log_in(account.user_id, account.token_hash).code == "ok"
        slow.meddle = lambda request: Reply(200) if request.path == HEALTH else None
        slow.hold()
        try:
            outcome = core.log_in(account.user_id, account.token_hash)
            assert (outcome.code, "another node" in outcome.reason) == ("ok", True)
            assert sum(relay.reads(account.user_id) for relay in others) == 1
            # Who is not let in by that waits for the active node.
            number = core.begin(account.user_id, "0" * 64)

            def is_checked_again_and_again() -> bool:
                asked = [request for request in slow.requests if request.path == HEALTH]
                return not core.is_decided(number) and len(asked) > before + 3

            before = len([request for request in slow.requests if request.path == HEALTH])
            wait_until("it has told its health a few times", is_checked_again_and_again)
        finally:
            slow.release()
        assert core.outcome(number).code == "bad_hash"


def test_without_the_word_of_an_active_node_that_hangs_nobody_is_refused(
    cluster: RaftCluster, relays: dict[str, Relay], token: str, confidential: Confidential
) -> None:
    slow = relays[cluster.active().node_id]
    urls = [relay.url for relay in relays.values()]
    limits = {"request_timeout": "2s", "login_timeout": "5s", "cache": {"stale_if_error": "1h"}}
    with core_with(urls, token, cluster, confidential, **limits) as core:
        account = core.new_account()
        cluster.settle()
        assert core.log_in(account.user_id, account.token_hash).code == "ok"
        replaced = core.put_secret(account.user_id, "another secret, by which that one is replaced")
        cluster.settle()
        slow.meddle = lambda request: None if request.path == HEALTH else Silence()
        # Neither is the replaced secret good for an outage.
        assert core.log_in(account.user_id, account.token_hash).code == "timeout"
        assert core.log_in(account.user_id, replaced.token_hash).code == "ok"


def test_addresses_are_tried_in_turn_while_no_node_tells_its_health(
    cluster: RaftCluster, relays: dict[str, Relay], token: str, confidential: Confidential
) -> None:
    hanging, well, _ = relays.values()
    timeouts = {"request_timeout": "1500ms", "login_timeout": "1h"}
    with core_with([hanging.url, well.url], token, cluster, confidential, **timeouts) as core:
        account = core.new_account()
        cluster.settle()
        hanging.meddle = lambda _: Silence()
        well.meddle = lambda request: Silence() if request.path == HEALTH else None
        assert core.log_in(account.user_id, account.token_hash).code == "ok"
        assert well.reads(account.user_id)


def test_addresses_where_nothing_listens_are_passed_over(
    cluster: RaftCluster, token: str, confidential: Confidential
) -> None:
    port = ReservedPort()
    urls = [f"http://127.0.0.1:{port}", *cluster.urls]
    with core_with(urls, token, cluster, confidential) as core:
        account = core.new_account()
        for _ in range(10):
            assert core.log_in(account.user_id, account.token_hash).code == "ok"
