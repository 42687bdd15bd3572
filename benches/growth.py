"""That a login costs the same however many users Vault has."""

from __future__ import annotations

import random
import statistics
from contextlib import ExitStack
from typing import TYPE_CHECKING

from .core import Core
from .crowd import crowd, gather
from .figures import RATIO, Figure, Goal, Result
from .rounds import in_turn, ratios

if TYPE_CHECKING:
    from collections.abc import Callable

    from .rounds import Rounds
    from .stage import Stage

SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)
"""How many users there are, one size after the other."""

FEW = SIZES[0]

OPENBAO = (
    "The module stores nothing about these users, and asks for one path. OpenBao takes longer to"
    " find that path among so many in memory."
)


def run(stage: Stage) -> Result:
    """Let Vault grow, beside another one that does not; measure logins with both, by turns."""
    with ExitStack() as stack:
        growing, control = (stage.start_openbao(name) for name in ("growing", "control"))
        gather(control, range(FEW))
        cores = [
            stack.enter_context(
                Core(stage.module_config(vault_url=openbao.url, vault_token=openbao.root_token))
            )
            for openbao in (growing, control)
        ]
        to_control: dict[int, Rounds] = {}
        there = 0
        for size in SIZES[: stage.scale(len(SIZES), 2)]:
            gather(growing, range(there, size))
            there = size
            measured = in_turn(
                stage.scale(51, 3),
                {
                    "growing": median_login(stage, cores[0], size),
                    "control": median_login(stage, cores[1], FEW),
                },
            )
            to_control[size] = ratios(measured["growing"], measured["control"])
    return Result(
        "Many users in Vault",
        tuple(
            Figure(f"a login with {size:,} users in Vault, to {FEW}", rounds, RATIO, goal)
            for size, rounds in to_control.items()
            for goal in [Goal.at_most(1.2, OPENBAO)]
            if size > FEW
        ),
    )


def median_login(stage: Stage, core: Core, users: int) -> Callable[[], float]:
    """Return what measures a login, by logins of users in no order, one after the other."""
    times = stage.scale(200, 50)
    chance = random.Random(users)

    def measure() -> float:
        chosen = list(crowd(chance.choices(range(users), k=times)))
        return statistics.median(core.time_login(user) for user in chosen)

    return measure
