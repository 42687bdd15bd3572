"""Processes whose parent has ended without ending them, as one does that is killed."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from .background import adopt_orphans

__all__ = ["adopt_orphans", "end_children"]


def end_children() -> None:
    """Kill all children of this process and, as they become orphans, all their descendants."""
    while children := _children():
        for process_id in children:
            # Whoever started it may be waiting for it in another thread, and be the first.
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(process_id, signal.SIGKILL)
                os.waitpid(process_id, 0)


def _children() -> list[int]:
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        # Processes come and go while they are listed.
        with suppress(OSError):
            # The name, in brackets, may hold anything; the state and the parent come after it.
            parent = stat.read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid():
                children.append(int(stat.parent.name))
    return children
