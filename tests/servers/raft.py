"""Three OpenBao nodes that are one cluster, as in production."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import requests

from .durable_openbao import DurableOpenBao
from .process import START_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from .disk import Disk
    from .network import Machine
    from .pki import Authority

ACTIVE, STANDBY, SEALED = 200, 429, 503
"""What a node's health is; see https://openbao.org/api-docs/system/health/."""


class RaftNode(DurableOpenBao):
    """One node of a cluster."""

    def __init__(
        self,
        directory: Path,
        name: str,
        *,
        machine: Machine | None = None,
        authority: Authority | None = None,
        plugins: Path | None = None,
    ) -> None:
        super().__init__(
            directory, node_id=name, machine=machine, authority=authority, plugins=plugins
        )
        self.node_id = name
        self.disk: Disk | None = None
        """What it has its data on, if that is no directory of this machine's disk."""

    @property
    def is_running(self) -> bool:
        """Whether there is a process, be it of use or not."""
        return self.process is not None

    def health(self) -> int | None:
        """Return the status that tells what the node is; `None` if it does not answer."""
        if self.machine and self.machine.is_cut_off:
            return None  # There is no need to wait for it.
        with suppress(requests.RequestException):
            return requests.get(
                f"{self.url}/v1/sys/health", verify=self.verify, timeout=5
            ).status_code
        return None

    def kill(self) -> None:
        """End the process as a power cut does."""
        self.stop(signal.SIGKILL)

    def seal(self) -> None:
        """Seal the node, which must be the active one, and wait until it is."""
        self.cli("operator", "seal")
        _wait(f"{self.node_id} is sealed", lambda: self.health() == SEALED)

    def start_again(self) -> None:
        """Start the node if it does not run, and unseal it if it is sealed."""
        if not self.is_running:
            self.start_sealed()
        if self.health() == SEALED:
            self._unseal()

    def join(self, leader: RaftNode) -> None:
        """Become a node of the leader's cluster.

        API: https://openbao.org/api-docs/system/storage/raft/#join-a-raft-cluster
        """
        self.start_sealed()
        self._unseal_key, self.root_token = leader._unseal_key, leader.root_token
        trust = {"leader_ca_cert": leader.ca_cert.read_text()} if leader.ca_cert else {}
        self._put("storage/raft/join", {"leader_api_addr": leader.url, **trust})
        self._unseal()

    def _unseal(self) -> None:
        self._put("unseal", {"key": self._unseal_key})
        _wait(f"{self.node_id} is unsealed", lambda: self.health() in {ACTIVE, STANDBY})


class RaftCluster:
    """Three nodes with a KV v2 engine at `secret/`. An election takes about three seconds."""

    def __init__(
        self,
        directory: Path,
        *,
        machines: Sequence[Machine] | None = None,
        authority: Authority | None = None,
        plugins: Path | None = None,
    ) -> None:
        """Write the configurations.

        Args:
            directory: For all files of the nodes.
            machines: Where each of the three runs, if not all on loopback.
            authority: Who certifies them. Without one they do not speak TLS to clients.
            plugins: The directory with the plugins that they may run.
        """
        self.nodes = [
            RaftNode(directory / name, name, machine=machine, authority=authority, plugins=plugins)
            for name, machine in zip(
                ("one", "two", "three"), machines or (None, None, None), strict=True
            )
        ]

    @property
    def urls(self) -> list[str]:
        """The addresses of all nodes."""
        return [node.url for node in self.nodes]

    @property
    def root_token(self) -> str:
        """A token that may do everything."""
        return self.nodes[0].root_token

    def start(self) -> RaftCluster:
        """Start the nodes, and wait until each of them has a vote; that takes ten seconds."""
        first, *others = self.nodes
        first.start()
        for node in others:
            node.join(first)
        self.recover()
        return self

    def stop(self) -> None:
        """End all processes."""
        for node in self.nodes:
            node.kill()

    def recover(self) -> None:
        """Start and unseal what is not; wait until all nodes have a vote and the same data."""
        for node in self.nodes:
            node.start_again()
        _wait("a node is active", self._active)
        _wait("all nodes have a vote", self._all_vote)
        self.settle()

    def settle(self) -> None:
        """Wait until all nodes that run have what is written now."""
        mark = {"time": time.monotonic_ns()}

        def is_written() -> bool:
            # One that takes itself for the leader may find out now that it is not.
            with suppress(requests.RequestException):
                self.active().write("mark-of-the-tests", mark)
                return True
            return False

        _wait("the mark is written", is_written)
        running = [node for node in self.nodes if node.is_running]
        _wait("all have the mark", lambda: all(self._mark(node) == mark for node in running))

    def active(self) -> RaftNode:
        """Return the active node; wait until there is one."""
        _wait("a node is active", self._active)
        node = self._active()
        return node if node is not None else self.active()

    def standbys(self) -> list[RaftNode]:
        """Return the nodes that run and are not active."""
        return [node for node in self.nodes if node.health() == STANDBY]

    def cli(self, *arguments: str, stdin: str | None = None) -> str:
        """Run the vendor's command line against the active node and return what it prints."""
        return self.active().cli(*arguments, stdin=stdin)

    def _active(self) -> RaftNode | None:
        # One that stood still may take itself for the leader for a moment more.
        active = [node for node in self.nodes if node.health() == ACTIVE]
        return active[0] if len(active) == 1 else None

    def _all_vote(self) -> bool:
        """API: https://openbao.org/api-docs/system/storage/raft/#read-raft-configuration."""
        answer = self._get(self.active(), "sys/storage/raft/configuration")
        servers = answer["data"]["config"]["servers"] if answer is not None else []
        return len(servers) == len(self.nodes) and all(server["voter"] for server in servers)

    def _mark(self, node: RaftNode) -> object:
        answer = self._get(node, "secret/data/mark-of-the-tests")
        return answer["data"]["data"] if answer is not None else None

    def _get(self, node: RaftNode, path: str) -> dict[str, Any] | None:
        headers = {"X-Vault-Token": self.root_token}
        with suppress(requests.RequestException):
            response = requests.get(
                f"{node.url}/v1/{path}",
                headers=headers,
                verify=node.verify,
                timeout=5,
                allow_redirects=False,
            )
            if response.status_code == 200:
                answer: dict[str, Any] = response.json()
                return answer
        return None


def _wait(what: str, condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"never came to be: {what}")
        time.sleep(0.05)
