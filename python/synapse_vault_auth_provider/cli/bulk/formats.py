"""The two ways to write users into a file: CSV with a header, and JSON lines."""

from __future__ import annotations

import csv
import io
import itertools
import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, BinaryIO

from .rows import Problem, Record, check_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LONGEST_LINE = 1 << 20
"""Longest line that is read, in bytes: a longer one is none of a file with users."""

JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")


class UnreadableError(Exception):
    """The file cannot be read on from here."""

    def __init__(self, problem: Problem) -> None:
        """Tell where and why."""
        super().__init__(str(problem))
        self.problem = problem


class Format(ABC):
    """How the rows of one file are written."""

    suffix: str
    """What names of such files end with."""

    @abstractmethod
    def records(self, lines: Iterator[str]) -> Iterator[Record | Problem]:
        """Read the rows one after the other.

        Raises:
            UnreadableError: It goes no further.
        """

    @abstractmethod
    def header(self) -> str:
        """Return what comes before the rows that `write` returns."""

    @abstractmethod
    def write(self, record: Record) -> str:
        """Return a row as the file that was read has it."""


class Csv(Format):
    """Values with commas between, after a line with the names of the columns."""

    suffix = ".csv"

    def __init__(self) -> None:
        """Know no columns yet."""
        self._columns: list[str] = []

    def records(self, lines: Iterator[str]) -> Iterator[Record | Problem]:
        """Read the rows one after the other, and the names of the columns before."""
        reader = csv.reader(lines, strict=True)
        columns: list[str] = []
        while True:
            line = reader.line_num + 1
            try:
                values = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                raise UnreadableError(Problem(line, f"is no valid CSV: {error}")) from None
            if not values:
                continue
            if not columns:
                if problems := check_header(values, line):
                    yield from problems
                    return
                self._columns = columns = values
            elif len(values) != len(columns):
                yield Problem(line, f"has {len(values)} values for {len(columns)} columns")
            else:
                yield Record(line, dict(zip(columns, values, strict=True)))
        if not columns:
            yield Problem(1, "there is no line with the names of the columns")

    def header(self) -> str:
        """Return the line with the names of the columns."""
        return _csv_line(self._columns)

    def write(self, record: Record) -> str:
        """Return a row with the same columns."""
        return _csv_line([record.fields[column] for column in self._columns])


class JsonLines(Format):
    """A JSON object in each line."""

    suffix = ".jsonl"

    def records(self, lines: Iterator[str]) -> Iterator[Record | Problem]:
        """Read the rows one after the other."""
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                fields = json.loads(line, object_pairs_hook=_without_repeats)
            except (ValueError, RecursionError):
                # The text of the error may quote the line.
                yield Problem(number, "is no valid JSON, or has a name twice")
                continue
            if isinstance(fields, dict):
                yield Record(number, fields)
            else:
                yield Problem(number, "must be a JSON object: one for each line")

    def header(self) -> str:
        """Return nothing."""
        return ""

    def write(self, record: Record) -> str:
        """Return the object."""
        return json.dumps(record.fields) + "\n"


def detect(file: BinaryIO, name: str) -> Format:
    """Tell which format a file has, and go back to its beginning.

    Args:
        file: The file.
        name: Its name, which tells if its content does not.
    """
    file.seek(0)
    beginning = file.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()
    file.seek(0)
    is_json = beginning.startswith((b"{", b"[")) or name.lower().endswith(JSON_SUFFIXES)
    return JsonLines() if is_json else Csv()


def lines(file: BinaryIO) -> Iterator[str]:
    """Return the lines of a file from its beginning on.

    Bytes that are no UTF-8 become lone surrogates, which no column takes.

    Raises:
        UnreadableError: A line is too long.
    """
    file.seek(0)
    for number in itertools.count(1):
        line = file.readline(LONGEST_LINE + 1)
        if not line:
            return
        if len(line) > LONGEST_LINE:
            raise UnreadableError(Problem(number, f"is longer than {LONGEST_LINE} bytes"))
        yield line.decode("utf-8-sig" if number == 1 else "utf-8", "surrogateescape")


def _csv_line(values: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()


def _without_repeats(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name is there twice")
    return fields
