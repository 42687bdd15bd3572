"""Things measured in turn, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Rounds = tuple[float, ...]
"""A value for each round."""


def in_turn(count: int, things: Mapping[str, Callable[[], float]]) -> dict[str, Rounds]:
    """Measure each thing once a round; each round begins with another one.

    Args:
        count: How many rounds.
        things: What measures each, once, and returns the value.
    """
    names = list(things)
    measured: dict[str, list[float]] = {name: [] for name in names}
    for number in range(count):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            measured[name].append(things[name]())
    return {name: tuple(values) for name, values in measured.items()}


def ratios(over: Rounds, under: Rounds) -> Rounds:
    """Divide what was measured in the same rounds."""
    return tuple(a / b for a, b in zip(over, under, strict=True))
