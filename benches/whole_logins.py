"""How many logins a second Synapse takes, one after the other and many at once.

Most of it is the homeserver's own work, so what counts is how this module compares with others.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .connection import Connection, ask_over_and_over, password_login, vault_login
from .figures import RATIO, Bars, Figure, Goal, Result
from .homeservers import ACCEPTED, WRONG_HASH, Provider
from .rounds import in_turn, ratios

if TYPE_CHECKING:
    from tests.servers import Synapse

    from .stage import Stage

AT_ONCE = 16
"""How many clients there are where there are many."""

BCRYPT = "refused by Synapse, a password that it hashes with bcrypt"

OURS = Provider.OURS.refused
HVAC = Provider.HVAC_ON_REACTOR.refused
REFUSING = Provider.REFUSING.refused


@dataclass
class Logins:
    """A login that is sent over and over, and what is counted of it."""

    connections: list[Connection]
    request: bytes
    expected: int
    times: int
    sent: int = 0
    own_seconds: float = 0.0
    """Time that the client computed."""

    def a_second(self) -> float:
        """Send it so many times; return how many went through in a second."""
        own = time.thread_time()
        started = time.perf_counter()
        ask_over_and_over(self.connections, self.request, self.expected, self.times)
        taken = time.perf_counter() - started
        self.own_seconds += time.thread_time() - own
        self.sent += self.times
        return self.times / taken


def run(stage: Stage) -> Result:
    """Log in with wrong hashes, and for comparison with the right one and with a password."""
    homeservers = stage.homeservers(*Provider)
    user = stage.users[0]
    wrong = vault_login(user.user_id, WRONG_HASH)
    right = vault_login(user.user_id, user.token_hash)
    times = stage.scale(150, 20)
    with ExitStack() as stack:

        def logins(
            provider: Provider, request: bytes, expected: int, times: int, clients: int = 1
        ) -> Logins:
            port = homeservers[provider].port
            connections = [stack.enter_context(Connection(port)) for _ in range(clients)]
            return Logins(connections, request, expected, times)

        for provider in Provider:
            # Whoever refuses everybody is fast for another reason.
            logins(provider, right, 403 if provider is Provider.REFUSING else 200, 1).a_second()
        in_a_row = {provider.refused: logins(provider, wrong, 403, times) for provider in Provider}
        in_a_row[ACCEPTED] = logins(Provider.OURS, right, 200, times)
        password = wrong_password(homeservers[Provider.REFUSING])
        # It takes as long as a hundred others.
        in_a_row[BCRYPT] = logins(Provider.REFUSING, password, 403, max(times // 25, 1))
        at_once = {
            provider.refused: logins(provider, wrong, 403, max(times, 2 * AT_ONCE), AT_ONCE)
            for provider in Provider
        }
        count = stage.scale(15, 3)
        one = measured(count, in_a_row)
        many = measured(count, at_once)

    sent = sum(thing.sent for thing in in_a_row.values())
    own = sum(thing.own_seconds for thing in in_a_row.values()) / sent
    return Result(
        "Whole logins through Synapse",
        (
            Figure(
                "one after the other: by this module, to hvac on the reactor",
                ratios(one[OURS], one[HVAC]),
                RATIO,
                Goal.at_least(1.6),
            ),
            Figure(
                "one after the other: by this module, to a module that asks nobody",
                ratios(one[OURS], one[REFUSING]),
                RATIO,
                Goal.at_least(0.75),
            ),
            Figure(
                f"{AT_ONCE} at once: by this module, to hvac on the reactor",
                ratios(many[OURS], many[HVAC]),
                RATIO,
            ),
            Figure(
                f"{AT_ONCE} at once: by this module, to a module that asks nobody",
                ratios(many[OURS], many[REFUSING]),
                RATIO,
            ),
            *(Figure(f"one after the other: {name}", row, "/s") for name, row in one.items()),
            *(Figure(f"{AT_ONCE} at once: {name}", row, "/s") for name, row in many.items()),
            Figure("one after the other: the client's own time for each", (own * 1e6,), "µs"),
        ),
        (
            Bars("whole_logins", "Logins through Synapse, one after the other", "/s", one),
            Bars("whole_logins_at_once", f"Logins through Synapse, {AT_ONCE} at once", "/s", many),
        ),
    )


def measured(count: int, logins: dict[str, Logins]) -> dict[str, tuple[float, ...]]:
    """Measure in turn, after a round that only warms up."""
    measures = {name: one.a_second for name, one in logins.items()}
    in_turn(1, measures)
    return in_turn(count, measures)


def wrong_password(synapse: Synapse) -> bytes:
    """Make somebody a password; return a login with another one."""
    user_id = synapse.register("password-user", "a password")
    return password_login(user_id, "another password")
