"""A server that is far away: a relay whose answers take their time.

Run by ``python -m benches.far_server PORT TARGET_PORT DELAY``, in a process of its own so that it
takes no time from those who measure. It hands on bytes as they come, and holds back only those
that come from that server.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.process import Server

if TYPE_CHECKING:
    from typing_extensions import Self


class FarServer(Server):
    """Stands in front of a server on this machine, and is `delay` seconds away."""

    def __init__(self, directory: Path, near_port: int, delay: float, probe: str) -> None:
        """Start nothing yet.

        Args:
            directory: For its output.
            near_port: Where the server listens.
            delay: How late its answers are, in seconds.
            probe: A path at which it answers 200.
        """
        super().__init__("far-server", directory)
        self._near_port = near_port
        self._delay = delay
        self._probe = probe

    def start(self) -> Self:
        """Start the process and wait until the server answers through it."""
        command = [sys.executable, "-m", "benches.far_server"]
        arguments = [str(self.port), str(self._near_port), str(self._delay)]
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        self._start([*command, *arguments], environment, self._probe)
        return self


async def relay(port: int, target_port: int, delay: float) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()

    class Near(asyncio.Protocol):
        """The connection to the server."""

        def __init__(self, client: asyncio.Transport) -> None:
            self.client = client

        def data_received(self, data: bytes) -> None:
            loop.call_later(delay, self.client.write, data)

        def connection_lost(self, _: Exception | None) -> None:
            loop.call_later(delay, self.client.close)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = writer.transport
        assert isinstance(client, asyncio.Transport)  # noqa: S101
        server, _ = await loop.create_connection(lambda: Near(client), "127.0.0.1", target_port)
        while data := await reader.read(65536):
            server.write(data)
        server.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", port, backlog=1024)
    await listener.serve_forever()


if __name__ == "__main__":
    asyncio.run(relay(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
