"""Charts of the results, as SVG that reads well on a light and on a dark page."""

from __future__ import annotations

import io
import statistics
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from .report import in_unit, shown

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .figures import Bars

OURS = ("this module", "a lease")
"""What the names of what is ours have in them."""

OUR_COLOUR = "#0b6bcb"
ANOTHER_COLOUR = "#9aa4b2"
INK = "#1f2328"

STYLE: dict[str, Any] = {
    # Text stays text; the file depends on nothing but the results.
    "svg.fonttype": "none",
    "svg.hashsalt": "synapse-vault-auth-provider",
    "font.size": 11,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.constrained_layout.h_pad": 0.12,
    "figure.constrained_layout.w_pad": 0.12,
    "figure.titlesize": 13,
    "figure.titleweight": "bold",
    "grid.color": "#e3e6ea",
    "xtick.color": INK,
    "ytick.color": INK,
}

WIDTH = 8.0
"""Inches, of which an SVG has 72 points each."""


def draw(chart: Bars, file: Path) -> None:
    """Write a chart to a file."""
    with mpl.rc_context(STYLE):
        canvas = _bars(chart)
        written = io.StringIO()
        canvas.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    lines = (line.rstrip() for line in written.getvalue().splitlines())
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _bars(chart: Bars) -> Any:
    canvas = Canvas(figsize=(WIDTH, 1.4 + 0.5 * len(chart.rounds)), layout="constrained")
    axes = canvas.subplots()
    names = list(chart.rounds)
    medians = [statistics.median(values) for values in chart.rounds.values()]
    lows = [min(values) for values in chart.rounds.values()]
    highs = [max(values) for values in chart.rounds.values()]
    axes.barh(
        [_plain(name) for name in names],
        medians,
        color=[OUR_COLOUR if _is_ours(name, names) else ANOTHER_COLOUR for name in names],
        height=0.62,
        xerr=[
            [median - low for median, low in zip(medians, lows, strict=True)],
            [high - median for median, high in zip(medians, highs, strict=True)],
        ],
        error_kw={"ecolor": INK, "elinewidth": 1.2, "capsize": 4},
    )
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    # From zero, and linear: a bar twice as long is twice as much.
    axes.set_xlim(0, max(highs) * 1.2)
    for place, (median, end) in enumerate(zip(medians, highs, strict=True)):
        axes.annotate(
            in_unit(shown(median), chart.unit),
            (end, place),
            xytext=(8, 0),
            textcoords="offset points",
            verticalalignment="center",
        )
    axes.xaxis.set_major_formatter(_tick)
    axes.set_xlabel(f"{chart.unit} (median, and the range of the rounds)")
    canvas.suptitle(_plain(chart.title), x=0.015, ha="left")
    return canvas


def _is_ours(name: str, names: Iterable[str]) -> bool:
    """Tell what is ours: what says so, or everything where nothing does."""
    said = {other for other in names if any(words in other for words in OURS)}
    return name in said or not said


def _tick(value: float, _: int) -> str:
    return f"{value:,.10g}"


def _plain(markdown: str) -> str:
    return markdown.replace("`", "")
