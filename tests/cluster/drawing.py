"""The picture of a run in docs/reliability.md: `python -m tests.cluster.drawing` draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl

from .results import RESULTS, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURE = RESULTS.with_name("timeline.svg")

_BLUE, _GREY, _RED, _AMBER = "#3b6ea8", "#a0a7b0", "#c8322b", "#f7d488"

_FASTEST = 0.01
"""The lower end of the scale, in seconds."""


def draw(results: Results) -> None:
    """Draw logins over time, how long they took, and what happened meanwhile."""
    mpl.use("svg")
    # Text stays text, and the same run gives the same file.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "timeline", "font.size": 9})
    from matplotlib import pyplot

    figure, (counts, times) = pyplot.subplots(
        2, 1, sharex=True, figsize=(10, 5.2), height_ratios=(3, 2), layout="constrained"
    )
    _draw_counts(counts, results)
    _draw_times(times, results)
    for axes in (counts, times):
        for one in results.happenings:
            axes.axvspan(one.begun, one.undone, color=_AMBER, linewidth=0, zorder=0)
            axes.axvspan(one.undone, one.recovered, color=_AMBER, alpha=0.4, linewidth=0, zorder=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(0, results.lasted)
    for number, one in enumerate(results.happenings):
        # In two rows: some come soon after the one before.
        place = (one.begun, 1.02 + 0.08 * (number % 2))
        counts.annotate(one.name, place, xycoords=("data", "axes fraction"), annotation_clip=False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(PICTURE, metadata={"Date": None})
    pyplot.close(figure)


def _draw_counts(axes: Axes, results: Results) -> None:
    bottom = [0] * len(results.seconds)
    for label, color, counts in (
        ("succeeded", _BLUE, [second.succeeded for second in results.seconds]),
        ("refused rightly", _GREY, [second.refused_rightly for second in results.seconds]),
        ("lost", _RED, [second.lost for second in results.seconds]),
    ):
        top = [low + count for low, count in zip(bottom, counts, strict=True)]
        axes.stairs(top, baseline=bottom, fill=True, color=color, label=label)
        bottom = top
    axes.set_ylabel("logins begun in a second")


def _draw_times(axes: Axes, results: Results) -> None:
    slowest = [max(second.slowest, _FASTEST) for second in results.seconds]
    axes.stairs(slowest, baseline=_FASTEST, fill=True, color=_BLUE)
    axes.axhline(10, color=_RED, linewidth=1, linestyle="--")
    axes.annotate("clients give up", (0.5, 10), va="bottom", color=_RED)
    axes.set_yscale("log")
    axes.set_ylim(_FASTEST, 20)
    axes.set_yticks([0.01, 0.1, 1, 10], ["10 ms", "100 ms", "1 s", "10 s"])
    axes.set_ylabel("slowest success")
    axes.set_xlabel("seconds")


if __name__ == "__main__":
    draw(Results.read())
