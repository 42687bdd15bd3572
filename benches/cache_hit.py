"""What a login costs whose secret is in memory, and that it does not depend on how many are."""

from __future__ import annotations

import random
import statistics
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from .core import Core
from .crowd import crowd, gather
from .figures import RATIO, Figure, Goal, Lines, Result
from .rounds import in_turn, ratios

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stage import Stage

SIZES = (1, 100, 10_000)


def run(stage: Stage) -> Result:
    """Log in again and again, with one, some and many users in memory."""
    sizes = SIZES[: stage.scale(3, 2)]
    gather(stage.openbao, range(sizes[-1]))
    with ExitStack() as stack:
        measured = in_turn(
            stage.scale(25, 3),
            {str(size): prepare(stage, stack, size, stage.scale(10_000, 1000)) for size in sizes},
        )
    fewest, most = str(sizes[0]), str(sizes[-1])
    medians = tuple((float(size), statistics.median(measured[str(size)])) for size in sizes)
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
                Goal.at_most(1.5),
            ),
        ),
        (
            Lines(
                "cache_hit",
                "A login is answered from memory",
                "users in memory",
                "µs",
                {"a login": medians},
            ),
        ),
    )


def prepare(stage: Stage, stack: ExitStack, size: int, calls: int) -> Callable[[], float]:
    """Have that many users log in, and return what measures how long one takes who did before."""
    core = stack.enter_context(Core(stage.module_config(cache={"ttl": "1h"})))
    users = list(crowd(range(size)))
    core.log_all_in(users)

    # Somebody else each time, in no order: who logs in next is not known in advance.
    chosen = random.Random(size).choices(users, k=calls)

    def measure() -> float:
        begin = core.service.begin
        started = time.perf_counter()
        for user in chosen:
            outcome = begin(0, user.user_id, True, user.token_hash)
            if outcome is None or not outcome.accepted:
                raise RuntimeError("a login was not answered in the call")
        return (time.perf_counter() - started) / calls * 1e6

    return measure
