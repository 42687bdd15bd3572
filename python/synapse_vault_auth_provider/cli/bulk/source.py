"""The file that the users come from, or standard input."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from ..failure import CommandError
from .formats import Format, UnreadableError, detect, lines
from .rows import Problem, Record, Row, check

if TYPE_CHECKING:
    from collections.abc import Iterator

STDIN = "-"


@dataclass(frozen=True)
class Source:
    """A file with users that can be read more than once."""

    name: str
    """What errors call it."""

    path: Path | None
    """Where it is, if it has a place of its own."""

    file: BinaryIO
    status: os.stat_result | None
    """Which file it is, whatever its names are."""

    format: Format

    def rows(self, server_name: str) -> Iterator[Row | list[Problem]]:
        """Read and check the rows from the beginning on.

        Args:
            server_name: The homeserver's name.

        Returns:
            Every row, or what is wrong in its place.
        """
        try:
            for record in self.format.records(lines(self.file)):
                yield check(record, server_name) if isinstance(record, Record) else [record]
        except UnreadableError as end:
            yield [end.problem]

    def is_same_as(self, path: Path) -> bool:
        """Whether the users come from the file at a path."""
        try:
            return self.status is not None and os.path.samestat(self.status, path.stat())
        except OSError:
            return False


@contextmanager
def opened(name: str) -> Iterator[Source]:
    """Open a file with users.

    What can be read only once, such as standard input, is copied to a temporary file that nobody
    else can read.

    Args:
        name: Its path, or a dash for standard input.

    Raises:
        CommandError: It cannot be read.
    """
    is_stdin = name == STDIN
    shown = "standard input" if is_stdin else name
    with ExitStack() as closing:
        try:
            path = None if is_stdin else Path(name)
            if path is None and sys.stdin is None:
                raise CommandError("there is no standard input to read the users from")
            file = closing.enter_context(path.open("rb")) if path else sys.stdin.buffer
            status = _status(file)
            if path is None or status is None or not stat.S_ISREG(status.st_mode):
                path = None
                copy = closing.enter_context(tempfile.TemporaryFile(prefix="synapse-vault-"))
                shutil.copyfileobj(file, copy)
                file = cast("BinaryIO", copy)
            file_format = detect(file, name)
        except OSError as error:
            raise CommandError(f"cannot read {shown}: {error.strerror}") from None
        yield Source(shown, path, file, status, file_format)


def _status(file: BinaryIO) -> os.stat_result | None:
    try:
        return os.fstat(file.fileno())
    except OSError:
        return None
