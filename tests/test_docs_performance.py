"""The page about performance shows what the last `make bench` has measured."""

from __future__ import annotations

import json

import pytest

from benches import report, results
from benches.__main__ import Output
from benches.figures import RATIO, Figure, Goal, Result
from benches.results import BENCHMARKS, Recorded

from .pythons import ROOT

ENVIRONMENT = {"cpu", "cores", "kernel", "python", "synapse", "openbao", "module"}
"""All that the results tell of the machine."""


@pytest.fixture
def manual() -> Output:
    """Return what the last `make bench` has written."""
    return Output(ROOT / "docs")


def test_the_manual_has_every_benchmark(manual: Output) -> None:
    assert tuple(results.load(manual.results)) == BENCHMARKS


def test_the_manual_has_what_was_measured(manual: Output) -> None:
    table = report.markdown(results.load(manual.results), manual.charts.name)
    assert report.inserted(manual.document) == table


def test_the_manual_has_every_chart_and_no_other(manual: Output) -> None:
    found = results.load(manual.results).values()
    charts = [f"{chart.name}.svg" for one in found for chart in one.result.charts]
    assert sorted(charts) == sorted(file.name for file in manual.charts.glob("*.svg"))


def test_the_results_tell_no_more_of_the_machine_than_needed(manual: Output) -> None:
    for one in json.loads(manual.results.read_text()).values():
        assert one["environment"].keys() == ENVIRONMENT
        assert "/" not in "".join(one["environment"].values())


def test_a_missed_goal_tells_how_close_it_is_and_what_bounds_it() -> None:
    goal = Goal.at_least(2, "There is only so much.")
    missed = Figure("logins, to others", (1.4, 1.5, 1.6), RATIO, goal, at_best=1.75)
    met = Figure("lookups, to others", (3,), RATIO, goal)
    environment = dict.fromkeys(ENVIRONMENT, "")
    recorded = {"one": Recorded(Result("Logins", (missed, met)), "today", environment)}
    lines = report.markdown(recorded, "").splitlines()
    listed = lines[lines.index("### Goals that are missed") + 2]
    assert listed == (
        "- **Logins: logins, to others.** 1.50×, missed by 25.0 %: the goal is at least 2×."
        " At best it is 1.75×. There is only so much."
    )
    assert [line for line in lines if line.startswith("- ")] == [listed]
