"""What a login costs whose secret is in memory, and that it does not depend on how many are."""

from __future__ import annotations

import random
import statistics
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from .core import Core
from .crowd import crowd, gather
from .figures import RATIO, Figure, Goal, Result
from .rounds import in_turn, ratios
from .stage import UNHURRIED

if TYPE_CHECKING:
    from collections.abc import Callable

    from synapse_vault_auth_provider._core import LoginService

    from .stage import Stage, User

SIZES = (1, 100, 10_000)
"""How many users are in memory."""

BATCH = 100
"""So many logins come in together."""


def run(stage: Stage) -> Result:
    """Log in again and again, with one, some and many users in memory."""
    sizes = SIZES[: stage.scale(3, 2)]
    gather(stage.openbao, range(sizes[-1]))
    with ExitStack() as stack:
        measured = in_turn(
            stage.scale(25, 3),
            {str(size): prepare(stage, stack, size) for size in sizes},
        )
    fewest, most = str(sizes[0]), str(sizes[-1])
    return Result(
        "The secret is in memory",
        (
            Figure(
                "a login that is answered from memory, in the core's one call",
                measured[most],
                "µs",
                Goal.at_most(5),
            ),
            Figure(
                f"the same with {sizes[-1]:,} users in memory, to one user",
                ratios(measured[most], measured[fewest]),
                RATIO,
                Goal.at_most(
                    1.5,
                    "The entry is no longer in the processor's own caches, which takes about as"
                    " long as all the rest. The reactor's time for a login is several times that,"
                    " and Synapse's is milliseconds.",
                ),
            ),
        ),
    )


def prepare(stage: Stage, stack: ExitStack, size: int) -> Callable[[], float]:
    """Have that many users log in, and return what measures a login of one of them, in µs."""
    core = stack.enter_context(Core(stage.module_config(**UNHURRIED, cache={"ttl": "1h"})))
    core.log_all_in(crowd(range(size)))
    chance = random.Random(size)
    batches = stage.scale(100, 10)

    def measure() -> float:
        # Somebody else each time, in no order; ids and hashes have just come in, as they do.
        chosen = (list(crowd(chance.choices(range(size), k=BATCH))) for _ in range(batches))
        # Few batches are interrupted, as they are so short.
        return statistics.median(time_batch(core.service, users) for users in chosen) * 1e6

    return measure


def time_batch(service: LoginService, users: list[User]) -> float:
    """Log in with each, one after the other, and return how long each took, in seconds."""
    begin, decide = service.begin, service.decide
    started = time.perf_counter()
    outcomes = [
        begin(0, user.user_id, user.token_hash)[1] or decide(0, user.user_id) for user in users
    ]
    took = (time.perf_counter() - started) / len(users)
    if not all(outcome is not None and outcome.accepted for outcome in outcomes):
        raise RuntimeError("a login was not answered in the call")
    return took
