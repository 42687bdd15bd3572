"""What the memory of another process holds."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CHUNK = 1 << 24
"""How much is read at once, in bytes."""

LONGEST_GAP = 64
"""How far apart, in bytes, marks may be that belong to one copy of a secret."""

FORMS: Mapping[str, Callable[[str], bytes]] = {
    "as it is": lambda text: text.encode(),
    "in UTF-16": lambda text: text.encode("utf-16-le"),
    "in UTF-32": lambda text: text.encode("utf-32-le"),
    # What HMAC makes of its key (RFC 2104), and what anybody turns back.
    "as HMAC's inner key": lambda text: bytes(byte ^ 0x36 for byte in text.encode()),
    "as HMAC's outer key": lambda text: bytes(byte ^ 0x5C for byte in text.encode()),
}


class MarkedSecrets:
    """Secrets that all consist of one mark, over and over, so that a look for it finds them all.

    The mark is random and there is no other occasion for it, so any of its occurrences is a copy
    of a secret, or what is left of one.
    """

    def __init__(self) -> None:
        self.mark = secrets.token_urlsafe(9)
        self.needles = needles(self.mark)

    def new(self, length: int = 43) -> str:
        """Make up a secret of so many characters; the usual ones have 43."""
        return (f"{self.mark}." * (length // len(self.mark) + 1))[:length]


def needles(text: str) -> dict[str, bytes]:
    """Return what is to be looked for to find a text in any of its forms."""
    return {form: encode(text) for form, encode in FORMS.items()}


@dataclass(frozen=True)
class Copy:
    """A place in memory that holds a secret, or a part of one."""

    where: str
    """What the memory is: the name of a mapping, or whose stack it is."""
    form: str
    """Its name, such as one of `FORMS`."""
    address: int


def copies(process: int, needles: Mapping[str, bytes]) -> list[Copy]:
    """Look through the private memory of a process that is a child of this one.

    Needles have names, of forms that a secret may have.
    """
    found = []
    for where, start, end in private_mappings(process):
        for form, needle in needles.items():
            previous = -CHUNK
            for address in occurrences(process, start, end, needle):
                if address - previous > len(needle) + LONGEST_GAP:
                    found.append(Copy(where, form, address))
                previous = address
    return found


def private_mappings(process: int) -> Iterator[tuple[str, int, int]]:
    """Yield name, start and end of what can be read and is the process's own; see proc(5)."""
    stacks = stack_pointers(process)
    for line in Path(f"/proc/{process}/maps").read_text().splitlines():
        addresses, permissions, _, _, _, *name = line.split(maxsplit=5)
        if not permissions.startswith("r") or not permissions.endswith("p"):
            continue
        start, end = (int(address, 16) for address in addresses.split("-"))
        threads = [thread for thread, pointer in stacks if start <= pointer < end]
        yield (f"stack of {threads[0]}" if threads else "".join(name) or "anonymous"), start, end


def stack_pointers(process: int) -> list[tuple[str, int]]:
    """Return the threads that wait for the kernel, each with its stack pointer; see proc(5)."""
    found = []
    for task in Path(f"/proc/{process}/task").iterdir():
        # It may end while we look.
        with suppress(OSError):
            call = (task / "syscall").read_text().split()
            if len(call) > 1:
                found.append(((task / "comm").read_text().strip(), int(call[-2], 16)))
    return found


def occurrences(process: int, start: int, end: int, needle: bytes) -> Iterator[int]:
    """Yield the addresses of some bytes."""
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
        for chunk_start in range(start, end, CHUNK):
            # As far into the next chunk as bytes may reach that begin in this one.
            length = min(CHUNK + len(needle) - 1, end - chunk_start)
            try:
                chunk = os.pread(memory.fileno(), length, chunk_start)
            except OSError:
                # Unmapped since, or the kernel's own.
                continue
            at = chunk.find(needle)
            while at >= 0:
                yield chunk_start + at
                at = chunk.find(needle, at + 1)
