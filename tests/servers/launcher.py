"""Has programs of Synapse forked by a process that has imported it, which saves most of a start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Self

_FORKING = Path(__file__).resolve().with_name("forking.py")


class Process(Protocol):
    """What `subprocess.Popen` and `Forked` have in common."""

    @property
    def pid(self) -> int:
        """The number of the process."""

    @property
    def returncode(self) -> int | None:
        """How it has ended, as far as somebody has asked."""

    def poll(self) -> int | None:
        """Return how it has ended; `None` if it has not."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends and return its exit code."""

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless it has ended."""

    def kill(self) -> None:
        """Send SIGKILL."""


class Forked:
    """A process that another one has forked for us, and that we have adopted."""

    def __init__(self, process_id: int) -> None:
        self.pid = process_id
        self.returncode: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Return how it has ended; `None` if it has not."""
        with self._lock:
            if self.returncode is None:
                process_id, status = os.waitpid(self.pid, os.WNOHANG)
                if process_id:
                    self.returncode = os.waitstatus_to_exitcode(status)
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends and return its exit code.

        Raises:
            subprocess.TimeoutExpired: It did not end in time.
        """
        began = time.monotonic()
        while (code := self.poll()) is None:
            if timeout is not None and time.monotonic() - began > timeout:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(0.01)
        return code

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class Launcher:
    """Starts programs of Synapse, for a process that adopts orphans; see `forking.py`."""

    def __init__(self) -> None:
        """Import nothing before the first program is asked for."""
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End what forks. What it has forked goes on."""
        if self._process is not None:
            self._process.communicate()

    def start(
        self,
        program: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: Path,
        output: Path,
    ) -> Forked:
        """Start a program.

        Args:
            program: A module of Synapse's, such as `synapse.app.homeserver`.
            arguments: Those of its command line.
            environment: All its environment variables.
            directory: Where it runs.
            output: The file that gets what it writes to its standard streams, at the end.
        """
        wanted = {
            "program": program,
            "arguments": list(arguments),
            "environment": dict(environment),
            "directory": str(directory),
            "output": str(output),
        }
        with self._lock:
            self._process = self._process or self._start_forking()
            assert self._process.stdin
            assert self._process.stdout
            self._process.stdin.write(json.dumps(wanted) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(
                f"{_FORKING.name} has ended: this Synapse may not let itself be forked"
            )
        return Forked(int(answer))

    def _start_forking(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(_FORKING)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
            start_new_session=True,
            text=True,
        )
