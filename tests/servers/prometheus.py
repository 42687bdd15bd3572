"""Prometheus, which reads metrics, and `promtool`, which checks rules and metrics."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from .process import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

FETCHED = Path(__file__).parents[2] / "target" / "prometheus" / "usr" / "bin"
"""Where `make prometheus` puts Debian's package."""


def prometheus_command(name: str) -> Path | None:
    """Return the path of `prometheus` or `promtool`; `None` if it is not here."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), str(FETCHED)]))
    return Path(found) if found else None


class Prometheus(Server):
    """A server that asks for metrics every second."""

    def __init__(
        self, directory: Path, targets: Sequence[str], rule_files: Sequence[Path] = ()
    ) -> None:
        """Write the configuration.

        Args:
            directory: For all files of the server.
            targets: Where metrics are, as ``host:port``.
            rule_files: Alerts to watch.
        """
        super().__init__("prometheus", directory)
        self.config_path = directory / "prometheus.yml"
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(path) for path in rule_files],
            "scrape_configs": [
                {
                    "job_name": "synapse",
                    "metrics_path": "/",
                    "static_configs": [{"targets": list(targets)}],
                }
            ],
        }
        self.config_path.write_text(json.dumps(configuration))

    def start(self) -> Prometheus:
        """Start the server and wait until it answers."""
        command = prometheus_command("prometheus")
        if command is None:
            raise RuntimeError("there is no prometheus: run make prometheus")
        self._start(
            [
                command,
                f"--config.file={self.config_path}",
                f"--storage.tsdb.path={self.directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ],
            {"PATH": os.environ["PATH"]},
            "/-/ready",
        )
        return self

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples that a PromQL expression has now.

        API: https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries
        """
        answer = requests.get(
            f"{self.url}/api/v1/query", params={"query": expression}, timeout=30
        ).json()
        if answer["status"] != "success":
            raise RuntimeError(f"{expression}: {answer['error']}")
        samples: list[dict[str, Any]] = answer["data"]["result"]
        return samples
