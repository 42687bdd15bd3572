"""Waiting for what a test has set going."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 120.0
"""Time after which something counts as never happening, in seconds."""


def wait_until(what: str, condition: Callable[[], object]) -> None:
    """Wait until the condition is true; fail if it never is."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"never came to be: {what}"
        time.sleep(0.02)
