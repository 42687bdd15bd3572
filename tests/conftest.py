"""What all tests share."""

from __future__ import annotations

import os
import sys

import pytest

from .servers.orphans import adopt_orphans, end_children


def pytest_configure() -> None:
    """See to it that no process is lost sight of."""
    if sys.platform == "linux":
        adopt_orphans()


def pytest_unconfigure() -> None:
    """End what is left: a process that shares the tests is killed if it is too slow to end."""
    if sys.platform == "linux":
        end_children()


@pytest.fixture
def without_vault_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what a developer's shell may say of Vault."""
    for name in os.environ:
        if name.startswith(("VAULT_", "BAO_")):
            monkeypatch.delenv(name)
