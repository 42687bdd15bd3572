"""What docs/reliability.md says of a run is what the run found, and how runs are judged."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from .cluster import report
from .cluster.faults import FAULTS
from .cluster.results import RESULTS, Results, Tally, by_second
from .cluster.traffic import Answer, Login
from .cluster.users import SLACK, Kind, Rightness, User
from .harness.accounts import token_hash

if TYPE_CHECKING:
    from pathlib import Path


def login(
    rightness: Rightness, answer: Answer = Answer.ACCEPTED, start: float = 0, end: float = 1
) -> Login:
    return Login("@a:b", rightness, start, end, answer, served_by="", detail="")


def test_the_table_is_that_of_the_results() -> None:
    page = report.PAGE.read_text()
    assert report.written(page) == report.render(Results.read())


def test_the_picture_is_of_these_results() -> None:
    picture = RESULTS.with_name("timeline.svg").read_text()
    results = Results.read()
    written = set(re.findall(r">([^<>]+)</text>", picture))
    assert {one.name for one in results.happenings} <= written


def test_nobody_was_lost_whatever_happened() -> None:
    results = Results.read()
    assert [one.name for one in results.happenings] == [fault.name for fault in FAULTS]
    assert (results.left_out, results.lost) == ({}, [])
    logins = results.all_logins
    assert (logins.lost, logins.let_in_wrongly, logins.unanswered) == (0, 0, 0)
    assert set(results.presented) == {rightness.value for rightness in Rightness}
    # Who was refused was not refused because Vault did not answer.
    assert set(results.outcomes) == {"ok", "bad_hash"}
    assert results.outcomes["bad_hash"] == logins.refused_rightly


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    results = Results.read()
    results.write(tmp_path / "results.json")
    assert Results.read(tmp_path / "results.json") == results
    assert (tmp_path / "results.json").read_text() == RESULTS.read_text()


@pytest.mark.parametrize("rightness", Rightness)
@pytest.mark.parametrize("answer", Answer)
def test_every_login_counts_once(rightness: Rightness, answer: Answer) -> None:
    tally = Tally.of([login(rightness, answer)], 0, 1)
    counts = {
        "succeeded": tally.succeeded,
        "refused_rightly": tally.refused_rightly,
        "lost": tally.lost,
        "let_in_wrongly": tally.let_in_wrongly,
        "unanswered": tally.unanswered,
    }
    if answer is Answer.ACCEPTED:
        expected = "succeeded" if rightness.is_right else "let_in_wrongly"
    elif rightness.is_right:
        expected = "lost"
    else:
        expected = "refused_rightly" if answer is Answer.REFUSED else "unanswered"
    assert [name for name, count in counts.items() if count] == [expected]


def test_a_gap_is_from_success_to_success() -> None:
    logins = [
        login(Rightness.CURRENT, end=1),
        login(Rightness.WRONG, Answer.REFUSED, end=3),
        login(Rightness.CURRENT, Answer.NONE, end=4),
        login(Rightness.CURRENT, start=5, end=6.5),
        login(Rightness.BEFORE, start=5.5, end=7),
    ]
    tally = Tally.of(logins, 0, 7)
    assert (tally.longest_gap, tally.slowest) == (5.5, 1.5)
    # What is done at the beginning may be what nobody gets past.
    assert Tally.of(logins[-1:], 1, 7).longest_gap == 6
    assert Tally.of(logins[-1:], 5, 10).longest_gap == 3


def test_logins_belong_to_the_second_in_which_they_began() -> None:
    logins = [login(Rightness.CURRENT, start=10.9, end=14), login(Rightness.OLD, start=12.1)]
    assert [second.succeeded for second in by_second(logins, 10)] == [1, 0, 0]


def test_what_is_over_must_be_refused_and_what_may_still_count_is_not_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = User("@a:b", rotation_grace=10, is_slow=True)

    def presented_at(moment: float, kind: Kind) -> tuple[str, Rightness]:
        monkeypatch.setattr(time, "monotonic", lambda: moment)
        return user.present(kind)

    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    for secret in ("first", "second", "third", "fourth"):
        user.adopt(secret)
    hashes = {secret: token_hash(secret, "@a:b") for secret in ("second", "third", "fourth")}
    for moment in (0, 4.9):
        assert presented_at(moment, Kind.RIGHT) == (hashes["third"], Rightness.BEFORE)
    for moment in (5, 100):
        assert presented_at(moment, Kind.RIGHT) == (hashes["fourth"], Rightness.CURRENT)
    for moment in (0, 10, 10 + SLACK):
        assert presented_at(moment, Kind.OLD) == (hashes["second"], Rightness.OLD)
    assert presented_at(10.1 + SLACK, Kind.OLD) == (hashes["third"], Rightness.OLD)
