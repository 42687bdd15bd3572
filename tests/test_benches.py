"""What benchmarks measure is reported as it was measured; no benchmark runs here."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from benches import report, results
from benches.__main__ import Output, measure
from benches.figures import RATIO, Bars, Figure, Goal, Lines, Result
from benches.report import Row, shown
from benches.results import BENCHMARKS, Recorded
from benches.rounds import in_turn, ratios
from benches.waits import wait_at_any_time
from benches.wrk import Answered, parse

from .pythons import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WRK_OUTPUT = """\
Running 10s test @ http://127.0.0.1:8200/v1/secret/data/matrix/users/@alice:example.org
  2 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     4.04ms    3.42ms  25.10ms   81.79%
    Req/Sec     5.07k   120.70     5.30k    70.00%
  Latency Distribution
     50%  LATENCY
     75%    5.28ms
     90%    8.60ms
     99%   16.48ms
  101073 requests in 10.01s, 44.29MB read
TROUBLE\
Requests/sec:  10097.20
Transfer/sec:      4.42MB
"""

RESULT = Result(
    "A token hash is `verified`",
    (
        Figure("the core", (0.51, 0.4, 0.4512), "µs", Goal.at_most(0.6)),
        Figure("Python | to the core", (3.0, 3.5, 2.5), RATIO, Goal.at_least(4)),
        Figure("the wheel", (2_412_345.0,), "bytes"),
    ),
    (
        Bars(
            "bars", "Verified", "µs", {"the core": (0.51, 0.4, 0.4512), "Python": (2.0, 1.0, 3.0)}
        ),
        Lines("lines", "Growth", "users", "ms", {"this module": ((10.0, 1.0), (1e5, 1.25))}),
    ),
)

ENVIRONMENT = {
    "cpu": "Z80",
    "cores": "2",
    "kernel": "Linux 6.1",
    "python": "CPython 3.11.2",
    "synapse": "1.163.2",
    "openbao": "2.7.2",
    "module": "0.1.0",
}

TABLE = """\
Measured on 2026-11-01 on 2 cores of the processor Z80,
with version 0.1.0 of the module, CPython 3.11.2, Synapse 1.163.2, OpenBao 2.7.2
and Linux 6.1.

### A token hash is `verified`

| What | Median | Lowest to highest | Rounds | Goal | |
| --- | --- | --- | --- | --- | --- |
| the core | 0.451 µs | 0.400 to 0.510 µs | 3 | at most 0.6 µs | met |
| Python \\| to the core | 3.00× | 2.50 to 3.50× | 3 | at least 4× | **missed** |
| the wheel | 2,410,000 bytes |  | 1 |  |  |

![Verified](performance/bars.svg)

![Growth](performance/lines.svg)"""


def recorded(date: str = "2026-11-01") -> Recorded:
    return Recorded(RESULT, date, ENVIRONMENT)


def wrk_output(latency: str = "3.05ms", trouble: str = "") -> str:
    return WRK_OUTPUT.replace("LATENCY", latency).replace("TROUBLE", trouble)


@pytest.mark.parametrize(
    ("latency", "microseconds"),
    [("730.00us", 730), ("3.05ms", 3050), ("1.20s", 1.2e6), ("1.50m", 90e6)],
)
def test_wrk_tells_times_in_units(latency: str, microseconds: float) -> None:
    answered = parse(wrk_output(latency))
    assert answered.requests_per_second == 10097.2
    assert answered.median_latency == pytest.approx(microseconds)


@pytest.mark.parametrize(
    "output",
    [
        wrk_output(trouble="  Non-2xx or 3xx responses: 1841\n"),
        wrk_output(trouble="  Socket errors: connect 0, read 1, write 0, timeout 0\n"),
        wrk_output().replace("10097.20", "0.00"),
        wrk_output("1.50 fortnights"),
        "unable to connect to 127.0.0.1:8200 Connection refused\n",
        "",
    ],
    ids=["status", "connections", "no answer", "unit", "nobody", "nothing"],
)
def test_wrk_counts_only_if_all_was_answered_well(output: str) -> None:
    with pytest.raises(RuntimeError, match="not answered well"):
        parse(output)


def test_wrk_is_not_disturbed_by_other_lines() -> None:
    assert parse(wrk_output()) == Answered(10097.2, 3050.0)


def test_each_round_has_everything_once_in_an_order_of_its_own() -> None:
    order: list[str] = []

    def measured(name: str) -> Callable[[], float]:
        def measure() -> float:
            order.append(name)
            return len(order)

        return measure

    values = in_turn(30, {name: measured(name) for name in "abc"})
    rounds = ["".join(order[start : start + 3]) for start in range(0, len(order), 3)]
    assert len(rounds) == 30
    assert set(rounds) == {"abc", "acb", "bac", "bca", "cab", "cba"}
    for name, whens in values.items():
        assert [order[int(when) - 1] for when in whens] == [name] * 30
        assert [(int(when) - 1) // 3 for when in whens] == list(range(30))


def test_ratios_are_of_the_same_round() -> None:
    assert ratios((6.0, 8.0), (3.0, 2.0)) == (2.0, 4.0)
    with pytest.raises(ValueError, match="shorter"):
        ratios((1.0, 2.0), (1.0,))


def test_a_wait_counts_as_long_as_it_is() -> None:
    # Of ten seconds, one is spent in one wait: who comes in its first tenth waits 0.9 s and more.
    waits = [1.0, *[0.01] * 900]
    assert wait_at_any_time(waits, 0.99) == pytest.approx(0.9)
    assert wait_at_any_time(waits, 1) == pytest.approx(1.0)
    assert wait_at_any_time([2.0, 2.0], 0.5) == pytest.approx(1.0)
    assert wait_at_any_time([], 0.99) == 0


def test_goals_may_be_reached_exactly() -> None:
    assert Goal.at_most(1.5).is_met(1.5)
    assert not Goal.at_most(1.5).is_met(1.51)
    assert Goal.at_least(1.5).is_met(1.5)
    assert not Goal.at_least(1.5).is_met(1.49)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0012345, "0.00123"),
        (0.9996, "1.00"),
        (1, "1.00"),
        (12.345, "12.3"),
        (-12.345, "-12.3"),
        (999.6, "1,000"),
        (1234567, "1,230,000"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert shown(value) == text


def test_a_goal_is_written_as_it_is() -> None:
    figure = Figure("much", (1.0,), "/s", Goal.at_least(1_234_567.5))
    assert Row.of(figure).goal == "at least 1,234,567.5 /s"


def test_a_table_for_the_manual() -> None:
    assert report.markdown({"token_hash": recorded()}, "performance") == TABLE


def test_each_has_its_own_day_if_there_are_several() -> None:
    days = {"token_hash": recorded(), "lookup": recorded(), "growth": recorded("2026-11-02")}
    sections = report.markdown(days, "performance").split("### ")[1:]
    measured = [section.split("\n\n")[1] for section in sections]
    assert measured == [report.conditions(one) for one in days.values()]


def test_a_table_for_the_terminal() -> None:
    lines = report.text({"token_hash": recorded()}).splitlines()
    assert lines[1] == RESULT.title
    assert [" ".join(line.split()) for line in lines[2:]] == [
        "the core 0.451 µs 0.400 to 0.510 µs 3 at most 0.6 µs met",
        "Python | to the core 3.00× 2.50 to 3.50× 3 at least 4× missed",
        "the wheel 2,410,000 bytes 1",
    ]


def test_the_table_takes_the_place_of_the_last_one(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    report.insert(document, "first")
    document.write_text("Before.\n" + document.read_text() + "After.\n")
    report.insert(document, "second")
    report.insert(document, "third")
    assert report.inserted(document) == "third"
    text = document.read_text()
    assert text.startswith("Before.\n")
    assert text.endswith("After.\n")
    assert "first" not in text
    assert "second" not in text


def test_a_document_without_a_place_for_the_table_stays(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text(f"Before.\n{report.BEGIN}\nAfter.\n")
    with pytest.raises(ValueError, match="has not both lines"):
        report.insert(document, "table")
    assert document.read_text().endswith("After.\n")


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "performance" / "results.json"
    assert results.load(file) == {}
    written = {"growth": recorded("2026-11-02"), "token_hash": recorded()}
    results.save(file, written)
    read = results.load(file)
    assert read == written
    assert list(read) == ["token_hash", "growth"]
    assert "[0.51, 0.4, 0.4512]" in file.read_text()


def test_a_benchmark_that_fails_costs_no_other_one_its_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> Result:
        raise RuntimeError("out of order")

    modules = {"token_hash": lambda _: RESULT, "lookup": fail, "growth": lambda _: RESULT}
    for name, run in modules.items():
        monkeypatch.setitem(sys.modules, f"benches.{name}", SimpleNamespace(run=run))
    output = Output(tmp_path)
    results.save(output.results, {"lookup": recorded(), "footprint": recorded()})
    assert measure(list(modules), output, is_quick=True, keep=True) == ["lookup"]
    assert "out of order" in capsys.readouterr().err
    kept = results.load(output.results)
    assert list(kept) == ["token_hash", "lookup", "footprint", "growth"]
    assert kept["token_hash"].result == RESULT
    assert kept["token_hash"].date != recorded().date
    assert kept["lookup"] == kept["footprint"] == recorded()
    measure(["growth"], output, is_quick=True, keep=False)
    assert list(results.load(output.results)) == ["growth"]


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
        assert one["environment"].keys() == ENVIRONMENT.keys()
        assert "/" not in "".join(one["environment"].values())
