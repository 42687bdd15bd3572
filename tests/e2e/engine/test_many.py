"""Many leases that end together, with a homeserver that answers and with one that hangs."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.harness.secrets_engine import MOUNT
from tests.harness.waiting import wait_until
from tests.servers.relay import Silence
from tests.servers.synapse import SERVER_NAME

from .test_leases import logging_out

if TYPE_CHECKING:
    from tests.harness.secrets_engine import EngineSite

AT_ONCE = 32
"""How many requests the engine has under way to one homeserver at most."""

many = pytest.mark.parametrize("count", [150, pytest.param(10_000, marks=pytest.mark.nightly)])


def leases_of(site: EngineSite, count: int) -> str:
    """Read so many leases of one user, and return the localpart."""
    bot = site.new_bot()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: site.engine.lease(bot), range(count)))
    assert len(site.devices(bot)) == count
    return bot


@many
def test_all_end_while_the_homeserver_answers(engine_site: EngineSite, count: int) -> None:
    bot = leases_of(engine_site, count)
    engine_site.openbao.cli("lease", "revoke", "-prefix", f"{MOUNT}/user/{bot}/{SERVER_NAME}")
    wait_until("all sessions have ended", lambda: engine_site.devices(bot) == [])
    wait_until("nothing is pending", lambda: engine_site.engine.names("pending/") == [])
    prefix = f"user/{bot}/{SERVER_NAME}/"
    wait_until("no lease is left", lambda: engine_site.engine.leases(prefix) == [])


@many
def test_none_waits_long_for_a_homeserver_that_hangs(engine_site: EngineSite, count: int) -> None:
    engine = engine_site.engine
    # A lease keeps the time that was configured when it was read.
    engine_site.configure(request_timeout="3s")
    bot, other = leases_of(engine_site, count), engine_site.new_bot()
    engine_site.relay.meddle = lambda request: Silence() if logging_out(request) else None
    seen = len(engine_site.relay.requests)
    began = time.monotonic()
    engine.openbao.cli("lease", "revoke", "-prefix", f"{MOUNT}/user/{bot}/{SERVER_NAME}")
    # Others are served meanwhile, once the first of these have found out that it hangs.
    path = f"user/{other}/{SERVER_NAME}"
    wait_until("others are served", lambda: engine.ask("GET", path).status_code == 200)
    wait_until("no lease is left", lambda: engine.leases(f"user/{bot}/{SERVER_NAME}/") == [])
    took = time.monotonic() - began
    asked = sum(map(logging_out, list(engine_site.relay.requests)[seen:]))
    # Each ten seconds some find out again that it hangs; all others go straight to the list.
    assert asked <= AT_ONCE * (took / 10 + 2)
    assert len(engine.names("pending/")) >= count - asked
    engine_site.relay.meddle = None
    wait_until("all sessions have ended", lambda: engine_site.devices(bot) == [])
    wait_until("nothing is pending", lambda: engine.names("pending/") == [])
