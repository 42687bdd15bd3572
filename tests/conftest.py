"""What all tests share."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from .servers import SynapseProcess
from .servers.launcher import Launcher
from .servers.orphans import adopt_orphans, end_children

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_configure() -> None:
    """See to it that no process is lost sight of, and that all take signals as on a terminal."""
    if sys.platform == "linux":
        adopt_orphans()
    # Shells start what runs in the background without these, nohup without the second.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure() -> None:
    """End what is left: a process that shares the tests is killed if it is too slow to end."""
    if sys.platform == "linux":
        end_children()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin what takes long first, so that no process is left alone with it in the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session", autouse=True)
def launcher() -> Iterator[Launcher | None]:
    """Have Synapse forked; a test of how a process starts names the Python that is to run it."""
    if sys.platform != "linux":
        # Nobody would adopt what is forked.
        yield None
        return
    with Launcher() as launcher:
        SynapseProcess.launcher = launcher
        yield launcher
        SynapseProcess.launcher = None


@pytest.fixture
def without_vault_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what a developer's shell may say of Vault, and of us."""
    for name in os.environ:
        if name.startswith(("VAULT_", "BAO_", "SYNAPSE_VAULT_")):
            monkeypatch.delenv(name)
