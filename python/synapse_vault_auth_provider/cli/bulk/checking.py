"""The look at all rows before anything is done."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from ..failure import CommandError
from .rows import Problem, Row

if TYPE_CHECKING:
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
    rows = problems = 0
    told: list[str] = []
    with closing(_Seen()) as seen:
        for row in source.rows(server_name):
            rows += 1
            for problem in seen.repeats(row) if isinstance(row, Row) else row:
                problems += 1
                if problems <= MOST_PROBLEMS:
                    told.append(f"{source.name}:{problem}")
    if problems:
        if problems > MOST_PROBLEMS:
            told.append(f"... and {problems - MOST_PROBLEMS} more")
        mistakes = "1 mistake" if problems == 1 else f"{problems} mistakes"
        raise CommandError(
            "\n".join([f"{mistakes} in {source.name}, so nothing was done:", *told]),
            "Correct the file and run this again.",
        )
    return rows


class _Seen:
    """The users there were, in a database that moves out of memory when it grows."""

    def __init__(self) -> None:
        # Without a name it is a temporary file, which nobody else sees.
        self._database = sqlite3.connect("")
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(
            "CREATE TABLE seen (matrix_user_id TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID"
        )

    def repeats(self, row: Row) -> list[Problem]:
        """Return the problem that a user is there again, if so."""
        line = row.record.line
        added = self._database.execute(
            "INSERT OR IGNORE INTO seen VALUES (?, ?)", (row.matrix_user_id, line)
        )
        if added.rowcount:
            return []
        ((first,),) = self._database.execute(
            "SELECT line FROM seen WHERE matrix_user_id = ?", (row.matrix_user_id,)
        )
        return [Problem(line, f"{row.matrix_user_id} is in line {first} already", "user_id")]

    def close(self) -> None:
        self._database.close()
