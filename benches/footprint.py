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

HOMESERVER = "import prometheus_client, synapse.module_api"
"""What a homeserver has loaded when it comes to its modules."""

MODULE = f"{HOMESERVER}; from synapse_vault_auth_provider import metrics, provider, reactor"


def run(stage: Stage) -> Result:
    """Start interpreters that load the module beside Synapse, and ones that load Synapse alone."""
    started = in_turn(
        stage.scale(25, 3),
        {"with the module": started_with(MODULE), "without": started_with(HOMESERVER)},
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
        (Bars("footprint", "Loading Synapse's module interface", "ms", started),),
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
