"""Memory stays flat; ``benches/memory.py`` shows it with larger numbers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parent.parent


def test_the_process_does_not_grow_with_the_number_of_logins() -> None:
    options = ["--logins=5500", "--users=500", "--every=1000", "--ttl=100ms"]
    result = subprocess.run(
        [sys.executable, "-m", "benches.memory", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
