"""Waiting for what a test has set going."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 120.0
"""Time after which something counts as never happening, in seconds."""


def wait_until(
    what: str,
    condition: Callable[[], object],
    longest: float = PATIENCE,
    interval: float = 0.02,
) -> None:
    """Wait until the condition is true; fail if it is not within so many seconds.

    Args:
        what: Goes into the failure.
        condition: Is asked again and again.
        longest: How long to wait, in seconds.
        interval: The pause after each question, in seconds.
    """
    deadline = time.monotonic() + longest
    while not condition():
        assert time.monotonic() < deadline, f"never came to be: {what}"
        time.sleep(interval)
