"""Many leases that end together, with a homeserver that answers and with one that hangs."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.harness.secrets_engine import MOUNT
from tests.harness.waiting import wait_until
from tests.servers.relay import Silence
from tests.servers.synapse import SERVER_NAME

from .test_leases import logging_out
from .test_leftovers import plugin_processes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.secrets_engine import EngineSite

pytestmark = pytest.mark.long

AT_ONCE = 32
"""How many requests the engine has under way to one homeserver at most."""

LONGEST = 1800.0
"""Seconds that ten thousand sessions may take to end, on a busy machine."""

LARGEST = 64
"""Megabytes that the plugin may have needed at most, built without optimization."""

many = pytest.mark.parametrize("count", [150, pytest.param(10_000, marks=pytest.mark.nightly)])


def leases_of(site: EngineSite, count: int) -> str:
    """Read so many leases of one user, and return the localpart."""
    bot = site.new_bot()
    # A busy machine may take long for so many.
    site.configure(request_timeout="30s")
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: site.engine.lease(bot), range(count)))
    site.configure(request_timeout="5s")
    assert len(site.devices(bot)) == count
    return bot


def check_memory(site: EngineSite, what: str) -> None:
    """Look at the most memory that the plugin has had, and print it."""
    for process in plugin_processes(site.openbao):
        status = Path(f"/proc/{process}/status").read_text()
        now, most = (
            int(re.findall(rf"^{name}:\s*(\d+) kB$", status, re.MULTILINE)[0]) / 1024
            for name in ("VmRSS", "VmHWM")
        )
        print(f"{what}: the plugin has {now:.1f} MB, and had {most:.1f} MB at most")  # noqa: T201
        assert most < LARGEST


def wait_for_all(what: str, condition: Callable[[], object]) -> None:
    """Wait as long as it takes to end ten thousand sessions; the questions take long as well."""
    wait_until(what, condition, longest=LONGEST)


@many
def test_all_end_while_the_homeserver_answers(engine_site: EngineSite, count: int) -> None:
    bot = leases_of(engine_site, count)
    began = time.monotonic()
    engine_site.openbao.cli("lease", "revoke", "-prefix", f"{MOUNT}/user/{bot}/{SERVER_NAME}")
    wait_for_all("all sessions have ended", lambda: engine_site.devices(bot) == [])
    print(f"{count} sessions ended in {time.monotonic() - began:.0f} s")  # noqa: T201
    wait_for_all("nothing is pending", lambda: engine_site.engine.names("pending/") == [])
    prefix = f"user/{bot}/{SERVER_NAME}/"
    wait_for_all("no lease is left", lambda: engine_site.engine.leases(prefix) == [])
    check_memory(engine_site, f"after {count} sessions that ended together")


@many
def test_none_waits_long_for_a_homeserver_that_hangs(engine_site: EngineSite, count: int) -> None:
    engine = engine_site.engine
    bot, other = leases_of(engine_site, count), engine_site.new_bot()
    engine_site.configure(request_timeout="3s")
    engine_site.relay.meddle = lambda request: Silence() if logging_out(request) else None
    seen = len(engine_site.relay.requests)
    began = time.monotonic()
    engine.openbao.cli("lease", "revoke", "-prefix", f"{MOUNT}/user/{bot}/{SERVER_NAME}")
    # Others are served meanwhile, once the first of these have found out that it hangs.
    path = f"user/{other}/{SERVER_NAME}"
    wait_for_all("others are served", lambda: engine.ask("GET", path).status_code == 200)
    prefix = f"user/{bot}/{SERVER_NAME}/"
    wait_for_all("no lease is left", lambda: engine.leases(prefix) == [])
    took = time.monotonic() - began
    print(f"{count} leases ended in {took:.0f} s while the homeserver hung")  # noqa: T201
    asked = sum(map(logging_out, list(engine_site.relay.requests)[seen:]))
    # Each ten seconds some find out again that it hangs; all others go straight to the list.
    assert asked <= AT_ONCE * (took / 10 + 2)
    assert len(engine.names("pending/")) >= count - asked
    engine_site.relay.meddle = None
    began = time.monotonic()
    wait_for_all("all sessions have ended", lambda: engine_site.devices(bot) == [])
    print(f"{count} sessions ended in {time.monotonic() - began:.0f} s once it answered")  # noqa: T201
    wait_for_all("nothing is pending", lambda: engine.names("pending/") == [])
    check_memory(engine_site, f"after {count} sessions whose homeserver hung")
