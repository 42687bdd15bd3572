"""The look at all rows before anything is done."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from ..failure import CommandError
from .rows import Problem, Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .source import Source

MOST_PROBLEMS = 20
"""How many problems are told at once; the others are counted."""


def check_all(source: Source, server_name: str) -> int:
    """Look for everything that is wrong with a file.

    Args:
        source: The file.
        server_name: The homeserver's name.

    Returns:
        How many rows there are.

    Raises:
        CommandError: Something is wrong. It has a line for each problem.
    """
    rows = 0
    count = 0
    # A row among them is one whose user was there before.
    problems: list[Problem | Row] = []
    seen: set[bytes] = set()
    for row in source.rows(server_name):
        rows += 1
        found = _repeated(row, seen) if isinstance(row, Row) else row
        count += len(found)
        problems += found[: MOST_PROBLEMS - len(problems)]
    if problems:
        told = [f"{source.name}:{problem}" for problem in _located(problems, source, server_name)]
        if count > len(told):
            told.append(f"... and {count - len(told)} more")
        mistakes = "1 mistake" if count == 1 else f"{count} mistakes"
        raise CommandError(
            "\n".join([f"{mistakes} in {source.name}, so nothing was done:", *told]),
            "Correct the file and run this again.",
        )
    return rows


def _repeated(row: Row, seen: set[bytes]) -> list[Row]:
    """Return the row if its user was seen before; note the user."""
    # A digest, as a file may name many users: it takes less memory than the id.
    digest = blake2b(row.matrix_user_id.encode(), digest_size=16).digest()
    if digest in seen:
        return [row]
    seen.add(digest)
    return []


def _located(
    problems: Sequence[Problem | Row], source: Source, server_name: str
) -> Iterator[Problem]:
    """Say of users that are there again in which line they were first, after another look."""
    repeated = {problem.matrix_user_id for problem in problems if isinstance(problem, Row)}
    first: dict[str, int] = {}
    if repeated:
        for row in source.rows(server_name):
            if isinstance(row, Row) and row.matrix_user_id in repeated:
                first.setdefault(row.matrix_user_id, row.record.line)
    for problem in problems:
        if isinstance(problem, Row):
            user_id, line = problem.matrix_user_id, problem.record.line
            yield Problem(
                line, f"{user_id} is in line {first.get(user_id, line)} already", "user_id"
            )
        else:
            yield problem
