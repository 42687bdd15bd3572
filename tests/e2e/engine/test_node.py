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
from tests.servers.relay import Silence
from tests.servers.synapse import SERVER_NAME

from .conftest import deploy
from .test_leftovers import is_login

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.harness.confidential import Confidential
    from tests.harness.stack import Stack
    from tests.servers.relay import Request

pytestmark = pytest.mark.long

OF_EACH = 6
"""How many reads of `user/`, of `static/` and tries of a homeserver are under way."""

REQUEST_TIMEOUT = 3.0
"""How long the engine waits for the homeserver, in seconds."""

SPARE = 2.5
"""What the node may take beside that, in seconds, on a busy machine. A second wait is longer."""


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
    own_site.relay.edit = own_site.relay.meddle = None


class Hanging:
    """Calls whose homeserver does not answer: its logins are done, and it tells nobody."""

    def __init__(self, site: EngineSite) -> None:
        self.site = site
        self.reader = site.new_bot()
        self.stayers = [site.new_bot() for _ in range(OF_EACH)]
        self.released = site.hold_logins()
        site.relay.meddle = self._meddle
        seen = len(site.relay.requests)
        calls: list[tuple[str, str, dict[str, str] | None]] = [
            *[("GET", f"user/{self.reader}/{SERVER_NAME}", None)] * OF_EACH,
            *[("GET", f"static/{bot}/{SERVER_NAME}", None) for bot in self.stayers],
            *[
                ("POST", f"config/homeserver/try-{number}.example.org", {"cs_url": site.relay.url})
                for number in range(OF_EACH)
            ],
        ]
        self._threads = [
            threading.Thread(target=self._call, args=call, daemon=True) for call in calls
        ]
        for thread in self._threads:
            thread.start()

        def are_under_way() -> bool:
            requests = list(site.relay.requests)[seen:]
            tried = sum(request.path.endswith("/versions") for request in requests)
            return sum(map(is_login, requests)) >= 2 * OF_EACH and tried >= OF_EACH

        wait_until("all calls are under way", are_under_way)

    def _call(self, method: str, path: str, fields: dict[str, str] | None) -> None:
        if fields is not None:
            fields = {**fields, "request_timeout": f"{REQUEST_TIMEOUT:.0f}s"}
        with suppress(requests.RequestException):
            self.site.engine.ask(method, path, fields)

    def _meddle(self, request: Request) -> Silence | None:
        return Silence() if request.path.endswith("/versions") else None

    def finish(self) -> None:
        """Let the homeserver answer; no session may be left that nobody can end."""
        self.released.set()
        self.site.relay.meddle = None
        for thread in self._threads:
            thread.join(60)

        def nothing_is_left() -> bool:
            leases = self.site.engine.leases(f"user/{self.reader}/{SERVER_NAME}/")
            return len(self.site.devices(self.reader)) == len(leases)

        wait_until("no session is left", nothing_is_left)
        for bot in self.stayers:
            # A session that stays may have been opened, and is there to be deleted then.
            self.site.engine.delete(f"static/{bot}/{SERVER_NAME}")
        wait_until("none of them has one", lambda: not any(map(self.site.devices, self.stayers)))


def seconds_until(answers: Callable[[], bool]) -> float:
    """Return how long it takes until something answers."""
    began = time.monotonic()
    wait_until("the node answers", answers)
    return time.monotonic() - began


def test_a_reload_of_the_plugin_waits_no_longer_than_a_request(site: EngineSite) -> None:
    calls = Hanging(site)
    began = time.monotonic()
    reload = threading.Thread(
        target=lambda: site.engine.api("PUT", "sys/plugins/reload/backend", {"plugin": PLUGIN})
    )
    reload.start()
    took = seconds_until(lambda: site.engine.api("GET", "secret/config").status_code == 200)
    reload.join(60)
    assert took < REQUEST_TIMEOUT + SPARE
    assert time.monotonic() - began < REQUEST_TIMEOUT + SPARE + 1
    assert SERVER_NAME in site.engine.names("config/homeserver/")
    calls.finish()


def test_a_step_down_blocks_nobody_for_longer_than_a_request(site: EngineSite) -> None:
    calls = Hanging(site)
    began = time.monotonic()
    site.engine.api("PUT", "sys/step-down")
    wait_until("the node steps down", lambda: not is_active(site.openbao))
    assert time.monotonic() - began < REQUEST_TIMEOUT + SPARE
    # It stays out of elections for a while, and then elects itself again.
    wait_until("the node is active again", lambda: is_active(site.openbao))
    calls.finish()


def test_a_seal_waits_no_longer_than_a_request(site: EngineSite) -> None:
    calls = Hanging(site)
    began = time.monotonic()
    assert site.engine.api("PUT", "sys/seal").status_code == 204
    assert time.monotonic() - began < REQUEST_TIMEOUT + SPARE
    assert isinstance(site.openbao, DurableOpenBao)
    site.openbao.unseal()
    calls.finish()


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
