"""A node whose engine waits for a homeserver answers others, and leaves nothing behind."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import requests

from tests.harness.secrets_engine import Engine, EngineSite
from tests.harness.waiting import wait_until
from tests.servers import DurableOpenBao, Relay
from tests.servers.plugin import PLUGIN, register
from tests.servers.synapse import SERVER_NAME

from .conftest import deploy
from .test_leftovers import is_login

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.harness.confidential import Confidential
    from tests.harness.stack import Stack

pytestmark = pytest.mark.long

READERS = 16

REQUEST_TIMEOUT = 3.0
"""How long the engine waits for the homeserver, in seconds."""

SPARE = 1.0
"""What the node may take beside that, in seconds."""


@pytest.fixture(scope="module")
def own_site(file_stack: Stack, plugins: Path, confidential: Confidential) -> Iterator[EngineSite]:
    openbao = file_stack.start_openbao("node", durable=True, plugins=plugins, log_level="trace")
    register(openbao)
    engine = Engine.enable(openbao, confidential)
    with Relay("http://127.0.0.1:1") as relay:
        site = deploy(file_stack, engine, relay)
        site.configure(request_timeout=f"{REQUEST_TIMEOUT:.0f}s")
        yield site


@pytest.fixture
def site(own_site: EngineSite) -> Iterator[EngineSite]:
    yield own_site
    own_site.relay.edit = None


def read_while_it_hangs(
    site: EngineSite, bot: str
) -> tuple[threading.Event, list[threading.Thread]]:
    """Begin reads whose logins the homeserver has done and does not answer."""
    released = site.hold_logins()
    seen = len(site.relay.requests)

    def read() -> None:
        with suppress(requests.RequestException):
            site.engine.ask("GET", f"user/{bot}/{SERVER_NAME}")

    threads = [threading.Thread(target=read, daemon=True) for _ in range(READERS)]
    for thread in threads:
        thread.start()
    wait_until(
        "all logins are under way",
        lambda: sum(map(is_login, list(site.relay.requests)[seen:])) >= READERS,
    )
    return released, threads


def seconds_until(answers: Callable[[], bool]) -> float:
    """Return how long it takes until something answers."""
    began = time.monotonic()
    wait_until("the node answers", answers)
    return time.monotonic() - began


def finish(
    site: EngineSite, bot: str, released: threading.Event, threads: list[threading.Thread]
) -> None:
    """Let the homeserver answer; no session may be left that has no lease."""
    released.set()
    for thread in threads:
        thread.join(60)

    def nothing_is_left() -> bool:
        leases = site.engine.leases(f"user/{bot}/{SERVER_NAME}/")
        return len(site.devices(bot)) == len(leases)

    wait_until("no session is left", nothing_is_left)


def test_a_reload_of_the_plugin_waits_no_longer_than_a_request(site: EngineSite) -> None:
    bot = site.new_bot()
    released, threads = read_while_it_hangs(site, bot)
    began = time.monotonic()
    reload = threading.Thread(
        target=lambda: site.openbao.cli("plugin", "reload", f"-plugin={PLUGIN}")
    )
    reload.start()
    took = seconds_until(lambda: site.engine.api("GET", "secret/config").status_code == 200)
    reload.join(60)
    assert took < REQUEST_TIMEOUT + SPARE
    assert time.monotonic() - began < REQUEST_TIMEOUT + SPARE + 1
    assert site.engine.names("config/homeserver/") == [SERVER_NAME]
    finish(site, bot, released, threads)


def test_a_step_down_blocks_nobody_for_longer_than_a_request(site: EngineSite) -> None:
    bot = site.new_bot()
    released, threads = read_while_it_hangs(site, bot)
    began = time.monotonic()
    site.openbao.cli("operator", "step-down")
    wait_until("the node steps down", lambda: not is_active(site.openbao))
    assert time.monotonic() - began < REQUEST_TIMEOUT + SPARE
    # It stays out of elections for a while, and then elects itself again.
    wait_until("the node is active again", lambda: is_active(site.openbao))
    finish(site, bot, released, threads)


def test_a_seal_waits_no_longer_than_a_request(site: EngineSite) -> None:
    bot = site.new_bot()
    released, threads = read_while_it_hangs(site, bot)
    began = time.monotonic()
    site.openbao.cli("operator", "seal")
    assert time.monotonic() - began < REQUEST_TIMEOUT + SPARE
    assert isinstance(site.openbao, DurableOpenBao)
    site.openbao.unseal()
    finish(site, bot, released, threads)


def is_active(openbao: object) -> bool:
    try:
        return requests.get(f"{openbao.url}/v1/sys/health", timeout=5).status_code == 200  # type: ignore[attr-defined]
    except requests.RequestException:
        return False


def test_leases_and_pending_sessions_outlive_a_restart(site: EngineSite) -> None:
    engine = site.engine
    kept, late = engine.lease(site.new_bot()), engine.lease(site.new_bot())
    site.relay.close()
    engine.revoke(late.lease_id)
    assert len(engine.names("pending/")) == 1
    site.openbao.stop()
    site.openbao.start()
    assert len(engine.names("pending/")) == 1
    site.relay.listen()
    wait_until("the session has ended", lambda: not site.is_alive(late))
    wait_until("nothing is pending", lambda: engine.names("pending/") == [])
    assert site.is_alive(kept)
    engine.revoke(kept.lease_id)
    assert not site.is_alive(kept)
