"""The tables of the manual, by the section that they stand in."""

from __future__ import annotations

import re
from itertools import dropwhile, takewhile

from .pythons import ROOT


def rows(page: str, section: str) -> list[dict[str, str]]:
    """Return the rows of the first table below a heading, each by the names of its columns."""
    text = (ROOT / "docs" / page).read_text()
    _, heading, below = text.partition(f"\n## {section}\n")
    assert heading, f"{page} has no section {section}"
    lines = dropwhile(lambda line: not line.startswith("|"), below.splitlines())
    names, _, *found = map(_cells, takewhile(lambda line: line.startswith("|"), lines))
    return [dict(zip(names, row, strict=True)) for row in found]


def code(cell: str) -> list[str]:
    """Return what is written as code in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")]
