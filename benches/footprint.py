"""What the module adds to a homeserver's start, and to what is installed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .figures import Bars, Figure, Goal, Result
from .rounds import in_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stage import Stage

DIST = Path(__file__).parents[1] / "dist"

IMPORT = "import synapse_vault_auth_provider"


def run(stage: Stage) -> Result:
    """Start interpreters that import the module, and ones that do not."""
    started = in_turn(
        stage.scale(101, 5), {"with the module": started_with(IMPORT), "without": started_with("")}
    )
    imported = tuple(
        a - b for a, b in zip(started["with the module"], started["without"], strict=True)
    )
    size = newest_wheel().stat().st_size / 1e6
    return Result(
        "Footprint",
        (
            Figure("importing the module", imported, "ms", Goal.at_most(15)),
            Figure("the wheel", (size,), "MB", Goal.at_most(4)),
        ),
        (Bars("footprint", "Starting Python", "ms", started),),
    )


def started_with(code: str) -> Callable[[], float]:
    """Return what measures how long an interpreter takes to run some code, in milliseconds."""

    def measure() -> float:
        started = time.perf_counter()
        # Nobody's site-packages of their own: it depends on who runs this.
        subprocess.run([sys.executable, "-s", "-c", code], check=True)
        return (time.perf_counter() - started) * 1e3

    return measure


def newest_wheel() -> Path:
    """Return the wheel that was built last as it is released."""
    wheels = sorted(DIST.glob("*.whl"), key=lambda wheel: wheel.stat().st_mtime)
    if not wheels:
        raise FileNotFoundError(f"no wheel in {DIST}: build it with `make wheel`")
    return wheels[-1]
