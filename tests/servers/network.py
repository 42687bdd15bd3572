"""A network of machines of its own, each a network namespace of Linux, which can be cut off.

Who makes one must be in a network namespace and a mount namespace of its own already, with the
rights of root there: what is left of it ends with these.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PREFIX = "10.99.0"
"""Of all addresses. Nothing leaves the namespace, so it does not matter who else has them."""

_NAMES = Path("/run/netns")
"""Where `ip netns` keeps the namespaces."""

_CUT = """
table inet cut {
  chain input { type filter hook input priority filter; policy drop; iif lo accept; }
  chain output { type filter hook output priority filter; policy drop; oif lo accept; }
}
"""
"""Rules of nft(8) by which every packet from and to others is lost, and nobody is told."""


class Machine:
    """Has an address on the network, and runs what is started on it."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.is_cut_off = False

    def command(self, command: Sequence[str | Path]) -> list[str | Path]:
        """Turn a command into one that runs here, as the same process."""
        return ["ip", "netns", "exec", self.name, *command]

    def cut_off(self) -> None:
        """Lose all packets from and to others; connections stay as they are."""
        self._nft(_CUT)
        self.is_cut_off = True

    def reconnect(self) -> None:
        """Undo that."""
        self._nft("delete table inet cut")
        self.is_cut_off = False

    def _nft(self, rules: str) -> None:
        subprocess.run(self.command(["nft", "-f", "-"]), input=rules, text=True, check=True)


class Network:
    """A bridge that machines are plugged into, and the namespace that it is made in."""

    def __init__(self) -> None:
        """Make the bridge."""
        _NAMES.mkdir(exist_ok=True)
        # Names in a directory of our own cannot be those of others, and go with its mount.
        subprocess.run(["mount", "-t", "tmpfs", "none", str(_NAMES)], check=True)
        _ip("link add bridge type bridge")
        _ip(f"address add {_PREFIX}.1/24 dev bridge")
        _ip("link set bridge up")
        self._count = 1

    def add(self, name: str) -> Machine:
        """Add a machine and plug it in."""
        self._count += 1
        address = f"{_PREFIX}.{self._count}"
        _ip(f"netns add {name}")
        _ip(f"link add {name} type veth peer name eth0 netns {name}")
        _ip(f"link set {name} master bridge up")
        _ip(f"-n {name} address add {address}/24 dev eth0")
        _ip(f"-n {name} link set lo up")
        _ip(f"-n {name} link set eth0 up")
        return Machine(name, address)


def _ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True)
