"""What a process takes of the machine."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benches import smaps


@dataclass(frozen=True)
class Footprint:
    """At one moment; memory in MB, the rest in numbers."""

    rss: float
    pss: float
    descriptors: int
    sockets: int
    threads: int

    @classmethod
    def of(cls, process: int) -> Footprint:
        """Look at a process; see proc(5)."""
        proc = Path(f"/proc/{process}")
        memory = smaps.read(process)
        targets = descriptors(process)
        return cls(
            rss=memory["Rss"] / 1e6,
            pss=memory["Pss"] / 1e6,
            descriptors=len(targets),
            sockets=len([target for target in targets if target.startswith("socket:")]),
            threads=len(list((proc / "task").iterdir())),
        )

    @property
    def countable(self) -> tuple[int, int, int]:
        """All that is given back as soon as nothing needs it; memory is not."""
        return self.descriptors, self.sockets, self.threads


def connections(process: int, port: int) -> int:
    """Return how many sockets of a process have a connection to a port of this machine, or had."""
    address = int.from_bytes(socket.inet_aton("127.0.0.1"), sys.byteorder)
    remote = f"{address:08X}:{port:04X}"
    ours = set(descriptors(process))
    rows = [line.split() for line in Path(f"/proc/{process}/net/tcp").read_text().splitlines()[1:]]
    # The third column is the remote address, and the tenth the inode.
    return sum(row[2] == remote and f"socket:[{row[9]}]" in ours for row in rows)


def descriptors(process: int) -> list[str]:
    """Return what the open descriptors of a process are."""
    found = []
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        # It may be closed while we look.
        with suppress(OSError):
            found.append(os.readlink(descriptor))  # noqa: PTH115 (a socket is no path)
    return found
