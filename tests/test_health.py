"""The health endpoint with very many who ask at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synapse_vault_auth_provider._core import Health
from synapse_vault_auth_provider.health import ANSWERED_AT_ONCE, HealthResource
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.test.requesthelper import DummyRequest

if TYPE_CHECKING:
    from collections.abc import Callable

MANY = 10_000


class Asking(DummyRequest):
    """A request that counts how often any is compared with another."""

    comparisons = 0

    def __init__(self) -> None:
        super().__init__([])

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        Asking.comparisons += 1
        return self is other

    def leave(self) -> None:
        self.processingFailed(Failure(ConnectionDone()))  # type: ignore[no-untyped-call]


class Endpoint:
    """The endpoint, with those who ask and wait for one check."""

    def __init__(self, count: int) -> None:
        self.reactor = Clock()
        self.checks: list[Deferred[Health]] = []
        self.resource = HealthResource(self._check, self.reactor, self.reactor.seconds)
        self.asking = [Asking() for _ in range(count)]
        for request in self.asking:
            self.resource.render(request)

    def _check(self) -> Deferred[Health]:
        self.checks.append(Deferred())
        return self.checks[-1]

    def answered(self, predicate: Callable[[Any], bool] = lambda _: True) -> int:
        return sum(bool(request.finished) for request in self.asking if predicate(request))


def test_those_who_leave_are_not_looked_for_among_the_others() -> None:
    endpoint = Endpoint(MANY)
    Asking.comparisons = 0
    for request in reversed(endpoint.asking):
        request.leave()
    assert Asking.comparisons < MANY
    endpoint.checks[0].callback(Health.unanswered())
    assert endpoint.answered() == 0


def test_all_are_answered_while_the_homeserver_goes_on_with_other_work() -> None:
    endpoint = Endpoint(3 * ANSWERED_AT_ONCE)
    endpoint.checks[0].callback(Health.unanswered())
    assert len(endpoint.checks) == 1
    assert endpoint.answered() == ANSWERED_AT_ONCE
    gone = endpoint.asking[-1]
    gone.leave()
    for _ in range(3):
        endpoint.reactor.advance(0)
    assert endpoint.answered() == len(endpoint.asking) - 1
    assert {request.responseCode for request in endpoint.asking[:-1]} == {503}


def test_who_comes_while_others_are_answered_is_answered_too() -> None:
    endpoint = Endpoint(2 * ANSWERED_AT_ONCE)
    endpoint.checks[0].callback(Health.unanswered())
    late = Asking()
    endpoint.resource.render(late)
    endpoint.checks[1].callback(Health.unanswered())
    for _ in range(3):
        endpoint.reactor.advance(0)
    assert endpoint.answered() == len(endpoint.asking)
    assert late.finished
