"""nginx, in front of a homeserver's processes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from .port import ReservedPort
from .process import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

    from .synapse_process import SynapseProcess

FETCHED = Path(__file__).parents[2] / "target" / "nginx" / "usr" / "sbin"
"""Where `make nginx` puts Debian's package."""

SERVED_BY = "X-Served-By"
"""A header of answers: the process that gave it."""


def nginx_command() -> Path | None:
    """Return the path of nginx; `None` without it."""
    # Debian has it where not everybody looks.
    places = [os.environ.get("PATH", ""), "/usr/sbin", str(FETCHED)]
    found = shutil.which("nginx", path=os.pathsep.join(places))
    return Path(found) if found else None


class ConfiguredNginx(Server):
    """Does what somebody else has written for it."""

    def __init__(self, directory: Path, port: ReservedPort, sites: str) -> None:
        """Write the configuration.

        Args:
            directory: For all files of the server.
            port: Where it listens, by the words of `sites`.
            sites: What its mapping `http` has.
        """
        super().__init__("nginx", directory, port)
        temporary = "\n".join(
            f"{kind}_temp_path {directory / kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        self.config_path = directory / "nginx.conf"
        self.config_path.write_text(f"""
daemon off;
worker_processes 1;
pid {directory / "nginx.pid"};
error_log {directory / "error.log"};
events {{ worker_connections 4096; }}
http {{
  access_log off;
  {temporary}
{sites}
}}
""")

    def start(self) -> Self:
        """Start the server and wait until it hands requests on."""
        command = nginx_command()
        if command is None:
            raise RuntimeError("nginx is not installed")
        arguments = ["-c", str(self.config_path), "-e", str(self.directory / "error.log")]
        self._start([command, *arguments], {"PATH": os.environ["PATH"]}, "/_matrix/client/versions")
        return self


class Nginx(ConfiguredNginx):
    """Hands logins to the workers in turn, and everything else to the main process."""

    def __init__(
        self, directory: Path, main: SynapseProcess, workers: Sequence[SynapseProcess]
    ) -> None:
        """Write the configuration."""
        self._names = {f"127.0.0.1:{process.port}": process.name for process in (main, *workers)}
        servers = "\n".join(f"server 127.0.0.1:{worker.port};" for worker in workers)
        port = ReservedPort()
        super().__init__(
            directory,
            port,
            f"""
  upstream workers {{ {servers} }}
  server {{
    listen 127.0.0.1:{port};
    add_header {SERVED_BY} $upstream_addr always;
    location / {{ proxy_pass http://127.0.0.1:{main.port}; }}
    location ~ ^/_matrix/client/(api/v1|r0|v3|unstable)/login$ {{
      proxy_pass http://workers;
      # A login may be sent again, so one whose worker ends goes to the other one.
      proxy_next_upstream error timeout non_idempotent;
    }}
  }}
""",
        )

    def process_behind(self, served_by: str) -> str:
        """Return the name of the process that gave an answer, by the header of it."""
        # It names all that were tried.
        address = served_by.rpartition(", ")[2]
        return self._names.get(address, address)
