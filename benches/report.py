"""The table of all figures, as Markdown for the manual and as text for a terminal."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

from .figures import NUMBER, RATIO

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .figures import Figure, Goal
    from .results import Recorded

BEGIN = "<!-- make bench writes what follows -->"
END = "<!-- make bench wrote what precedes -->"

HEADING = (
    "| What | Median | Lowest to highest | Rounds | Goal | |\n| --- | --- | --- | --- | --- | --- |"
)


class Row(NamedTuple):
    """A figure in words."""

    what: str
    median: str
    spread: str
    rounds: str
    goal: str
    verdict: str

    @classmethod
    def of(cls, figure: Figure) -> Row:
        goal = verdict = spread = ""
        if figure.goal:
            goal = goal_in_words(figure.goal, figure.unit)
            verdict = "met"
            if not figure.goal.is_met(figure.median):
                verdict = f"missed by {100 * figure.goal.missed_by(figure.median):.1f} %"
        if figure.lowest != figure.highest:
            highest = in_unit(shown(figure.highest), figure.unit)
            spread = f"{shown(figure.lowest)} to {highest}"
        median = in_unit(shown(figure.median), figure.unit)
        return cls(figure.what, median, spread, str(len(figure.rounds)), goal, verdict)


def goal_in_words(goal: Goal, unit: str) -> str:
    """Say which values a goal allows."""
    bound = in_unit(f"{goal.bound:,.12g}", unit)
    return f"at {'most' if goal.is_upper else 'least'} {bound}"


def shown(value: float) -> str:
    """Return a number with three significant digits."""
    rounded = float(f"{value:.3g}")
    if rounded == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{digits}f}"


def in_unit(number: str, unit: str) -> str:
    """Return a number that is written already with its unit."""
    return number + unit if unit in (RATIO, NUMBER) else f"{number} {unit}"


def markdown(recorded: Mapping[str, Recorded], charts: str) -> str:
    """Return what stands between the markers.

    Args:
        recorded: What each benchmark found.
        charts: The folder of the charts, seen from the document.
    """
    common = _common_conditions(recorded)
    sections = (
        _section(one, charts, "" if common else conditions(one)) for one in recorded.values()
    )
    return "\n\n".join((*filter(None, [common]), _missed_goals(recorded), *sections))


def _missed_goals(recorded: Mapping[str, Recorded]) -> str:
    """Say of each goal that is missed how close it is, and what bounds it."""
    lines = [
        _missed_goal(one.result.title, figure, figure.goal)
        for one in recorded.values()
        for figure in one.result.figures
        if figure.goal and not figure.goal.is_met(figure.median)
    ]
    return "\n".join(("### Goals that are missed", "", *(lines or ["None."])))


def _missed_goal(title: str, figure: Figure, goal: Goal) -> str:
    row = Row.of(figure)
    best = ""
    if figure.at_best is not None:
        best = f" At best it is {in_unit(shown(figure.at_best), figure.unit)}."
    why = f" {goal.why}" if goal.why else ""
    return (
        f"- **{title}: {row.what}.** {row.median}, {row.verdict}: the goal is {row.goal}."
        f"{best}{why}"
    )


def _common_conditions(recorded: Mapping[str, Recorded]) -> str:
    """Say when and where all was measured; nothing if not all of it was there and then."""
    found = {conditions(one) for one in recorded.values()}
    return found.pop() if len(found) == 1 else ""


def conditions(recorded: Recorded) -> str:
    """Say when and where something was measured."""
    machine = recorded.environment
    return (
        f"Measured on {recorded.date} on {machine['cores']} cores of the processor"
        f" {machine['cpu']},\nwith version {machine['module']} of the module, {machine['python']},"
        f" Synapse {machine['synapse']}, OpenBao {machine['openbao']}\nand {machine['kernel']}."
    )


def _section(recorded: Recorded, charts: str, conditions: str) -> str:
    result = recorded.result
    rows = (
        "| " + " | ".join(cell.replace("|", "\\|") for cell in Row.of(figure)) + " |"
        for figure in result.figures
    )
    table = "\n".join((HEADING, *rows)).replace("| missed by", "| **missed** by")
    drawn = (f"![{chart.title}]({charts}/{chart.name}.svg)" for chart in result.charts)
    return "\n\n".join(filter(None, (f"### {result.title}", conditions, table, *drawn)))


def text(recorded: Mapping[str, Recorded]) -> str:
    """Return the table for a terminal."""
    results = [one.result for one in recorded.values()]
    rows = [[Row.of(figure) for figure in result.figures] for result in results]
    widths = [max(map(len, column)) for column in zip(*itertools.chain(*rows), strict=True)]
    lines = []
    for result, group in zip(results, rows, strict=True):
        lines += ["", result.title]
        for row in group:
            cells = zip(row, widths, strict=True)
            lines.append("  " + "  ".join(cell.ljust(width) for cell, width in cells).rstrip())
    return "\n".join(lines)


def insert(document: Path, written: str) -> None:
    """Replace what is between the markers of a document, which need not be there yet."""
    content = document.read_text(encoding="utf-8") if document.exists() else f"{BEGIN}\n{END}\n"
    before, _, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{document} has not both lines:\n{BEGIN}\n{END}")
    document.write_text(f"{before}{BEGIN}\n\n{written}\n\n{END}{after}", encoding="utf-8")


def inserted(document: Path) -> str:
    """Return what is between the markers of a document."""
    _, _, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    return rest.partition(END)[0].strip()
