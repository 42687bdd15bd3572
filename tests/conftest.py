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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin what takes long first, so that no process is left alone with it in the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture
def without_vault_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what a developer's shell may say of Vault."""
    for name in os.environ:
        if name.startswith(("VAULT_", "BAO_")):
            monkeypatch.delenv(name)
