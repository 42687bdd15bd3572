"""PostgreSQL, the database of every homeserver that is more than a trial."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .process import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

_DEBIAN = Path("/usr/lib/postgresql")
"""Where Debian has the programs of each version, which are not on the search path."""


def postgres_command(name: str) -> Path | None:
    """Return the path of one of PostgreSQL's programs, of the newest version; `None` without it."""
    found = sorted(_DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1]
    elsewhere = shutil.which(name)
    return Path(elsewhere) if elsewhere else None


class Postgres(Server):
    """A database server that anybody on loopback may use, and that forgets all in a power cut."""

    user = "synapse"

    def __init__(self, directory: Path) -> None:
        super().__init__("postgres", directory)
        self._data = directory / "data"

    @property
    def synapse_database(self) -> dict[str, Any]:
        """What a homeserver's configuration says of its database."""
        return {
            "name": "psycopg2",
            "args": {
                "user": self.user,
                "dbname": "postgres",
                "host": "127.0.0.1",
                "port": self.port,
                "cp_min": 2,
                "cp_max": 10,
            },
        }

    def start(self) -> Postgres:
        """Make an empty database, start the server and wait until it takes connections."""
        if os.geteuid() == 0:
            # It does not run as root, and root makes directories that others cannot enter.
            account = _unprivileged()
            os.chown(self.directory, account.pw_uid, account.pw_gid)
        # Synapse takes no database with another order of characters.
        arguments = ["--locale=C", "--encoding=UTF8", "--auth=trust", "--no-sync"]
        subprocess.run(
            self._command("initdb", f"--username={self.user}", *arguments, f"{self._data}"),
            stdout=subprocess.DEVNULL,
            cwd=self.directory,
            check=True,
        )
        self.spawn(
            self._command(
                "postgres",
                *("-D", f"{self._data}", "-h", "127.0.0.1", "-p", str(self.port)),
                # No socket in a directory that it shares, and nothing written for a power cut.
                *("-k", "", "-c", "fsync=off", "-c", "max_connections=100"),
            ),
            {"PATH": os.environ["PATH"]},
        )
        self.wait_until_it_takes_connections()
        return self

    def stop(self, signal_number: int = signal.SIGINT) -> int | None:
        """End it without waiting for those who are connected."""
        return super().stop(signal_number)

    def _command(self, name: str, *arguments: str) -> Sequence[str | Path]:
        path = postgres_command(name)
        if path is None:
            raise RuntimeError("PostgreSQL is not installed")
        if os.geteuid() != 0:
            return [path, *arguments]
        account = _unprivileged()
        # Unlike runuser(1) this replaces itself with the command, which so gets our signals.
        ids = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
        return ["setpriv", *ids, "--", path, *arguments]


def _unprivileged() -> pwd.struct_passwd:
    """Return the user that Debian made for it, or else nobody."""
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
