"""A process of Synapse's, the main one or a worker: its log, and what clients ask of it."""

from __future__ import annotations

import json
import os
import sys
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import requests

from .log import FORMAT, Record, parse
from .metrics import Metrics
from .port import ReservedPort
from .process import Server

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from typing_extensions import Self

    from .launcher import Launcher


class SynapseProcess(Server):
    """Serves clients and writes a log of its own."""

    launcher: ClassVar[Launcher | None] = None
    """Starts processes in less time than their commands; the tests set it."""

    def __init__(
        self,
        name: str,
        directory: Path,
        *,
        environment: Mapping[str, str] | None = None,
        log_level: str = "DEBUG",
        python: str | None = None,
    ) -> None:
        """Write the configuration of the log.

        Args:
            name: What its files are called.
            directory: For all files of the server.
            environment: More environment variables.
            log_level: From which level on it writes its log.
            python: The interpreter that is started for it, if none may be that has Synapse
                imported already.
        """
        super().__init__(name, directory)
        self.python = python
        self.environment = {
            **{key: os.environ[key] for key in ("PATH", "LANG", "TZ") if key in os.environ},
            "HOME": str(directory),
            "RUST_LOG": "trace",
            **(environment or {}),
        }
        self.metrics_port = ReservedPort()
        self.log_path = directory / f"{name}.log"
        self.log_config_path = directory / f"{name}.log.yaml"
        logging = {
            "version": 1,
            "formatters": {"precise": {"format": FORMAT}},
            "handlers": {
                "file": {
                    "class": "logging.FileHandler",
                    "filename": str(self.log_path),
                    "formatter": "precise",
                }
            },
            "loggers": {
                "synapse.storage.SQL": {"level": "INFO"},
                # Most lines would be of this one, which has names and times alone.
                "synapse.storage.txn": {"level": "INFO"},
            },
            "root": {"level": log_level, "handlers": ["file"]},
            "disable_existing_loggers": False,
        }
        self.log_config_path.write_text(json.dumps(logging))

    @property
    def metrics_listener(self) -> dict[str, Any]:
        """What the configuration says of the listener that `metrics` asks."""
        return {"type": "metrics", "port": self.metrics_port, "bind_addresses": ["127.0.0.1"]}

    def metrics_text(self) -> str:
        """Return the metrics in the form that Prometheus reads."""
        return requests.get(f"http://127.0.0.1:{self.metrics_port}/", timeout=60).text

    def metrics(self) -> Metrics:
        """Return our own metrics."""
        return Metrics(self.metrics_text())

    @property
    @abstractmethod
    def program(self) -> tuple[str, ...]:
        """The module of Synapse's that is run, and its arguments."""

    @property
    def command(self) -> list[str]:
        """The command that starts the process in the foreground."""
        return [self.python or sys.executable, "-m", *self.program]

    def launch(self) -> None:
        """Start the process without waiting for it to answer."""
        # An interpreter reads these variables when it starts.
        has_its_own_python = self.python is not None or any(
            name.startswith("PYTHON") for name in self.environment
        )
        if self.launcher is None or has_its_own_python:
            self.spawn(self.command, self.environment)
            return
        module, *arguments = self.program
        self.process = self.launcher.start(
            module,
            arguments,
            environment=self.environment,
            directory=self.directory,
            output=self.output_path,
        )

    def start(self) -> Self:
        """Start the process and wait until it answers."""
        self.launch()
        self.wait_until_ready("/_matrix/client/versions")
        return self

    def log(self) -> str:
        """Return Synapse's log."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_size(self) -> int:
        """Return the length of the log in bytes, to ask later for what came after."""
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    def log_records(self, since: int = 0) -> list[Record]:
        """Return what was logged after the log had the length `since`."""
        with self.log_path.open("rb") as file:
            file.seek(since)
            return parse(file.read().decode(errors="replace"))

    def login_flows(self, version: str = "v3") -> list[str]:
        """Return the login types that are offered."""
        answer = requests.get(f"{self.url}/_matrix/client/{version}/login", timeout=30).json()
        return [flow["type"] for flow in answer["flows"]]

    def post_login(self, body: Any, version: str = "v3", timeout: float = 60) -> requests.Response:
        """Send a login with a body of any kind."""
        return requests.post(
            f"{self.url}/_matrix/client/{version}/login", json=body, timeout=timeout
        )

    def login(self, user: object, token_hash: object, timeout: float = 60) -> requests.Response:
        """Send a login of our type."""
        body = {
            "type": "io.t2bot.vault",
            "identifier": {"type": "m.id.user", "user": user},
            "token_hash": token_hash,
        }
        return self.post_login(body, timeout=timeout)
