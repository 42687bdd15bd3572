"""Things measured in turn, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Rounds = tuple[float, ...]
"""A value for each round."""


def in_turn(count: int, things: Mapping[str, Callable[[], float]]) -> dict[str, Rounds]:
    """Measure each thing once a round, in an order of its own, the same in every run.

    Args:
        count: How many rounds.
        things: What measures each, once, and returns the value.
    """
    names = list(things)
    measured: dict[str, list[float]] = {name: [] for name in names}
    chance = random.Random(count)
    for _ in range(count):
        # What one leaves behind is not to fall on the same other one in every round.
        for name in chance.sample(names, len(names)):
            measured[name].append(things[name]())
    return {name: tuple(values) for name, values in measured.items()}


def ratios(over: Rounds, under: Rounds) -> Rounds:
    """Divide what was measured in the same rounds."""
    return tuple(a / b for a, b in zip(over, under, strict=True))
