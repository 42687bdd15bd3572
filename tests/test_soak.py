"""Logins while Vault comes and goes leave nothing behind; `make soak` shows it for half an hour."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benches.soak.__main__ import MARKER
from benches.soak.findings import table

from .pythons import ROOT

pytestmark = pytest.mark.long

RESULTS = ROOT / "docs" / "reliability" / "soak.json"
MANUAL = ROOT / "docs" / "reliability.md"


@pytest.mark.parametrize(
    ("seconds", "restart_every"), [(10, 5), pytest.param(60, 10, marks=pytest.mark.nightly)]
)
def test_logins_while_vault_is_killed_go_right_and_leave_nothing_behind(
    seconds: int,
    restart_every: int,
) -> None:
    # It is too short for memory to settle; what grows with every login is found all the same.
    options = [f"--seconds={seconds}", f"--restart-every={restart_every}", "--allowed=30"]
    options.append("--allowed-homeserver=60")
    result = subprocess.run(
        [sys.executable, "-m", "benches.soak", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_manual_shows_what_was_found() -> None:
    found = table(json.loads(RESULTS.read_text())) if RESULTS.exists() else ""
    _, shown, _ = MANUAL.read_text().split(MARKER)
    assert shown.strip() == found
