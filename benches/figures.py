"""What benchmarks return: figures with their spread and their goals, and what is drawn of them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Goal:
    """A bound that a figure is to keep."""

    bound: float
    is_upper: bool
    why: str = ""
    """What stands in the way where it is missed, in Markdown."""

    @classmethod
    def at_most(cls, bound: float, why: str = "") -> Goal:
        return cls(bound, True, why)

    @classmethod
    def at_least(cls, bound: float, why: str = "") -> Goal:
        return cls(bound, False, why)

    def is_met(self, value: float) -> bool:
        return value <= self.bound if self.is_upper else value >= self.bound

    def missed_by(self, value: float) -> float:
        """Return how far a value is beyond the bound, as a part of it."""
        return abs(value - self.bound) / self.bound


@dataclass(frozen=True)
class Figure:
    """Something measured once in each round of a run."""

    what: str
    """What it is, so that the table's reader understands it without the code."""
    rounds: tuple[float, ...]
    """A value for each round."""
    unit: str
    """Its unit, or `RATIO`, or `NUMBER`."""
    goal: Goal | None = None
    at_best: float | None = None
    """What the same run found for something that does a part of it only, so nothing beats it."""

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def lowest(self) -> float:
        return min(self.rounds)

    @property
    def highest(self) -> float:
        return max(self.rounds)


RATIO = "×"
"""The unit of one thing divided by another."""

NUMBER = ""
"""The unit of what has none."""


@dataclass(frozen=True)
class Bars:
    """A chart of things that a reader chooses from, with the spread of their rounds."""

    name: str
    """Of the file, without its suffix."""
    title: str
    unit: str
    rounds: Mapping[str, tuple[float, ...]]
    """A value for each round, of each thing."""


@dataclass(frozen=True)
class Result:
    """What one benchmark found."""

    title: str
    figures: tuple[Figure, ...]
    charts: tuple[Bars, ...] = ()
