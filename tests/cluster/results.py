"""The figures of a run, which docs/reliability/results.json keeps."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tests.pythons import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .traffic import Login

RESULTS = ROOT / "docs" / "reliability" / "results.json"


@dataclass(frozen=True)
class Tally:
    """What became of some logins."""

    tried: int
    succeeded: int
    refused_rightly: int
    lost: int
    """Not let in within the time that their clients wait, though they were right."""
    let_in_wrongly: int
    unanswered: int
    """Neither let in nor refused, as they should be."""
    longest_gap: float
    """From the beginning, or from one success, to the next success or the end, in seconds."""
    slowest: float
    """How long the slowest success took, in seconds."""

    @classmethod
    def of(cls, logins: Sequence[Login], begun: float, ended: float) -> Tally:
        """Count what became of the logins that began in that time."""
        successes = sorted(login.end for login in logins if login.succeeded)
        gaps = (later - former for former, later in pairwise([begun, *successes, ended]))
        lasted = (login.end - login.start for login in logins if login.succeeded)
        succeeded = len(successes)
        refused_rightly = sum(login.refused_rightly for login in logins)
        lost = sum(login.is_lost for login in logins)
        let_in_wrongly = sum(login.let_in_wrongly for login in logins)
        counted = succeeded + refused_rightly + lost + let_in_wrongly
        return cls(
            tried=len(logins),
            succeeded=succeeded,
            refused_rightly=refused_rightly,
            lost=lost,
            let_in_wrongly=let_in_wrongly,
            unanswered=len(logins) - counted,
            longest_gap=round(max(gaps, default=0.0), 2),
            slowest=round(max(lasted, default=0.0), 2),
        )


@dataclass(frozen=True)
class Happening:
    """A fault in a run, with the logins from its beginning to that of the next one."""

    name: str
    what: str
    whom: str
    """Whom it happened to."""
    begun: float
    """In seconds since the run began, as are all times here."""
    undone: float
    """When it was over: what was undone was under way."""
    recovered: float
    """When all processes were at work again."""
    logins: Tally


@dataclass(frozen=True)
class Second:
    """What became of the logins that began in one second."""

    succeeded: int
    refused_rightly: int
    lost: int
    slowest: float


@dataclass(frozen=True)
class Results:
    """All of a run."""

    setting: dict[str, str]
    """What ran, in which version."""
    users: int
    lasted: float
    starved: float | None
    """Share of the time in which something waited for a processor, if the kernel tells it."""
    calm: Tally
    """Before the first fault."""
    happenings: list[Happening]
    left_out: dict[str, str]
    """Faults that were not tried, by what they are, and why."""
    all_logins: Tally
    presented: dict[str, int]
    """How often what was presented, be it right or not."""
    outcomes: dict[str, int]
    """How the module judged, by the logs of the workers: refusals, too, must have their reason."""
    seconds: list[Second]
    lost: list[str]
    """What is known of each login that was lost."""

    @classmethod
    def read(cls, path: Path = RESULTS) -> Results:
        """Read what `write` wrote."""
        kept: dict[str, Any] = json.loads(path.read_text())
        happenings = [
            Happening(**{**one, "logins": Tally(**one["logins"])}) for one in kept["happenings"]
        ]
        return cls(
            **{
                **kept,
                "calm": Tally(**kept["calm"]),
                "happenings": happenings,
                "all_logins": Tally(**kept["all_logins"]),
                "seconds": [Second(*second) for second in kept["seconds"]],
            }
        )

    def write(self, path: Path = RESULTS) -> None:
        """Keep them in a file that git can compare."""
        kept = dataclasses.asdict(self)
        # One line each, as there are many.
        kept.pop("seconds")
        seconds = ",\n  ".join(json.dumps(dataclasses.astuple(each)) for each in self.seconds)
        text = json.dumps(kept, indent=1).removesuffix("\n}")
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'{text},\n "seconds": [\n  {seconds}\n ]\n}}\n')


def by_second(logins: Sequence[Login], start: float) -> list[Second]:
    """Count logins by the second, since `start`, in which they began."""
    last = max(int(login.start - start) for login in logins)
    seconds = []
    for number in range(last + 1):
        of_second = [login for login in logins if int(login.start - start) == number]
        tally = Tally.of(of_second, start + number, start + number + 1)
        seconds.append(Second(tally.succeeded, tally.refused_rightly, tally.lost, tally.slowest))
    return seconds
