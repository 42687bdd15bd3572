"""What a login costs the reactor's thread, inside a homeserver that runs.

All of Synapse waits while its reactor's thread computes. What is shown is the time that a login
takes of it beyond the question whether the user exists, which is Synapse's own: the module's code
in Python and in the core, its metrics, and the reactor's waking up for the answer. With a line in
the log as Synapse's sample configuration writes it: warnings at once, others ten at a time.
"""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING, NamedTuple

from .connection import Connection, post
from .figures import Figure, Goal, Result
from .homeservers import WRONG_HASH, Provider
from .inside import PATH
from .rounds import in_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stage import Stage

AT_ONCE = 16
"""How many logins are under way at the same time where there are many."""

WITH_LINE = Goal.at_most(
    50,
    "A line in Synapse's log is a large part of it: Python's `logging`, Synapse's filters and"
    " handlers, and for a warning the write to the file. So are iterations of the reactor that only"
    " fetch the answer.",
)


class Measured(NamedTuple):
    """A kind of logins."""

    provider: str
    """One of those that are inside, or `LINE`."""
    is_accepted: bool = True
    at_once: int = 1
    has_line: bool = True

    @property
    def line_alone(self) -> Measured:
        """A line in the log for each such login, and nothing else."""
        return self._replace(provider=LINE)


LINE = "line"

ASKED = Measured("vault", has_line=False)
REMEMBERED = Measured("cache", has_line=False)
LOGGED = Measured("vault")
LOGGED_MANY = Measured("vault", at_once=AT_ONCE)
REFUSED_MANY = Measured("vault", is_accepted=False, at_once=AT_ONCE)

IN_WORDS = {
    ASKED: "secret read from Vault",
    REMEMBERED: "secret from the cache",
    LOGGED: "secret read from Vault, with the line in the log",
    LOGGED_MANY: f"with the line, {AT_ONCE} at once",
    REFUSED_MANY: f"with the line, {AT_ONCE} at once and refused",
    LOGGED.line_alone: "a line in the log alone",
    LOGGED_MANY.line_alone: f"a line in the log alone, {AT_ONCE} at once",
    REFUSED_MANY.line_alone: f"a line in the log alone, {AT_ONCE} at once, a warning",
}

GOALS = {
    ASKED: Goal.at_most(
        60,
        "A part of it is an iteration of the reactor that only fetches the answer, as nothing else"
        " is under way.",
    ),
    REMEMBERED: Goal.at_most(
        15,
        "It is the difference of two times that are each far longer, so it varies more than"
        " others.",
    ),
    LOGGED: WITH_LINE,
    LOGGED_MANY: WITH_LINE,
    REFUSED_MANY: WITH_LINE,
}


def run(stage: Stage) -> Result:
    """Let Synapse log users in over and over."""
    synapse = stage.homeservers(Provider.OURS)[Provider.OURS]
    users = stage.users[:AT_ONCE]

    def time_of(measured: Measured, connection: Connection) -> Callable[[], float]:
        order = {
            "provider": measured.provider,
            "logins": [
                (user.user_id, user.token_hash if measured.is_accepted else WRONG_HASH)
                for user in users
            ],
            "is_accepted": measured.is_accepted,
            "at_once": measured.at_once,
            "rounds": stage.scale(13, 4),
            "log_level": "INFO" if measured.has_line else "CRITICAL",
        }

        def microseconds() -> float:
            answer = json.loads(connection.ask(post(PATH, order)))
            return float(answer["seconds"]) * 1e6

        return microseconds

    with Connection(synapse.port) as connection:
        things = {name: time_of(measured, connection) for measured, name in IN_WORDS.items()}
        # Connections to Vault open, the cache fills, and Python optimizes what is run often.
        in_turn(1, things)
        rounds = in_turn(stage.scale(25, 3), things)

    def figure(measured: Measured) -> Figure:
        best = None
        if measured.has_line and measured.provider != LINE:
            best = statistics.median(rounds[IN_WORDS[measured.line_alone]])
        name = IN_WORDS[measured]
        return Figure(name, rounds[name], "µs", GOALS.get(measured), best)

    return Result(
        "The reactor's time for a login, beyond Synapse's own share",
        tuple(map(figure, IN_WORDS)),
    )
