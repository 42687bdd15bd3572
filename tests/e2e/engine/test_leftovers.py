"""Nothing is left behind: sessions whose lease nobody has are ended."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from tests.harness.waiting import wait_until
from tests.servers import Relay
from tests.servers.plugin import PLUGIN
from tests.servers.relay import Reset, Silence
from tests.servers.synapse import SERVER_NAME

from .conftest import deploy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.secrets_engine import Engine, EngineSite
    from tests.harness.stack import Stack
    from tests.servers import OpenBao
    from tests.servers.relay import Request

pytestmark = pytest.mark.long


def is_login(request: Request) -> bool:
    """Tell whether a request opens a session."""
    return request.method == "POST" and request.path == "/_matrix/client/v3/login"


def plugin_processes(openbao: OpenBao) -> list[int]:
    """Return the ids of the plugin's processes that a server has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            name, parent = stat.read_text().partition("(")[2].rpartition(")")[::2]
            # The kernel keeps fifteen letters of a name.
            if name == PLUGIN[:15] and int(parent.split()[1]) == openbao.pid:
                found.append(int(stat.parent.name))
    return found


@pytest.fixture(scope="module")
def own_site(file_stack: Stack, start_engine: Callable[..., Engine]) -> Iterator[EngineSite]:
    """Return a site whose plugin may be killed."""
    engine = start_engine(file_stack, "killed")
    with Relay("http://127.0.0.1:1") as relay:
        yield deploy(file_stack, engine, relay)


@pytest.fixture
def site(own_site: EngineSite) -> Iterator[EngineSite]:
    yield own_site
    own_site.relay.meddle = own_site.relay.edit = None
    own_site.relay.release()


@pytest.mark.parametrize("answered", [False, True], ids=["before the answer", "after the login"])
def test_a_plugin_that_is_killed_during_a_login_leaves_no_session(
    site: EngineSite, answered: bool
) -> None:
    engine, bot = site.engine, site.new_bot()
    released = site.hold_logins()
    if not answered:
        site.relay.meddle = lambda request: Silence() if is_login(request) else None
    seen = len(site.relay.requests)

    def read() -> None:
        with suppress(requests.RequestException):
            engine.ask("GET", f"user/{bot}/{SERVER_NAME}")

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    wait_until("a login is under way", lambda: any(map(is_login, site.relay.requests[seen:])))
    if answered:
        wait_until("the session is open", lambda: site.devices(bot))
    for process in plugin_processes(site.openbao):
        os.kill(process, signal.SIGKILL)
    site.relay.meddle = None
    released.set()
    reading.join(60)
    # The server repeats the request once, whose lease is known. Everything else goes.
    leases = [name for name in engine.leases() if f"/{bot}/" in name]
    wait_until("no more sessions than leases", lambda: len(site.devices(bot)) <= len(leases))
    for lease_id in leases:
        engine.revoke(lease_id)
    assert site.devices(bot) == []


def test_a_killed_plugin_is_started_again_and_ends_what_it_opened_before(site: EngineSite) -> None:
    engine, bot = site.engine, site.new_bot()
    lease = engine.lease(bot)
    for process in plugin_processes(site.openbao):
        os.kill(process, signal.SIGKILL)
    wait_until(
        "the mount answers",
        lambda: engine.ask("GET", f"config/homeserver/{SERVER_NAME}").status_code == 200,
    )
    assert site.is_alive(lease)
    engine.revoke(lease.lease_id)
    assert not site.is_alive(lease)
    assert engine.names("pending/") == []


def test_a_client_that_hangs_up_leaves_no_session(site: EngineSite) -> None:
    engine, bot = site.engine, site.new_bot()
    released = site.hold_logins()
    with pytest.raises(requests.RequestException):
        engine.ask("GET", f"user/{bot}/{SERVER_NAME}", timeout=1)
    wait_until("the session is open", lambda: site.devices(bot))
    released.set()
    wait_until("the session has ended", lambda: site.devices(bot) == [])
    assert [name for name in engine.leases() if f"/{bot}/" in name] == []


def test_a_login_whose_answer_is_lost_leaves_no_session(site: EngineSite) -> None:
    engine, bot = site.engine, site.new_bot()
    lost: list[bool] = []

    def lose(reply: object) -> object:
        body = getattr(reply, "body", b"")
        if isinstance(body, bytes) and b"access_token" in body and not lost:
            lost.append(True)
            return Reset()
        return reply

    site.relay.edit = lose  # type: ignore[assignment]
    answer = engine.ask("GET", f"user/{bot}/{SERVER_NAME}")
    leases = [name for name in engine.leases() if f"/{bot}/" in name]
    assert (answer.status_code == 200) is (len(leases) == 1)
    wait_until("no more sessions than leases", lambda: len(site.devices(bot)) == len(leases))


def test_the_plugin_ends_with_its_host_and_leaves_no_socket(
    stack: Stack, start_engine: Callable[..., Engine]
) -> None:
    engine = start_engine(stack, "ending")
    processes = plugin_processes(engine.openbao)
    assert processes
    sockets = {process: sockets_of(process) for process in processes}
    assert any(sockets.values())
    engine.openbao.stop(signal.SIGKILL)
    wait_until("the plugin ends", lambda: not any(map(is_running, processes)))
    left = [path for paths in sockets.values() for path in paths if Path(path).exists()]
    assert left == []


def sockets_of(process: int) -> list[str]:
    """Return the paths of the sockets on which a process listens."""
    inodes = set()
    for link in Path(f"/proc/{process}/fd").iterdir():
        with suppress(OSError):
            target = str(link.readlink())
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    paths = []
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        parts = line.split()
        if len(parts) == 8 and parts[6] in inodes and parts[7].startswith("/"):
            paths.append(parts[7])
    return paths


def is_running(process: int) -> bool:
    """Tell whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_plugin_says_what_it_is_when_somebody_runs_it(plugins: Path) -> None:
    ended = subprocess.run(
        [plugins / PLUGIN], capture_output=True, text=True, timeout=30, check=False, env={}
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "plugin" in ended.stderr
