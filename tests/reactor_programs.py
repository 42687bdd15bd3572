"""Programs that each need a process of their own: ``python -m tests.reactor_programs NAME``.

A reactor runs once in a process, and how a process forks or ends is seen from outside. What they
check they assert; one that ends well ends with 0 and says nothing.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synapse_vault_auth_provider._core import LoginService, Outcome

from .harness.login_service import decide as begin_and_decide
from .harness.login_service import login_service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from synapse_vault_auth_provider.reactor import ReactorLogins
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

ALICE = "@alice:example.org"
HASH = "0" * 64

vault = socket.socket()
vault.bind(("127.0.0.1", 0))


def service(login_timeout: str) -> LoginService:
    """Make a service that believes `vault` to be one, and gives it so much time for a login."""
    settings = {
        "vault_url": f"http://127.0.0.1:{vault.getsockname()[1]}",
        "vault_token": "t",
        "vault_path_root": "matrix/users",
        # Logins begin with their entry, and not with the question of its form.
        "vault_kv_version": 2,
        "login_timeout": login_timeout,
    }
    return login_service(settings)


def begin_logins(logins: LoginService, count: int = 1) -> None:
    for number in range(count):
        assert logins.begin(number, ALICE, HASH) == (ALICE, None)
        assert logins.decide(number, ALICE) is None


def accept_request() -> socket.socket:
    """Wait until a login has asked `vault`, which gives no answer."""
    while True:
        connection, _ = vault.accept()
        if b" /v1/secret/data/" in connection.recv(65536):
            return connection
        # The life of the module's token, which is looked after beside the logins.
        kept_open.append(connection)


def decide(logins: ReactorLogins) -> Deferred[Outcome]:
    """Begin a login that has to wait."""
    deciding = begin_and_decide(logins, ALICE, HASH)
    assert not isinstance(deciding, Outcome)
    return deciding


def threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def run_reactor(
    logins: LoginService | Watched, program: Callable[[ReactorLogins], Awaitable[None]]
) -> None:
    """Run the reactor for as long as it takes the program to end."""
    from synapse_vault_auth_provider.reactor import ReactorLogins
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred

    running: Any = reactor
    failures: list[Failure] = []
    waiting = ReactorLogins(logins, running)  # type: ignore[arg-type]
    # That there is no Vault is said there, and would be printed.
    logging.getLogger("synapse_vault_auth_provider").addHandler(logging.NullHandler())

    async def run() -> None:
        await program(waiting)

    def start() -> None:
        ended = Deferred.fromCoroutine(run()).addErrback(failures.append)
        ended.addBoth(lambda _: running.stop())

    running.callWhenRunning(start)
    running.run()
    if failures:
        failures[0].raiseException()


class Watched:
    """A login service that remembers which logins were collected from it."""

    def __init__(self, logins: LoginService) -> None:
        self.logins = logins
        self.collected: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.logins, name)

    def drain(self) -> tuple[list[Any], ...]:
        drained = self.logins.drain()
        self.collected += [number for number, _ in drained[0]]
        return drained


def outcomes_arrive_on_the_reactors_thread_and_when_it_is_free() -> None:
    arrived: list[tuple[int, bool]] = []

    async def program(logins: ReactorLogins) -> None:
        deciding = [decide(logins) for _ in range(50)]
        for login in deciding:
            login.addCallback(
                lambda outcome: arrived.append((threading.get_ident(), outcome.failed))
            )
        time.sleep(0.2)
        assert not arrived
        for login in deciding:
            await login
        assert arrived == [(threading.get_ident(), True)] * 50, arrived

    run_reactor(service("50ms"), program)


def an_outcome_known_at_once_is_there_at_once() -> None:
    async def program(logins: ReactorLogins) -> None:
        refused = begin_and_decide(logins, ALICE, "no hash")
        assert isinstance(refused, Outcome)
        assert refused.code == "malformed_hash"

    run_reactor(service("1h"), program)


def the_outcome_of_a_cancelled_login_is_dropped() -> None:
    from twisted.internet.defer import CancelledError

    watched = Watched(service("50ms"))

    async def program(logins: ReactorLogins) -> None:
        cancelled = decide(logins)
        cancelled.cancel()
        try:
            await cancelled
        except CancelledError:
            pass
        else:
            raise AssertionError("a cancelled login came to an end")
        # It is not decided any more: the next, whose time is over later, is the first to come out.
        assert (await decide(logins)).failed
        assert watched.collected == [1]
        _, given_up = logins.begin_login(ALICE, HASH)
        assert not isinstance(given_up, Outcome)
        logins.abandon(given_up)
        assert (await decide(logins)).failed
        assert watched.collected == [1, 3]

    run_reactor(watched, program)


class Silent(Watched):
    """A login service that decides nothing: it never says that it has something, nor says it."""

    def begin(self, _: int, user: object, __: object) -> tuple[object, None]:
        return user, None

    def decide(self, *_: object) -> None:
        return None

    def abandon(self, _: int) -> None:
        return None

    def begin_check(self, _: int) -> None:
        return None


def a_log_that_fails_costs_no_login() -> None:
    raised: list[str] = []

    class Raises(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            raised.append(record.getMessage())
            raise ValueError("a filter that fails")

    logging.getLogger("synapse_vault_auth_provider").addFilter(Raises())

    async def program(logins: ReactorLogins) -> None:
        from synapse_vault_auth_provider.outcomes import OutcomeLog

        # That there is no Vault is noticed again and again meanwhile.
        while not raised:
            assert (await decide(logins)).code == "vault_unavailable"
        for _ in range(3):
            outcome = await decide(logins)
            assert outcome.code == "vault_unavailable"
            OutcomeLog().record(ALICE, outcome, 0.1)
        assert (await logins.check()).reason is not None

    with contextlib.redirect_stderr(io.StringIO()) as stderr:
        run_reactor(service("50ms"), program)
    # It is told where it can be, and once.
    told = stderr.getvalue()
    assert told.count("Cannot write the log") == 1, told
    assert told.count("ValueError: a filter that fails") == 1, told


def a_login_that_the_core_never_decides_is_a_timeout() -> None:
    async def program(logins: ReactorLogins) -> None:
        started = time.monotonic()
        deciding = [decide(logins) for _ in range(3)]
        checking = logins.check()
        for login in deciding:
            outcome = await login
            assert (outcome.code, outcome.failed) == ("timeout", True)
        health = await checking
        assert health.reason is not None
        assert not health.vault_reachable
        assert 2 < time.monotonic() - started < 10
        # Those who come later are served as well.
        assert (await decide(logins)).code == "timeout"

    run_reactor(Silent(service("50ms")), program)


def what_was_decided_while_the_reactor_was_blocked_is_no_timeout() -> None:
    async def program(logins: ReactorLogins) -> None:
        deciding = [decide(logins) for _ in range(50)]
        checking = logins.check()
        # Longer than the reactor waits for the core; its timers are the first to run after that.
        time.sleep(3)
        for login in deciding:
            assert "please report this" not in (await login).reason
        assert "please report this" not in ((await checking).reason or "")

    run_reactor(service("50ms"), program)


def a_core_that_was_held_up_with_the_reactor_has_time_to_decide() -> None:
    watched = Watched(service("50ms"))

    def drain() -> tuple[list[Any], ...]:
        # As when the process was stopped: the core needs a moment after it goes on.
        if time.monotonic() < goes_on:
            return [], [], [], []
        return watched.logins.drain()

    async def program(logins: ReactorLogins) -> None:
        deciding = decide(logins)
        time.sleep(3)
        assert "please report this" not in (await deciding).reason

    goes_on = time.monotonic() + 3.5
    watched.drain = drain  # type: ignore[method-assign]
    run_reactor(watched, program)


def the_reactor_stops_with_logins_in_flight() -> None:
    logins = service("1h")
    arrived: list[object] = []
    vault.listen()

    async def program(waiting: ReactorLogins) -> None:
        for _ in range(50):
            decide(waiting).addBoth(arrived.append)
        accept_request()

    run_reactor(logins, program)
    assert not arrived
    assert (threads(), logins.fileno()) == (1, -1)


def a_service_has_threads_only_between_start_and_stop() -> None:
    logins = service("1h")
    assert (threads(), logins.fileno()) == (1, -1)
    logins.start()
    assert threads() > 1
    logins.stop()
    assert (threads(), logins.fileno()) == (1, -1)


def starting_twice_is_starting_once() -> None:
    logins = service("1h")
    logins.start()
    begin_logins(logins)
    started = (threads(), logins.fileno())
    logins.start()
    assert (threads(), logins.fileno()) == started


def a_stopped_service_refuses_and_can_start_again() -> None:
    logins = service("1h")
    vault.listen()
    for _ in range(2):
        logins.start()
        begin_logins(logins)
        accept_request()
        logins.stop()
        logins.stop()
        assert logins.drain() == ([], [], [], [])
        _, outcome = logins.begin(1, ALICE, HASH)
        assert outcome is not None
        assert outcome.code == "vault_unavailable", outcome


def a_fork_cannot_use_the_threads_of_its_parent() -> None:
    logins = service("1h")
    logins.start()
    begin_logins(logins)
    child = os.fork()
    if child != 0:
        assert os.waitpid(child, 0)[1] == 0
        # What the child let go of was not the parent's.
        begin_logins(logins)
        return
    try:
        logins.begin(1, ALICE, HASH)
    except RuntimeError as error:
        assert "start it after the fork" in str(error)
    else:
        raise AssertionError("a login was given to threads that this process does not have")
    decided, _, _, _ = logins.drain()
    assert not decided


def a_fork_can_stop_the_service_and_start_it_anew() -> None:
    logins = service("1h")
    logins.start()
    begin_logins(logins)
    child = os.fork()
    if child != 0:
        assert os.waitpid(child, 0)[1] == 0
        begin_logins(logins)
        return
    logins.stop()
    logins.start()
    begin_logins(logins)


def the_process_ends_with_logins_in_flight() -> None:
    vault.listen()
    kept.append(service("1h"))
    kept[0].start()
    begin_logins(kept[0], 50)
    kept_open.append(accept_request())


def the_process_ends_while_logins_do() -> None:
    kept.append(service("1ms"))
    kept[0].start()
    begin_logins(kept[0], 1000)


kept: list[LoginService] = []
"""Lives until the interpreter ends, as the module's instance in Synapse does."""

kept_open: list[socket.socket] = []

if __name__ == "__main__":
    globals()[sys.argv[1]]()
