"""Generic workers of a homeserver: processes beside the main one that serve clients as well.

Documentation: https://element-hq.github.io/synapse/latest/workers.html
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from .process import free_port
from .synapse import Synapse
from .synapse_process import SynapseProcess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from .valkey import Valkey


def main_process(
    directory: Path,
    module_config: Mapping[str, Any],
    valkey: Valkey,
    *,
    settings: Mapping[str, Any] | None = None,
    listeners: Sequence[Mapping[str, Any]] = (),
) -> Synapse:
    """Write the configuration of a homeserver that has workers."""
    replication = {"host": "127.0.0.1", "port": free_port()}
    return Synapse(
        directory,
        module_config,
        settings={
            "redis": {"enabled": True, "host": "127.0.0.1", "port": valkey.port},
            "instance_map": {"main": replication},
            "worker_replication_secret": secrets.token_hex(16),
            **(settings or {}),
        },
        listeners=[
            {
                "port": replication["port"],
                "type": "http",
                "bind_addresses": ["127.0.0.1"],
                "resources": [{"names": ["replication"]}],
            },
            *listeners,
        ],
    )


class Worker(SynapseProcess):
    """A process that serves clients of a homeserver whose main process is another one."""

    def __init__(
        self, name: str, main: Synapse, *, listeners: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """Write the configuration.

        Args:
            name: What the worker is called.
            main: The main process.
            listeners: More of the worker's listeners.
        """
        super().__init__(name, main.directory)
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
                *listeners,
            ],
        }
        self.config_path.write_text(json.dumps(configuration, indent=1))

    @property
    def command(self) -> list[str]:
        """The command that starts the worker in the foreground."""
        configurations = ["-c", str(self.main.config_path), "-c", str(self.config_path)]
        return [self.main.python, "-m", "synapse.app.generic_worker", *configurations]
