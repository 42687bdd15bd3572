"""Ports to listen on that nobody else has."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress


class ReservedPort(int):
    """A TCP port on loopback that no other process gets for as long as this object lives.

    A socket is bound to it and does not listen: who connects is refused, and the kernel gives the
    port to nobody else, neither to listen nor to connect from. A server may listen on it all the
    same if it sets SO_REUSEADDR, as servers do; see socket(7).
    """

    _held: socket.socket

    def __new__(cls, number: int = 0) -> ReservedPort:
        """Take the port of this number, or any.

        Raises:
            OSError: Somebody has it.
        """
        held = socket.socket()
        try:
            held.bind(("127.0.0.1", number))
        except BaseException:
            held.close()
            raise
        # Only now: the port was to be one that nobody else has, not even for reuse.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port = super().__new__(cls, held.getsockname()[1])
        port._held = held
        if sys.platform != "linux":
            # Elsewhere the server would be kept out, too.
            held.close()
        return port

    def __del__(self) -> None:
        self._held.close()


def neighbouring_ports() -> tuple[ReservedPort, ReservedPort]:
    """Return two ports, the second of which comes right after the first."""
    while True:
        first = ReservedPort()
        # The next one may be somebody's, or beyond the last that there is.
        with suppress(OSError, OverflowError):
            return first, ReservedPort(first + 1)
