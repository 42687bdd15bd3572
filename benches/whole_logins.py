"""How many logins a second Synapse takes, one after the other and many at once.

Most of it is the homeserver's own work, so what counts is how this module compares with others.
Refused logins show what deciding costs. Accepted ones are what a homeserver does most, and there
Synapse writes the session into its database as well.
"""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .connection import Connection, ask_over_and_over, password_login, vault_login
from .figures import RATIO, Bars, Figure, Goal, Result
from .homeservers import WRONG_HASH, Provider
from .rounds import in_turn, ratios

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.servers import Synapse

    from .rounds import Rounds
    from .stage import Stage

AT_ONCE = 16
"""How many clients there are where there are many. Each has a user of its own."""

BCRYPT = "refused by Synapse, a password that it hashes with bcrypt"

ASKING = (Provider.OURS, Provider.HVAC_ON_REACTOR, Provider.HVAC_IN_THREAD_POOL)
"""Those who ask Vault."""

ONE_CLIENT = (
    "No module that asks the database for the account can do better than one that asks nothing"
    " else. For one login at a time this module's thread has to be woken by the reactor, and the"
    " reactor by the thread, while the processors sleep in between."
)
MANY_CLIENTS = (
    "All processors are busy then: Synapse, its database's thread, Vault, this module's thread and"
    " the client share them."
)


@dataclass
class Logins:
    """Logins that are sent over and over, one on each connection, and what is counted of them."""

    connections: list[Connection]
    requests: Sequence[bytes]
    expected: int
    times: int
    sent: int = 0
    own_seconds: float = 0.0
    """Time that the client computed."""

    def a_second(self) -> float:
        """Send so many; return how many went through in a second."""
        own = time.thread_time()
        started = time.perf_counter()
        ask_over_and_over(self.connections, self.requests, self.expected, self.times)
        taken = time.perf_counter() - started
        self.own_seconds += time.thread_time() - own
        self.sent += self.times
        return self.times / taken


def run(stage: Stage) -> Result:
    """Log in with wrong hashes and right ones, and for comparison with a password."""
    homeservers = stage.homeservers(*Provider)
    wrong = [vault_login(user.user_id, WRONG_HASH) for user in stage.users[:AT_ONCE]]
    right = [vault_login(user.user_id, user.token_hash) for user in stage.users[:AT_ONCE]]
    refusals, sessions = stage.scale(160, 32), stage.scale(48, 16)
    with ExitStack() as stack:

        def logins(
            provider: Provider, requests: Sequence[bytes], expected: int, times: int, clients: int
        ) -> Logins:
            port = homeservers[provider].port
            connections = [stack.enter_context(Connection(port)) for _ in range(clients)]
            return Logins(connections, requests, expected, times)

        def by_everybody(clients: int) -> dict[str, Logins]:
            refusing = (*ASKING, Provider.DATABASE, Provider.REFUSING)
            accepting = (*ASKING, Provider.ACCEPTING)
            return {one.refused: logins(one, wrong, 403, refusals, clients) for one in refusing} | {
                one.accepted: logins(one, right, 200, sessions, clients) for one in accepting
            }

        in_a_row, at_once = by_everybody(1), by_everybody(AT_ONCE)
        password = wrong_password(homeservers[Provider.REFUSING])
        # It takes as long as a hundred others.
        in_a_row[BCRYPT] = logins(Provider.REFUSING, [password], 403, 2, 1)
        count = stage.scale(31, 3)
        one = measured(count, in_a_row)
        many = measured(count, at_once)

    sent = sum(thing.sent for thing in in_a_row.values())
    own = sum(thing.own_seconds for thing in in_a_row.values()) / sent
    return Result(
        "Whole logins through Synapse",
        (
            *compared("one after the other", one, Goal.at_least(1.4, ONE_CLIENT)),
            *compared(
                f"{AT_ONCE} at once",
                many,
                Goal.at_least(2.1, MANY_CLIENTS),
                Goal.at_least(0.93, MANY_CLIENTS),
            ),
            *(Figure(f"one after the other: {name}", row, "/s") for name, row in one.items()),
            *(Figure(f"{AT_ONCE} at once: {name}", row, "/s") for name, row in many.items()),
            Figure("one after the other: the client's own time for each", (own * 1e6,), "µs"),
        ),
        (
            chart("refused_logins", "Refused logins", many),
            chart("accepted_logins", "Accepted logins", many),
        ),
    )


def compared(
    how: str, by: Mapping[str, Rounds], to_hvac: Goal, to_database: Goal | None = None
) -> Iterable[Figure]:
    """Divide this module's logins a second by those of others."""
    refused, accepted = by[Provider.OURS.refused], by[Provider.OURS.accepted]
    hvac = Provider.HVAC_ON_REACTOR
    best = statistics.median(ratios(by[Provider.DATABASE.refused], by[hvac.refused]))
    name = f"{how}: refused by this module, to {hvac.value}"
    yield Figure(name, ratios(refused, by[hvac.refused]), RATIO, to_hvac, best)
    name = f"{how}: refused by this module, to {Provider.DATABASE.value}"
    yield Figure(name, ratios(refused, by[Provider.DATABASE.refused]), RATIO, to_database)
    for other in (hvac, Provider.ACCEPTING):
        name = f"{how}: accepted by this module, to {other.value}"
        yield Figure(name, ratios(accepted, by[other.accepted]), RATIO)


def chart(name: str, what: str, by: Mapping[str, Rounds]) -> Bars:
    """Draw the logins a second that all end in one way, by those whom one may choose from."""
    word = what.split()[0].lower()
    rounds = {
        who: row
        for who, row in by.items()
        if who.startswith(word) and who != Provider.REFUSING.refused
    }
    return Bars(name, f"{what} a second, {AT_ONCE} clients", "/s", rounds)


def measured(count: int, logins: dict[str, Logins]) -> dict[str, Rounds]:
    """Measure in turn, after a round that only warms up."""
    measures = {name: one.a_second for name, one in logins.items()}
    in_turn(1, measures)
    return in_turn(count, measures)


def wrong_password(synapse: Synapse) -> bytes:
    """Make somebody a password; return a login with another one."""
    user_id = synapse.register("password-user", "a password")
    return password_login(user_id, "another password")
