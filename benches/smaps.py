"""How much memory a process has."""

from __future__ import annotations

from pathlib import Path


def resident(process: int | str = "self") -> int:
    """Return what a process has in memory, in bytes, files that it shares with others included."""
    return read(process)["Rss"]


def private(process: int | str = "self") -> int:
    """Return what a process has in memory that it wrote and shares with no other, in bytes."""
    return read(process)["Private_Dirty"]


def read(process: int | str) -> dict[str, int]:
    """Read what the kernel knows. See proc_pid_smaps(5)."""
    _, *lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return {name.rstrip(":"): int(size) * 1024 for name, size, _ in map(str.split, lines)}
