"""Waiting for what a test has set going."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT_LIMIT = 120.0
"""Time after which something counts as never happening, in seconds."""

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.2
"""Time between two looks, in seconds. It grows, as looking takes time from what is waited for."""


def wait_until(what: str, condition: Callable[[], object], longest: float = WAIT_LIMIT) -> None:
    """Wait until the condition is true; fail if it is not within `longest`, in seconds."""
    deadline = time.monotonic() + longest
    pause = FIRST_PAUSE
    while not condition():
        assert time.monotonic() < deadline, f"never came to be: {what}"
        time.sleep(pause)
        pause = min(pause * 1.2, LONGEST_PAUSE)
