"""Ctrl-C while many users are provisioned: what is under way ends first."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM)

NOTICE = (
    b"\nStopping: waiting for the users under way. Once more to leave them; nothing is lost, as "
    b"running this again finishes them.\n"
)


class ShutdownSignals:
    """Takes the first signal as a wish to stop, and the second as an order.

    Neither raises an exception, which could strike between any two steps of the bookkeeping.
    """

    def __init__(self) -> None:
        """Change nothing yet."""
        self.signal: int | None = None
        """The first signal that came."""
        self.is_order = False
        """Whether a second one came."""
        self._before: dict[int, Any] = {}
        # Never closed: threads that nobody waits for may call `wake` until the end.
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)

    def __enter__(self) -> ShutdownSignals:
        """Take over the signals, but for those that are ignored."""
        # A signal that comes just before a system call that waits would be noticed after it.
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self.take)
        return self

    def __exit__(self, *_: object) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(-1)

    def take(self, number: int, _: FrameType | None = None) -> None:
        """Take a signal."""
        if self.signal is None:
            self.signal = number
            # Not through a stream, which may be in the middle of a line of its own.
            os.write(2, NOTICE)
        else:
            self.is_order = True
        self.wake()

    def wake(self) -> None:
        """End the next `wait`, or the one under way on another thread."""
        # A pipe that is full wakes as well.
        with suppress(BlockingIOError):
            os.write(self._write, b"\0")

    def wait(self) -> None:
        """Wait until a signal comes or somebody calls `wake`."""
        os.read(self._read, 4096)
