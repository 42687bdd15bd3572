"""The reactor's side of the login service: logins out, outcomes back in."""

import itertools
from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from ._core import Health, LoginService, Outcome
from .outcomes import logger


class Reactor(Protocol):
    """What is needed of Twisted's reactor: parts of ``IReactorCore`` and ``IReactorFDSet``."""

    def callWhenRunning(self, function: Callable[[], None], /) -> object: ...  # noqa: N802, D102

    def addSystemEventTrigger(  # noqa: N802, D102
        self, phase: str, event: str, function: Callable[[], None], /
    ) -> object: ...

    def addReader(self, reader: object, /) -> None: ...  # noqa: N802, D102

    def removeReader(self, reader: object, /) -> None: ...  # noqa: N802, D102


@implementer(IReadDescriptor)
class ReactorLogins:
    """Runs a login service for as long as the reactor runs.

    The service's threads start with the reactor, after Synapse has forked into the background, and
    end with it. Outcomes are collected on the reactor's thread when the service's descriptor says
    that there are some, so no other thread enters Python.
    """

    def __init__(self, service: LoginService, reactor: Reactor) -> None:
        """Tie the service to the reactor's life, now if it runs, else when it does."""
        self._service = service
        self._reactor = reactor
        self._numbers = itertools.count()
        self._waiting: dict[int, Deferred[Outcome]] = {}
        self._checks: dict[int, Deferred[Health]] = {}
        reactor.callWhenRunning(self._start)

    def decide(
        self, user_id: str, is_registered: bool, token_hash: object
    ) -> Outcome | Deferred[Outcome]:
        """Start to decide a login. Knows nothing of logcontexts.

        Args:
            user_id: The canonical id, or the one that was sent if there is no such user.
            is_registered: Whether the homeserver has the user.
            token_hash: What the client sent, of any type.

        Returns:
            The outcome, if it is known without waiting for Vault; else a deferred of it, which is
            not called back once the reactor stops.
        """
        number = next(self._numbers)
        outcome = self._service.begin(number, user_id, is_registered, token_hash)
        if outcome is not None:
            return outcome
        waiting: Deferred[Outcome] = Deferred(canceller=lambda _: self._forget(number))
        self._waiting[number] = waiting
        return waiting

    def check(self) -> Deferred[Health]:
        """Start to find out whether logins could be decided now.

        Returns:
            A deferred of what is found. It is not called back once the reactor stops.
        """
        number = next(self._numbers)
        checking: Deferred[Health] = Deferred()
        health = self._service.begin_check(number)
        if health is not None:
            checking.callback(health)
        else:
            self._checks[number] = checking
        return checking

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
        decided, notices, checked = self._service.drain()
        for level, text in notices:
            logger.log(level, "%s", text)
        for number, outcome in decided:
            waiting = self._waiting.pop(number, None)
            if waiting is not None:
                waiting.callback(outcome)
        for number, health in checked:
            self._checks.pop(number).callback(health)

    def fileno(self) -> int:
        """Return the descriptor that the reactor is to watch."""
        return self._service.fileno()

    def logPrefix(self) -> str:  # noqa: N802 (Twisted's name)
        """Name the work in Twisted's log."""
        return "vault-auth"

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802 (Twisted's name)
        """Do nothing: the descriptor is closed by the service, when it stops."""
