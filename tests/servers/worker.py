"""Generic workers of a homeserver: processes beside the main one that serve clients as well.

Documentation: https://element-hq.github.io/synapse/latest/workers.html
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from .port import ReservedPort
from .synapse import Synapse
from .synapse_process import SynapseProcess

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .valkey import Valkey


class MainProcess(Synapse):
    """A homeserver that has workers and shows metrics."""

    def __init__(
        self,
        directory: Path,
        module_config: Mapping[str, Any],
        valkey: Valkey,
        *,
        settings: Mapping[str, Any] | None = None,
        log_level: str = "DEBUG",
    ) -> None:
        """Write the configuration.

        Args:
            directory: For all files of the processes.
            module_config: The configuration of the module.
            valkey: What the processes talk through.
            settings: More of Synapse's own configuration.
            log_level: From which level on all processes write their logs.
        """
        self.log_level = log_level
        self.replication_port = ReservedPort()
        super().__init__(
            directory,
            module_config,
            settings={
                "redis": {"enabled": True, "host": "127.0.0.1", "port": valkey.port},
                "instance_map": {"main": {"host": "127.0.0.1", "port": self.replication_port}},
                "worker_replication_secret": secrets.token_hex(16),
                **(settings or {}),
            },
            listeners=[
                {
                    "port": self.replication_port,
                    "type": "http",
                    "bind_addresses": ["127.0.0.1"],
                    "resources": [{"names": ["replication"]}],
                }
            ],
            has_metrics=True,
            log_level=log_level,
        )


class Worker(SynapseProcess):
    """A process that serves clients of a homeserver whose main process is another one."""

    def __init__(self, name: str, main: MainProcess) -> None:
        """Write the configuration of a worker of this name and main process."""
        super().__init__(name, main.directory, log_level=main.log_level)
        self.main = main
        self.config_path = main.directory / f"{name}.yaml"
        configuration = {
            "worker_app": "synapse.app.generic_worker",
            "worker_name": name,
            "worker_log_config": str(self.log_config_path),
            "worker_listeners": [
                {
                    "port": self.port,
                    "type": "http",
                    "bind_addresses": ["127.0.0.1"],
                    "resources": [{"names": ["client"]}],
                },
                self.metrics_listener,
            ],
        }
        self.config_path.write_text(json.dumps(configuration, indent=1))

    @property
    def program(self) -> tuple[str, ...]:
        """The module of Synapse's that is run, and its arguments."""
        configurations = ("-c", str(self.main.config_path), "-c", str(self.config_path))
        return ("synapse.app.generic_worker", *configurations)
