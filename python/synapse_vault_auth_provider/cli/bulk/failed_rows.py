"""The file with the rows that are left to do."""

from __future__ import annotations

import itertools
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ..failure import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .rows import Record
    from .source import Source

ADVICE = "Name another file with --failed-to."


class FailedRows:
    """Takes rows that failed or were not done; in the end they are a file to be fed in again."""

    def __init__(self, source: Source, path: Path, file: IO[str]) -> None:
        """Write to an open file that will be at `path`."""
        self._format = source.format
        self._file = file
        self.path = path
        self.rows = 0

    def add(self, record: Record) -> None:
        """Keep a row, as it was written."""
        if self.rows == 0:
            self._file.write(self._format.header())
        self._file.write(self._format.write(record))
        self.rows += 1


@contextmanager
def failed_rows(source: Source, wanted: Path | None) -> Iterator[FailedRows]:
    """Make the file, for its owner alone; it appears in its place when all is done, if not empty.

    Nothing that is there already is replaced or removed: where a name is taken, a number is added.

    Args:
        source: Where the rows come from. The file has the same format.
        wanted: Where to put it, if not beside the source.

    Raises:
        CommandError: It would replace the source or what somebody else has written, or cannot be
            written.
    """
    path = wanted or _beside(source)
    if source.is_same_as(path):
        raise CommandError(
            f"the failed rows would replace {path}, where the users come from", ADVICE
        )
    if path.exists() and not path.is_file():
        raise CommandError(f"cannot write {path}: it is there and no regular file", ADVICE)
    if wanted is not None and path.exists() and path.stat().st_size:
        raise CommandError(
            f"the failed rows would replace {path}, which is not empty",
            f"Move it away, or feed it in. {ADVICE}",
        )
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}", ADVICE) from None
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            kept = FailedRows(source, path, file)
            yield kept
    finally:
        if kept.rows:
            kept.path = _put(temporary, path)
        else:
            temporary.unlink()


def _put(temporary: Path, wanted: Path) -> Path:
    """Give a file the first name that is free, in one step, so that no two can have the same."""
    numbered = (wanted.with_name(f"{wanted.name}.{number}") for number in itertools.count(2))
    for path in itertools.chain([wanted], numbered):
        try:
            os.link(temporary, path)
        except FileExistsError:
            continue
        except OSError:
            # A file system without hard links: the empty file takes the name.
            try:
                path.open("x").close()
            except FileExistsError:
                continue
            temporary.replace(path)
            return path
        temporary.unlink()
        return path
    raise AssertionError("the numbers do not end")


def _beside(source: Source) -> Path:
    if source.path is None:
        return Path(f"provision.failed{source.format.suffix}")
    return source.path.with_name(f"{source.path.name}.failed")
