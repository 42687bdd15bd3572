"""What a slow Vault does to logins, and to everybody else's requests.

Vault is 200 ms away, and many log in at once. What is beyond the 200 ms and beyond the homeserver's
own share, which a module has that refuses without asking anybody, is this module's. Meanwhile
somebody asks the homeserver for other things, one after the other.
"""

from __future__ import annotations

import selectors
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .connection import TIMEOUT, Connection, get, vault_login
from .figures import RATIO, Bars, Figure, Goal, Result
from .homeservers import WRONG_HASH, Provider
from .rounds import in_turn, ratios
from .stage import FAR
from .waits import wait_at_any_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.servers import Synapse

    from .stage import Stage

WATCHED = 0.6
"""How long others are watched at least, in seconds: longer than this module's logins take."""

OTHER = get("/_matrix/client/versions")

OURS = Provider.OURS.refused
REFUSING = Provider.REFUSING.refused
ACCEPTED = Provider.OURS.accepted

COMPARED = (
    Provider.OURS,
    Provider.HVAC_ON_REACTOR,
    Provider.HVAC_IN_THREAD_POOL,
    Provider.REFUSING,
)


@dataclass
class Crowd:
    """Logins that are sent at once, and what other requests wait meanwhile."""

    synapse: Synapse
    logins: Sequence[bytes]
    expected: int
    times: int = 1
    """How often they are sent to measure once."""
    waits: list[float] = field(default_factory=list)
    """The 99th percentile of the others' waits, for each measurement."""

    def seconds(self) -> float:
        """Send the logins; return how long it took until all were answered, on average."""
        others: list[float] = []
        taken = sum(self._send(others) for _ in range(self.times)) / self.times
        self.waits.append(wait_at_any_time(others, 0.99))
        return taken

    def _send(self, others: list[float]) -> float:
        with ExitStack() as stack:
            # One thread waits for all, so that they do not take time from each other.
            selector = stack.enter_context(selectors.DefaultSelector())
            connections = [
                stack.enter_context(Connection(self.synapse.port)) for _ in range(len(self.logins))
            ]
            other = stack.enter_context(Connection(self.synapse.port))
            for connection in (*connections, other):
                connection.ask(OTHER)
                selector.register(connection, selectors.EVENT_READ, connection)
            started = asked = time.perf_counter()
            for connection, login in zip(connections, self.logins, strict=True):
                connection.send(login)
            other.send(OTHER)
            unanswered = len(connections)
            while unanswered:
                ready = selector.select(TIMEOUT)
                if not ready:
                    raise RuntimeError("the homeserver answers no more")
                for key, _ in ready:
                    connection = key.data
                    if connection is not other:
                        connection.answer(self.expected)
                        unanswered -= 1
                        continue
                    other.answer()
                    now = time.perf_counter()
                    others.append(now - asked)
                    asked = now
                    other.send(OTHER)
            ended = time.perf_counter()
            # As long with one that is done at once, or calm times would be in our favour.
            while time.perf_counter() < started + WATCHED:
                other.answer()
                others.append(time.perf_counter() - asked)
                asked = time.perf_counter()
                other.send(OTHER)
            other.answer()
            others.append(time.perf_counter() - asked)
            return ended - started


def run(stage: Stage) -> Result:
    """Send wrong hashes, and for comparison right ones."""
    homeservers = stage.homeservers(*COMPARED, is_vault_far=True)
    wrong = [vault_login(user.user_id, WRONG_HASH) for user in stage.users]
    right = [vault_login(user.user_id, user.token_hash) for user in stage.users]

    often = {
        provider.refused: Crowd(homeservers[provider], wrong, 403, stage.scale(3, 1))
        for provider in (Provider.REFUSING, Provider.OURS)
    }
    often[ACCEPTED] = Crowd(homeservers[Provider.OURS], right, 200)
    # They take seconds, whatever else the machine does.
    seldom = {
        provider.refused: Crowd(homeservers[provider], wrong, 403)
        for provider in (Provider.HVAC_IN_THREAD_POOL, Provider.HVAC_ON_REACTOR)
    }
    in_turn(1, {name: crowd.seconds for name, crowd in often.items()})
    for crowd in often.values():
        crowd.waits.clear()
    rounds = in_turn(
        stage.scale(9, 2), {name: crowd.seconds for name, crowd in often.items()}
    ) | in_turn(stage.scale(2, 1), {name: crowd.seconds for name, crowd in seldom.items()})
    waits = {
        name: tuple(wait * 1000 for wait in crowd.waits) for name, crowd in (often | seldom).items()
    }
    beyond = tuple(a - b - FAR for a, b in zip(rounds[OURS], rounds[REFUSING], strict=True))
    return Result(
        f"{len(wrong)} logins at once, Vault {1000 * FAR:.0f} ms away",
        (
            Figure(
                "until all are answered, beyond that way and the homeserver's own share",
                beyond,
                "s",
                Goal.at_most(0.3),
            ),
            Figure(
                "what others wait (p99), to a module that asks nobody",
                ratios(waits[OURS], waits[REFUSING]),
                RATIO,
                Goal.at_most(1.3),
            ),
            *(Figure(f"until all are {name}", values, "s") for name, values in rounds.items()),
            *(
                Figure(f"what others wait (p99), meanwhile logins are {name}", values, "ms")
                for name, values in waits.items()
            ),
        ),
        (
            Bars("slow_vault", "Until all logins are answered, Vault 200 ms away", "s", rounds),
            Bars("slow_vault_others", "What others wait meanwhile (p99)", "ms", waits),
        ),
    )
