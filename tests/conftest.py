"""What all tests share."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def without_vault_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what a developer's shell may say of Vault."""
    for name in os.environ:
        if name.startswith(("VAULT_", "BAO_")):
            monkeypatch.delenv(name)
