"""A file system of its own for one server, which can be filled."""

from __future__ import annotations

import errno
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path

_CHUNK = bytes(64 * 1024)


class Disk:
    """In memory, at a directory that is empty.

    Who makes one must be in a mount namespace of its own, with the rights of root: it ends with
    that.
    """

    def __init__(self, path: Path, megabytes: int) -> None:
        self._path = path
        self._ballast = path / "ballast"
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(path)], check=True
        )

    def fill(self) -> None:
        """Leave no room."""
        with self._ballast.open("wb", buffering=0) as file:
            # The last piece is written in part, if at all.
            while _has_room_for(_CHUNK, file):
                pass

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink()

    def unmount(self) -> None:
        """Lose all that is on it; nobody may use it any more."""
        subprocess.run(["umount", str(self._path)], check=True)


def _has_room_for(chunk: bytes, file: FileIO) -> bool:
    try:
        return file.write(chunk) == len(chunk)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    return False
