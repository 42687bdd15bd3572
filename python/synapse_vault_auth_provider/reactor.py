"""The reactor's side of the login service: logins out, outcomes back in."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NewType, Protocol, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from ._core import Health, Outcome
from .log import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.python.failure import Failure

    from ._core import LoginService

T = TypeVar("T")
U = TypeVar("U")

LoginNumber = NewType("LoginNumber", int)
"""A login that was begun and not decided yet."""

MARGIN = 2.0
"""How much later than `login_timeout` the reactor ends a login by itself, in seconds."""

LATE_AFTER = 0.5
"""How late a timer fires in a reactor or process that was held up, in seconds."""


class Reactor(Protocol):
    """What is needed of Twisted's reactor, which offers it by several of its interfaces."""

    def callWhenRunning(self, function: Callable[[], None], /) -> object: ...  # noqa: N802, D102

    def callLater(self, delay: float, function: Callable[[], None], /) -> object: ...  # noqa: N802, D102

    def addSystemEventTrigger(  # noqa: N802, D102
        self, phase: str, event: str, function: Callable[[], None], /
    ) -> object: ...

    def addReader(self, reader: object, /) -> None: ...  # noqa: N802, D102

    def removeReader(self, reader: object, /) -> None: ...  # noqa: N802, D102


@dataclass(slots=True)
class _Waiting:
    """A login or a check that the core has not answered yet."""

    deferred: Deferred[Any]
    deadline: float
    unanswered: Callable[[int], object]
    """Makes the result, out of the number, if the core never answers."""


@implementer(IReadDescriptor)
class ReactorLogins:
    """Runs a login service for as long as the reactor runs.

    The service's threads start with the reactor, after Synapse has forked into the background, and
    end with it. Outcomes are collected on the reactor's thread when the service's descriptor says
    that there are some, so no other thread enters Python.

    The core keeps to `login_timeout`. Should it fail to, the reactor ends the login a little later.
    """

    def __init__(self, service: LoginService, reactor: Reactor) -> None:
        """Tie the service to the reactor's life, now if it runs, else when it does."""
        self._service = service
        self._time_limit = service.login_timeout + MARGIN
        self._reactor = reactor
        self._numbers = itertools.count()
        # The oldest first. All have the same time, so these are also the first to run out of it.
        self._waiting: dict[int, _Waiting] = {}
        self._is_timer_set = False
        reactor.callWhenRunning(self._start)

    def begin_login(self, user: object, token_hash: object) -> tuple[Any, Outcome | LoginNumber]:
        """Begin a login: the user's entry is read while the homeserver looks for the account.

        Args:
            user: The user id or its localpart, as the client sent it; of any type.
            token_hash: What the client sent, of any type.

        Returns:
            The whole id, or what was sent if that is no text; and the outcome of a login that is
            lost whatever the homeserver says, else what to go on with: `decide` or `abandon`.
        """
        number = next(self._numbers)
        user_id, refusal = self._service.begin(number, user, token_hash)
        return user_id, LoginNumber(number) if refusal is None else refusal

    def decide(self, login: LoginNumber, canonical_id: str | None) -> Outcome | Deferred[Outcome]:
        """Decide a login. Knows nothing of logcontexts.

        Args:
            login: What `begin_login` returned.
            canonical_id: The id that the homeserver has for the user; ``None`` if it has none.

        Returns:
            The outcome, if it is known without waiting for Vault; else a deferred of it, which is
            not called back once the reactor stops. Who cancels it gives the login up.
        """
        outcome = self._service.decide(login, canonical_id)
        if outcome is not None:
            return outcome
        return self._wait(login, lambda _: Outcome.unanswered(), lambda: self.abandon(login))

    def abandon(self, login: LoginNumber) -> None:
        """Give up a login that was begun. What is read for nobody else is read no further."""
        self._forget(login)
        self._service.abandon(login)

    def check(self) -> Deferred[Health]:
        """Start to find out whether logins could be decided now.

        Returns:
            A deferred of what is found. It is not called back once the reactor stops.
        """
        health = self.begin(self._service.begin_check, lambda _: Health.unanswered())
        return health if isinstance(health, Deferred) else succeed(health)

    def begin(
        self, start: Callable[[int], T | None], unanswered: Callable[[int], U]
    ) -> T | Deferred[T | U]:
        """Start something that the core does.

        Args:
            start: Takes the number under which the result will come out, and has the core begin.
                What it returns, if anything, is the result.
            unanswered: Makes the result if the core never answers.

        Returns:
            The result, if it is known already; else a deferred of it, which is not called back
            once the reactor stops.
        """
        number = next(self._numbers)
        result = start(number)
        if result is not None:
            return result
        return self._wait(number, unanswered, lambda: self._forget(number))

    def _wait(
        self,
        number: int,
        unanswered: Callable[[int], object],
        give_up: Callable[[], None],
    ) -> Deferred[Any]:
        deferred: Deferred[Any] = Deferred(canceller=lambda _: give_up())
        deadline = time.monotonic() + self._time_limit
        self._waiting[number] = _Waiting(deferred, deadline, unanswered)
        self._set_timer()
        return deferred

    def _forget(self, number: int) -> None:
        self._waiting.pop(number, None)

    def _start(self) -> None:
        self._service.start()
        self._reactor.addReader(self)
        self._reactor.addSystemEventTrigger("during", "shutdown", self._stop)

    def _stop(self) -> None:
        self._reactor.removeReader(self)
        self._service.stop()

    def doRead(self) -> None:  # noqa: N802 (Twisted's name)
        """Hand what is ready to those who wait for it, and notices to the log."""
        self._collect()

    def _collect(self) -> bool:
        """Do what `doRead` does; return whether there was anything."""
        decided, notices, checked, mas_results = self._service.drain()
        for number, result in (*decided, *checked, *mas_results):
            waiting = self._waiting.pop(number, None)
            if waiting is not None:
                waiting.deferred.callback(result)
        for level, text in notices:
            logger.log(level, "%s", text)
        return bool(decided or checked or mas_results or notices)

    def _set_timer(self, at_least: float = 0.0) -> None:
        """Have the deadlines looked at when the first one passes: one timer serves all logins."""
        if self._is_timer_set or not self._waiting:
            return
        self._is_timer_set = True
        oldest = next(iter(self._waiting.values()))
        # By the monotonic clock: the reactor's own is set when somebody sets the system's.
        now = time.monotonic()
        due = max(oldest.deadline, now + at_least)
        is_postponed = due > oldest.deadline
        self._reactor.callLater(due - now, lambda: self._timer_fired(due, is_postponed))

    def _timer_fired(self, due: float, is_postponed: bool) -> None:
        postpone_by = 0.0
        try:
            # Timers fire before readers, so what was decided long ago may not be collected yet.
            while self._collect():
                pass
            now = time.monotonic()
            if now - due > LATE_AFTER and not is_postponed:
                # The reactor or the whole process was held up, and the core perhaps with it.
                postpone_by = MARGIN
            else:
                self._end_overdue(now)
        finally:
            # Not before: what is called back may begin another login.
            self._is_timer_set = False
            self._set_timer(postpone_by)

    def _end_overdue(self, now: float) -> None:
        while self._waiting:
            number, oldest = next(iter(self._waiting.items()))
            if oldest.deadline > now:
                break
            del self._waiting[number]
            oldest.deferred.callback(oldest.unanswered(number))

    def fileno(self) -> int:
        """Return the descriptor that the reactor is to watch."""
        return self._service.fileno()

    def logPrefix(self) -> str:  # noqa: N802 (Twisted's name)
        """Name the work in Twisted's log."""
        return "vault-auth"

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802 (Twisted's name)
        """Do nothing: the descriptor is closed by the service, when it stops."""
