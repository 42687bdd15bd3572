"""What a login costs the reactor's thread, inside a homeserver that runs.

All of Synapse waits while its reactor's thread computes. What is shown is the time that a login
takes of it beyond the question whether the user exists, which is Synapse's own: the module's code
in Python and in the core, its metrics, and the reactor's waking up for the answer.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .connection import Connection, post
from .figures import Bars, Figure, Goal, Result
from .homeservers import Provider
from .inside import PATH
from .rounds import in_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stage import Stage

ASKED = "secret read from Vault"
LOGGED = "the same, with its line in the log"
REMEMBERED = "secret from the cache"


def run(stage: Stage) -> Result:
    """Let Synapse log a user in over and over."""
    synapse = stage.homeservers(Provider.OURS)[Provider.OURS]
    user = stage.users[0]

    def measured(provider: str, log_level: str, connection: Connection) -> Callable[[], float]:
        order = {
            "provider": provider,
            "user_id": user.user_id,
            "token_hash": user.token_hash,
            "logins": stage.scale(400, 100),
            "log_level": log_level,
        }

        def microseconds() -> float:
            answer = json.loads(connection.ask(post(PATH, order)))
            return float(answer["seconds"]) * 1e6

        return microseconds

    with Connection(synapse.port) as connection:
        things = {
            ASKED: measured("vault", "WARNING", connection),
            LOGGED: measured("vault", "INFO", connection),
            REMEMBERED: measured("cache", "WARNING", connection),
        }
        # Connections to Vault open, the cache fills, and Python optimizes what is run often.
        in_turn(1, things)
        rounds = in_turn(stage.scale(25, 3), things)
    return Result(
        "The reactor's time for an accepted login, beyond Synapse's own share",
        (
            Figure(ASKED, rounds[ASKED], "µs", Goal.at_most(60)),
            Figure(REMEMBERED, rounds[REMEMBERED], "µs", Goal.at_most(15)),
            Figure(LOGGED, rounds[LOGGED], "µs"),
        ),
        (Bars("reactor_cpu", "The reactor's time for a login", "µs", rounds),),
    )
