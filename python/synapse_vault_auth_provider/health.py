"""Whether logins work, for those who watch over the homeserver."""

from __future__ import annotations

import json
import time
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from .log import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from ._core import Health

PATH = "/_synapse/client/vault_auth/health"

ANSWERED_AT_ONCE = 50
"""How many requests are answered before the homeserver's others have their turn."""


class Reactor(Protocol):
    """What is needed of Twisted's reactor."""

    def callLater(self, delay: float, function: Callable[[], None], /) -> object: ...  # noqa: N802, D102


class Request(Protocol):
    """What is needed of Twisted's requests."""

    method: bytes

    def setResponseCode(self, code: int, /) -> object: ...  # noqa: N802, D102

    def setHeader(self, name: bytes, value: bytes, /) -> object: ...  # noqa: N802, D102

    def write(self, data: bytes, /) -> object: ...  # noqa: D102

    def finish(self) -> object: ...  # noqa: D102

    def notifyFinish(self) -> Deferred[None]: ...  # noqa: N802, D102


class HealthResource(Resource):
    """Answers 200 if logins can be decided, and 503 if not, with what is known in JSON.

    Everybody may ask, so however many do, there is one check at a time, and its answer serves all
    who come while it is young.
    """

    def __init__(
        self,
        check: Callable[[], Deferred[Health]],
        reactor: Reactor,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Check nothing before somebody asks.

        Args:
            check: Finds out whether logins can be decided.
            reactor: Twisted's.
            clock: The time in seconds, from any start.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._check = check
        self._reactor = reactor
        self._clock = clock
        self._health: Health | None = None
        self._good_until = 0.0
        self._was_good = True
        self._is_checking = False
        # Dictionaries, as any request may leave: that must not take longer the more there are.
        self._waiting: dict[Request, None] = {}
        self._to_answer: dict[Request, Health] = {}

    def render(self, request: Request) -> int:
        """Answer a request, at once or when the check that is under way has ended."""
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"Allow", b"GET, HEAD")
            _answer(request, 405, {"errcode": "M_UNRECOGNIZED", "error": "Only GET and HEAD"})
        elif self._health is not None and self._clock() < self._good_until:
            _tell(request, self._health)
        else:
            self._waiting[request] = None
            request.notifyFinish().addErrback(self._forget, request)
            if not self._is_checking:
                self._is_checking = True
                self._check().addCallback(self._checked)
        return NOT_DONE_YET

    def _forget(self, _: Failure, request: Request) -> None:
        """Do not answer somebody who has gone."""
        self._waiting.pop(request, None)
        self._to_answer.pop(request, None)

    def _checked(self, health: Health) -> None:
        self._is_checking = False
        self._health = health
        self._good_until = self._clock() + health.good_for
        is_first = not self._to_answer
        self._to_answer.update(dict.fromkeys(self._waiting, health))
        self._waiting.clear()
        if is_first:
            self._answer_some()
        if health.reason is not None and self._was_good:
            logger.error("Logins cannot be decided, says the health check: %s", health.reason)
        elif health.reason is None and not self._was_good:
            logger.info("Logins can be decided again, says the health check")
        self._was_good = health.reason is None

    def _answer_some(self) -> None:
        for request in list(islice(self._to_answer, ANSWERED_AT_ONCE)):
            health = self._to_answer.pop(request, None)
            if health is not None:
                _tell(request, health)
        if self._to_answer:
            self._reactor.callLater(0, self._answer_some)


def _tell(request: Request, health: Health) -> None:
    is_good = health.reason is None
    answer = {
        "healthy": is_good,
        "vault_reachable": health.vault_reachable,
        "token_valid": health.token_valid,
        "kv_readable": health.kv_readable,
    }
    if health.mas_reachable is not None:
        answer |= {
            "mas_reachable": health.mas_reachable,
            "mas_client_valid": health.mas_client_valid,
        }
    _answer(request, 200 if is_good else 503, answer)


def _answer(request: Request, status: int, answer: Mapping[str, object]) -> None:
    body = json.dumps(answer).encode()
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"application/json")
    request.setHeader(b"Content-Length", str(len(body)).encode())
    request.setHeader(b"Cache-Control", b"no-store")
    request.write(body)
    request.finish()
