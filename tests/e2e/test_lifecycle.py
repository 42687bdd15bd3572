"""Synapse with the module starts, forks and ends as it does without, whatever Vault is doing."""

from __future__ import annotations

import re
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from synapse_vault_auth_provider import token_hash

from tests.harness.accounts import PATH_ROOT
from tests.pythons import Interpreter, interpreters, python_with_synapse
from tests.servers import BrokenVault, OpenBao, Registration, Synapse, background
from tests.servers.broken_vault import hang_up, silence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[..., Synapse]

pytestmark = pytest.mark.long

TIMEOUT = 60.0
"""Time after which what a test waits for counts as never happening, in seconds."""

LOGIN_TIMEOUT = "60s"
"""Longer than a server may take to end, so that one which waits for its logins is found out."""

BAD_ENDS = ("Fatal Python error", "Aborted", "Segmentation fault", "panicked", "Traceback")

NOT_OURS = [
    # It exits while it is exiting.
    re.compile(r'.*Traceback.*\n.*/synapse/util/daemonize\.py".*\n.*sys\.exit\(0\)'),
    # Twisted logs that it got a signal at once, even if that comes while a line is being written.
    re.compile(
        r'.*Traceback.*\n(?:.*/logging/__init__\.py".*\n.*\n(?:.*~\^.*\n)?)+'
        r".*RuntimeError: reentrant call inside"
    ),
]
"""Tracebacks of Synapse's own making, with a module and without."""

on_every_interpreter = pytest.mark.parametrize("interpreter", interpreters(), ids=str)

on_others_at_night = pytest.mark.parametrize(
    "interpreter",
    [
        interpreters()[0],
        *(pytest.param(other, marks=pytest.mark.nightly) for other in interpreters()[1:]),
    ],
    ids=str,
)
"""What every interpreter shows in the other tests too, in a form that is harder to end."""


@pytest.fixture
def vault() -> Iterator[BrokenVault]:
    vault = BrokenVault()
    yield vault
    vault.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a homeserver on an interpreter; with an address, the module looks for Vault there."""
    servers = []

    def start_one(interpreter: Interpreter, vault_url: str | None = None) -> Synapse:
        synapse = Synapse(
            tmp_path,
            module_config(vault_url, "a-token-for-nobody") if vault_url else None,
            python=str(python_with_synapse(interpreter)),
        )
        servers.append(synapse)
        return synapse.start()

    yield start_one
    for server in servers:
        server.stop(signal.SIGKILL)


def module_config(vault_url: str, vault_token: str) -> dict[str, Any]:
    return {
        "vault_url": vault_url,
        "vault_token": vault_token,
        "vault_path_root": PATH_ROOT,
        "login_timeout": LOGIN_TIMEOUT,
    }


class LoginUnderWay:
    """A login that waits for its answer beside the test."""

    def __init__(self, synapse: Synapse) -> None:
        self.answer: requests.Response | None = None
        self._user_id = synapse.register("alice")
        self._thread = threading.Thread(target=self._run, args=[synapse], daemon=True)
        self._thread.start()

    def _run(self, synapse: Synapse) -> None:
        # A server that ends may leave it without an answer.
        with suppress(requests.RequestException):
            self.answer = synapse.login(self._user_id, "0" * 64)

    def has_ended(self) -> bool:
        self._thread.join(TIMEOUT)
        return not self._thread.is_alive()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def session_of(process_id: int) -> set[int]:
    """Return the processes that were started, however indirectly, by a session's leader."""
    members = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        # Processes come and go while they are listed.
        with suppress(OSError):
            # The name, in brackets, may hold anything; state, parent and group come before.
            session = stat.read_text().rpartition(")")[2].split()[3]
            if int(session) == process_id:
                members.add(int(stat.parent.name))
    return members


def end_well(synapse: Synapse) -> None:
    """End the server with SIGTERM and look at how it went and what it leaves."""
    assert synapse.process is not None
    process_id = synapse.process.pid
    assert process_id in session_of(process_id)
    started = time.monotonic()
    exit_code = synapse.stop(signal.SIGTERM)
    sys.stdout.write(f"ended {time.monotonic() - started:.2f} s after SIGTERM\n")
    assert exit_code == 0, synapse.output()
    written = synapse.output() + synapse.log()
    for traceback in NOT_OURS:
        written = traceback.sub("", written)
    assert [end for end in BAD_ENDS if end in written] == []
    assert not session_of(process_id)


def test_without_the_module(start: Start) -> None:
    end_well(start(interpreters()[0]))


@on_others_at_night
def test_it_ends_when_idle(interpreter: Interpreter, start: Start, vault: BrokenVault) -> None:
    end_well(start(interpreter, vault.url))


@on_every_interpreter
def test_it_ends_while_vault_does_not_answer(
    interpreter: Interpreter, start: Start, vault: BrokenVault
) -> None:
    vault.listen(silence)
    synapse = start(interpreter, vault.url)
    login = LoginUnderWay(synapse)
    assert vault.connected.wait(TIMEOUT)
    end_well(synapse)
    assert login.has_ended()
    assert login.answer is None or login.answer.status_code >= 400


@on_others_at_night
def test_it_ends_while_a_login_is_tried_again_and_vault_refuses_connections(
    interpreter: Interpreter, start: Start, vault: BrokenVault
) -> None:
    vault.listen(hang_up)
    synapse = start(interpreter, vault.url)
    login = LoginUnderWay(synapse)
    wait_until(lambda: vault.connections >= 2)
    vault.close()
    end_well(synapse)
    assert login.has_ended()
    assert login.answer is None or login.answer.status_code >= 400


@pytest.mark.parametrize(
    ("interpreter", "registration"),
    [
        (interpreters()[0], Registration.LEGACY),
        *((interpreter, Registration.MODERN) for interpreter in interpreters()),
    ],
    ids=str,
)
def test_it_serves_logins_after_it_forked_into_the_background(
    interpreter: Interpreter,
    registration: Registration,
    openbao: OpenBao,
    vault_token: str,
    tmp_path: Path,
) -> None:
    synapse = Synapse(
        tmp_path,
        module_config(openbao.url, vault_token),
        registration=registration,
        python=str(python_with_synapse(interpreter)),
        settings={"daemonize": True},
    )
    pid_file = tmp_path / "synapse.pid"
    supervisor = [sys.executable, str(background.__file__), str(pid_file)]
    synapse.spawn([*supervisor, *synapse.command], synapse.environment)
    try:
        synapse.wait_until_ready("/_matrix/client/versions")
        process_id = int(pid_file.read_text())
        assert synapse.process is not None
        assert process_id != synapse.process.pid
        user_id = synapse.register("alice")
        openbao.put_secret(user_id, "s3cret of alice")
        answer = synapse.login("alice", token_hash("s3cret of alice", user_id))
        assert answer.status_code == 200, answer.text
        assert answer.json()["user_id"] == user_id
        assert synapse.login("alice", "0" * 64).status_code == 403
        end_well(synapse)
        assert not session_of(process_id)
        assert not pid_file.exists()
    finally:
        synapse.stop(signal.SIGTERM)
