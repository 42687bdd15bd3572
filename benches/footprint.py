"""What the module adds to a homeserver's start, and to what is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .figures import Figure, Goal, Result

if TYPE_CHECKING:
    from .stage import Stage

DIST = Path(__file__).parents[1] / "dist"

WHEEL = (
    "Most of it is one library. It has TLS with its own cryptography (aws-lc), so that it depends"
    " on nothing that is installed, and all that the command line does."
)

HOMESERVER = "import time, prometheus_client, synapse.module_api"
"""What a homeserver has loaded when it comes to its modules."""

MODULE = "from synapse_vault_auth_provider import metrics, provider, reactor"

TIMED = f"started = time.perf_counter(); {MODULE}; print((time.perf_counter() - started) * 1e3)"


def run(stage: Stage) -> Result:
    """Import the module in interpreters that have loaded Synapse's module interface."""
    imported = tuple(import_time() for _ in range(stage.scale(25, 3)))
    size = newest_wheel().stat().st_size / 1e6
    return Result(
        "Footprint",
        (
            Figure("importing the module", imported, "ms", Goal.at_most(15)),
            Figure("the wheel", (size,), "MB", Goal.at_most(4, WHEEL)),
        ),
    )


def import_time() -> float:
    """Return how long a new interpreter takes to import the module, in milliseconds."""
    # Nobody's site-packages of their own: it depends on who runs this.
    command = [sys.executable, "-s", "-c", f"{HOMESERVER}; {TIMED}"]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def newest_wheel() -> Path:
    """Return the wheel that was built last as it is released."""
    wheels = sorted(DIST.glob("*.whl"), key=lambda wheel: wheel.stat().st_mtime)
    if not wheels:
        raise FileNotFoundError(f"no wheel in {DIST}: build it with `make wheel`")
    return wheels[-1]
