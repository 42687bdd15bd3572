"""What is done to a deployment while users log in: one thing after the other, each undone."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests

from tests.servers.auth_methods import revoke_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from .deployment import Deployment

_BALLAST = "ballast-of-the-tests"


@dataclass(frozen=True)
class Fault:
    """Something that happens to a deployment."""

    name: str
    """On the command line and in the picture."""
    what: str
    """In the table."""
    lasts: float
    """Time until it is undone, in seconds."""
    harm: Callable[[Deployment], AbstractContextManager[str]]
    """Does it; says to whom; and undoes it, in the end."""
    needs_namespaces: bool = False


@contextmanager
def kill_active_node(deployment: Deployment) -> Iterator[str]:
    node = deployment.vault.active()
    node.kill()
    yield f"Vault node {node.node_id}"
    node.start_again()


@contextmanager
def cut_off_active_node(deployment: Deployment) -> Iterator[str]:
    node = deployment.vault.active()
    assert node.machine is not None
    node.machine.cut_off()
    yield f"Vault node {node.node_id}"
    node.machine.reconnect()


@contextmanager
def seal_active_node(deployment: Deployment) -> Iterator[str]:
    node = deployment.vault.active()
    node.seal()
    yield f"Vault node {node.node_id}"
    node.start_again()


@contextmanager
def restart_worker(deployment: Deployment) -> Iterator[str]:
    worker = deployment.workers[0]
    worker.stop()
    yield worker.name
    worker.start()


@contextmanager
def revoke_tokens(deployment: Deployment) -> Iterator[str]:
    revoke_all(deployment.vault.active(), {"mount": "approle"})
    yield "all processes"


@contextmanager
def rotate_secrets(deployment: Deployment) -> Iterator[str]:
    deployment.rotate()
    yield f"all {len(deployment.users)} users"


@contextmanager
def fill_disk_of_active_node(deployment: Deployment) -> Iterator[str]:
    node = deployment.vault.active()
    disk = node.disk
    assert disk is not None
    disk.fill()
    # A node notices when it is to write something.
    with _writing(deployment):
        yield f"Vault node {node.node_id}"
    disk.free()
    # One that has not ended by itself may be beyond recovery all the same.
    node.kill()
    node.start_again()


@contextmanager
def _writing(deployment: Deployment) -> Iterator[None]:
    """Write to the active node meanwhile, whoever it is and whether or not it can."""
    ended = threading.Event()

    def write_until_the_end() -> None:
        while not ended.wait(0.2):
            with suppress(RuntimeError, requests.RequestException):
                deployment.vault.active().write(_BALLAST, {"filler": "x" * 100_000})

    writer = threading.Thread(target=write_until_the_end)
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join()


FAULTS = (
    Fault("kill", "The active Vault node is killed, and started again", 6, kill_active_node),
    Fault(
        "partition",
        "The active Vault node is cut off without notice, and connected again",
        8,
        cut_off_active_node,
        needs_namespaces=True,
    ),
    Fault("seal", "The active Vault node is sealed, and unsealed again", 5, seal_active_node),
    Fault("worker", "A worker ends, and is started again", 2, restart_worker),
    Fault("revoke", "All Vault tokens of the module are revoked", 4, revoke_tokens),
    Fault("rotate", "All users get new secrets", 6, rotate_secrets),
    Fault(
        "disk",
        "The disk of the active Vault node is full, and has room again",
        5,
        fill_disk_of_active_node,
        needs_namespaces=True,
    ),
)
"""In the order of a run."""
