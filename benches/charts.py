"""Charts of the results, as SVG that reads well on a light and on a dark page."""

from __future__ import annotations

import io
import statistics
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from .figures import Bars, Lines
from .report import in_unit, shown

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

OURS = ("this module", "with the module", "the core")
"""What the names of what is ours have in them."""

OUR_COLOUR = "#0b6bcb"
ANOTHER_COLOUR = "#9aa4b2"
LINE_COLOURS = ("#d1495b", "#e5a100", "#2e8b6f", "#7a5195", "#6b7280")
INK = "#1f2328"

WIDE_SPAN = 50
"""From this factor between the largest and the smallest on, a scale is logarithmic."""

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
    "legend.frameon": False,
}

WIDTH = 8.0
"""Inches, of which an SVG has 72 points each."""


def draw(chart: Bars | Lines, file: Path) -> None:
    """Write a chart to a file."""
    with mpl.rc_context(STYLE):
        canvas = _bars(chart) if isinstance(chart, Bars) else _lines(chart)
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
    low, high = min(lows), max(highs)
    if low > 0 and _is_wide(medians):
        axes.set_xscale("log")
        axes.set_xlim(low / 3, high * (high / low) ** 0.25)
    else:
        axes.set_xlim(0, high * 1.2)
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


def _lines(chart: Lines) -> Any:
    canvas = Canvas(figsize=(WIDTH, 4.2), layout="constrained")
    axes = canvas.subplots()
    others = iter(LINE_COLOURS * len(chart.points))
    names = list(chart.points)
    ours = next((name for name in names if _is_ours(name, names)), None)
    everything: list[float] = []
    for name, points in chart.points.items():
        at: dict[float, list[float]] = {}
        for across, up in points:
            at.setdefault(across, []).append(up)
        places = sorted(at)
        colour = OUR_COLOUR if name == ours else next(others)
        axes.plot(
            places,
            [statistics.median(at[place]) for place in places],
            color=colour,
            linewidth=2.5 if name == ours else 1.8,
            marker="o",
            markersize=5,
            label=_plain(name),
        )
        axes.fill_between(
            places,
            [min(at[place]) for place in places],
            [max(at[place]) for place in places],
            color=colour,
            alpha=0.15,
            linewidth=0,
        )
        everything += [up for _, up in points]
    axes.set_xscale("log")
    if _is_wide(everything):
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0, top=max(everything) * 1.1)
    axes.grid()
    axes.xaxis.set_major_formatter(_tick)
    axes.yaxis.set_major_formatter(_tick)
    axes.set_xlabel(_plain(chart.across))
    axes.set_ylabel(chart.unit)
    if len(names) > 1:
        canvas.legend(loc="outside lower center", ncols=min(len(names), 3))
    canvas.suptitle(_plain(chart.title), x=0.015, ha="left")
    return canvas


def _is_ours(name: str, names: Iterable[str]) -> bool:
    """Tell what is ours: what says so, or everything where nothing does."""
    said = {other for other in names if any(words in other for words in OURS)}
    return name in said or not said


def _is_wide(values: Iterable[float]) -> bool:
    values = list(values)
    return min(values) > 0 and max(values) / min(values) > WIDE_SPAN


def _tick(value: float, _: int) -> str:
    return f"{value:,.10g}"


def _plain(markdown: str) -> str:
    return markdown.replace("`", "")
