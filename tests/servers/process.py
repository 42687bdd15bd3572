"""A server as a child process, with its output in a file."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from .port import ReservedPort

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .launcher import Process

START_TIMEOUT = 120.0
"""Time a server may take to answer its first request, in seconds."""

STOP_TIMEOUT = 30.0
"""Time a server may take to end after SIGTERM, in seconds."""


class Server:
    """A child process that answers HTTP at `url`."""

    def __init__(self, name: str, directory: Path, port: ReservedPort | None = None) -> None:
        self.name = name
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self.output_path = directory / f"{name}.out"
        self.port = ReservedPort() if port is None else port
        self.url = f"http://127.0.0.1:{self.port}"
        self.ca_cert: Path | None = None
        """Whom to trust if the server speaks TLS; it may write the file when it starts."""
        self.process: Process | None = None

    def _start(
        self, command: Sequence[str | Path], environment: Mapping[str, str], probe: str
    ) -> None:
        self.spawn(command, environment)
        self.wait_until_ready(probe)

    def spawn(self, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
        """Start the process without waiting for it to answer."""
        # A session of its own: Ctrl-C in the terminal is ours to handle, in our order.
        with self.output_path.open("ab") as output:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=self.directory,
                start_new_session=True,
            )

    def wait_until_ready(self, probe: str) -> None:
        """Wait for a 200 at the path `probe`."""
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self.process is not None and self.process.poll() is not None:
                raise RuntimeError(
                    f"{self.name} ended with {self.process.returncode}:\n{self.output()[-4000:]}"
                )
            try:
                context = ssl.create_default_context(cafile=self.ca_cert) if self.ca_cert else None
                with urllib.request.urlopen(self.url + probe, timeout=5, context=context):  # noqa: S310
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"{self.name} did not answer in time:\n{self.output()[-4000:]}")

    @property
    def pid(self) -> int:
        """The number of the process."""
        if self.process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self.process.pid

    def wait_until_it_takes_connections(self) -> None:
        """Wait for a server that does not speak HTTP."""
        deadline = time.monotonic() + START_TIMEOUT
        while not self._takes_connections():
            if self.process is not None and self.process.poll() is not None:
                raise RuntimeError(
                    f"{self.name} ended with {self.process.returncode}:\n{self.output()[-4000:]}"
                )
            if time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.name} did not answer in time:\n{self.output()[-4000:]}")
            time.sleep(0.05)

    def _takes_connections(self) -> bool:
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def is_suspended(self) -> bool:
        """Whether SIGSTOP has reached every thread, which takes a while; see proc_pid_stat(5)."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/stat")
        return all(task.read_text().rpartition(")")[2].split()[0] == "T" for task in tasks)

    def output(self) -> str:
        """Return what the process has written to its standard streams."""
        return self.output_path.read_text(errors="replace") if self.output_path.exists() else ""

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended by itself or otherwise."""
        return self.process is not None and self.process.poll() is None

    def stop(self, signal_number: int = signal.SIGTERM) -> int | None:
        """End the process and return its exit code; `None` if it was not running."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        return self.wait()

    def wait(self, timeout: float = STOP_TIMEOUT) -> int:
        """Wait until the process ends and return its exit code.

        Args:
            timeout: How long, in seconds.

        Raises:
            subprocess.TimeoutExpired: It did not end in time. It is killed.
        """
        process, self.process = self.process, None
        if process is None:
            raise RuntimeError(f"{self.name} is not running")
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
