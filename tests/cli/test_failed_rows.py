"""The file with the rows that are left to do."""

from __future__ import annotations

import io
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider.cli.bulk.checking import check_all
from synapse_vault_auth_provider.cli.bulk.failed_rows import FailedRows, failed_rows
from synapse_vault_auth_provider.cli.bulk.rows import Row
from synapse_vault_auth_provider.cli.bulk.source import opened
from synapse_vault_auth_provider.cli.failure import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator

CSV = 'display_name,user_id\n"A, ""B""\nC",a\nD,b\n,c\n'
JSON = '{"user_id": "a", "display_name": "\\u00c4", "admin": true}\n{"user_id": "b"}\n'


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def names() -> list[str]:
    """Return what there is in the directory."""
    return sorted(path.name for path in Path().iterdir())


@contextmanager
def left_of(name: str, wanted: Path | None = None) -> Iterator[tuple[FailedRows, list[Row]]]:
    """Read a file and open the one with what is left of it."""
    with opened(name) as source:
        check_all(source, "example.org")
        rows = [row for row in source.rows("example.org") if isinstance(row, Row)]
        with failed_rows(source, wanted) as left:
            yield left, rows


@pytest.mark.parametrize("content", [CSV, JSON], ids=["csv", "json"])
def test_what_is_left_is_as_it_was_written(content: str) -> None:
    Path("users").write_text(content)
    with left_of("users") as (left, rows):
        for row in rows:
            left.add(row.record)
        # Nothing half is in its place.
        assert not Path("users.failed").exists()
    assert Path("users.failed").read_text() == content
    assert Path("users.failed").stat().st_mode & 0o777 == 0o600
    assert names() == ["users", "users.failed"]


def test_it_can_be_fed_in_again_and_again() -> None:
    Path("users.csv").write_text(CSV)
    with left_of("users.csv") as (left, rows):
        left.add(rows[0].record)
        left.add(rows[2].record)
    with left_of("users.csv.failed") as (left, rows):
        assert [row.matrix_user_id for row in rows] == ["@a:example.org", "@c:example.org"]
        left.add(rows[1].record)
    assert Path("users.csv.failed.failed").read_text() == "display_name,user_id\n,c\n"
    with left_of("users.csv.failed.failed") as (left, rows):
        assert [row.matrix_user_id for row in rows] == ["@c:example.org"]


def test_there_is_no_file_if_nothing_is_left() -> None:
    Path("users.csv").write_text(CSV)
    with left_of("users.csv"):
        pass
    assert names() == ["users.csv"]


def test_what_an_earlier_run_has_left_is_neither_removed_nor_replaced() -> None:
    Path("users.csv").write_text(CSV)
    Path("users.csv.failed").write_text("of an earlier run")
    with left_of("users.csv"):
        pass
    assert names() == ["users.csv", "users.csv.failed"]
    for number in (2, 3):
        with left_of("users.csv") as (left, rows):
            left.add(rows[1].record)
        assert left.path == Path(f"users.csv.failed.{number}")
        assert left.path.read_text() == "display_name,user_id\nD,b\n"
    assert Path("users.csv.failed").read_text() == "of an earlier run"


@pytest.mark.parametrize("has_hard_links", [True, False])
def test_runs_at_the_same_time_take_different_names(
    monkeypatch: pytest.MonkeyPatch, has_hard_links: bool
) -> None:
    def no_hard_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    if not has_hard_links:
        monkeypatch.setattr("os.link", no_hard_links)
    Path("users.csv").write_text(CSV)
    with left_of("users.csv") as (first, rows), left_of("users.csv") as (second, _):
        first.add(rows[0].record)
        second.add(rows[1].record)
    assert second.path == Path("users.csv.failed")
    assert first.path == Path("users.csv.failed.2")
    assert second.path.read_text() == "display_name,user_id\nD,b\n"
    assert first.path.stat().st_mode & 0o777 == 0o600
    assert names() == ["users.csv", "users.csv.failed", "users.csv.failed.2"]


def test_a_file_that_appears_meanwhile_is_not_replaced() -> None:
    Path("users.csv").write_text(CSV)
    with left_of("users.csv", Path("failed")) as (left, rows):
        left.add(rows[1].record)
        Path("failed").write_text("of somebody else")
    assert left.path == Path("failed.2")
    assert Path("failed").read_text() == "of somebody else"


def test_what_is_left_is_kept_whatever_goes_wrong() -> None:
    Path("users.csv").write_text(CSV)
    with pytest.raises(ZeroDivisionError), left_of("users.csv") as (left, rows):  # noqa: PT012
        left.add(rows[1].record)
        raise ZeroDivisionError
    assert Path("users.csv.failed").read_text() == "display_name,user_id\nD,b\n"
    Path("users.csv.failed").unlink()
    with pytest.raises(ZeroDivisionError), left_of("users.csv"):
        raise ZeroDivisionError
    assert names() == ["users.csv"]


def test_what_somebody_else_has_written_is_left_alone() -> None:
    Path("users.csv").write_text(CSV)
    other = Path("precious")
    other.write_text("of great value")
    with (
        pytest.raises(CommandError, match="would replace precious, which is not empty"),
        left_of("users.csv", other),
    ):
        pass
    assert other.read_text() == "of great value"
    assert names() == ["precious", "users.csv"]


@pytest.mark.parametrize("how", ["path", "symbolic link", "hard link"])
def test_the_source_is_not_replaced(how: str) -> None:
    Path("users.csv.failed").write_text(CSV)
    other = Path("users.csv.failed")
    if how != "path":
        other = Path("other")
        if how == "hard link":
            other.hardlink_to("users.csv.failed")
        else:
            other.symlink_to("users.csv.failed")
    with (
        pytest.raises(CommandError, match=r"would replace .*, where the users come from") as caught,
        left_of("users.csv.failed", other),
    ):
        pass
    assert caught.value.advice == "Name another file with --failed-to."
    assert Path("users.csv.failed").read_text() == CSV


@pytest.mark.parametrize(
    ("content", "name"), [(CSV, "provision.failed.csv"), (JSON, "provision.failed.jsonl")]
)
def test_standard_input_has_a_file_in_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, content: str, name: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    with left_of("-") as (left, rows):
        left.add(rows[0].record)
    assert names() == [name]


def test_standard_input_from_that_file_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("provision.failed.csv").write_text(CSV)
    with Path("provision.failed.csv").open() as file:
        monkeypatch.setattr("sys.stdin", file)
        with (
            pytest.raises(CommandError, match=r"would replace provision\.failed\.csv"),
            left_of("-"),
        ):
            pass


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("/dev/null", "cannot write /dev/null: it is there and no regular file"),
        (".", "cannot write .: it is there and no regular file"),
        ("nowhere/failed.csv", "cannot write nowhere/failed.csv: No such file or directory"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_anything_is_done(
    wanted: str, expected: str
) -> None:
    Path("users.csv").write_text(CSV)
    with pytest.raises(CommandError) as caught, left_of("users.csv", Path(wanted)):
        pass
    assert str(caught.value) == expected
