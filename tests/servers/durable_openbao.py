"""OpenBao as it runs in production: with its data on disk, and sealed whenever it starts."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import requests

from .openbao import OpenBao
from .process import START_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from .network import Machine
    from .pki import Authority

ANSWERS_WHILE_SEALED = "/v1/sys/health?uninitcode=200&sealedcode=200&standbycode=200"


class DurableOpenBao(OpenBao):
    """A server that can be stopped and started again with what it holds.

    The mount `secret/` is a KV v2 engine, as in development mode.
    """

    def __init__(
        self,
        directory: Path,
        node_id: str = "one",
        *,
        machine: Machine | None = None,
        authority: Authority | None = None,
        plugins: Path | None = None,
        log_level: str = "info",
    ) -> None:
        """Write the configuration.

        Args:
            directory: For all files of the server.
            node_id: Its name among the nodes of a cluster.
            machine: Where it runs, if not on loopback.
            authority: Who certifies it. Without one it does not speak TLS.
            plugins: The directory with the plugins that it may run.
            log_level: From which level on it writes its log.
        """
        super().__init__(directory, plugins=plugins, log_level=log_level)
        self.machine = machine
        self._unseal_key = ""
        self.data_path = directory / "data"
        self.data_path.mkdir()
        host = machine.address if machine else "127.0.0.1"
        self.url = f"{'https' if authority else 'http'}://{host}:{self.port}"
        listener: dict[str, Any] = {
            "address": f"{host}:{self.port}",
            "cluster_address": f"{host}:{self.cluster_port}",
            "tls_disable": authority is None,
        }
        if authority:
            self.ca_cert = directory / "ca.pem"
            self.ca_cert.write_text(authority.certificate)
            certificate, key = authority.issue(node_id, directory, host)
            listener.update(tls_cert_file=str(certificate), tls_key_file=str(key))
        configuration: dict[str, Any] = {
            "storage": {
                "raft": {
                    "path": str(self.data_path),
                    "node_id": node_id,
                    # It elects itself, or others that are as near.
                    "performance_multiplier": 1,
                }
            },
            "listener": {"tcp": listener},
            "api_addr": self.url,
            "cluster_addr": f"https://{host}:{self.cluster_port}",
        }
        if plugins:
            configuration["plugin_directory"] = str(plugins)
        self.config_path = directory / "openbao.json"
        self.config_path.write_text(json.dumps(configuration, indent=1))

    def start(self) -> DurableOpenBao:
        """Start the server, and the first time set it up; wait until it is unsealed."""
        self.start_sealed()
        if not self._unseal_key:
            keys = self._put("init", {"secret_shares": 1, "secret_threshold": 1})
            (self._unseal_key,) = keys["keys"]
            self.root_token = keys["root_token"]
            self.unseal()
            self.enable_secrets_engine()
        else:
            self.unseal()
        return self

    def start_sealed(self) -> None:
        """Start the server and wait until it answers, if only that it is sealed."""
        self._start(
            [
                self.binary,
                "server",
                f"-config={self.config_path}",
                f"-log-level={self.log_level}",
            ],
            {"HOME": str(self.directory), "PATH": os.environ["PATH"]},
            ANSWERS_WHILE_SEALED,
        )

    def spawn(self, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
        """Start the process, on its machine if it has one."""
        if self.machine:
            command = self.machine.command(command)
        super().spawn(command, environment)

    def unseal(self) -> None:
        """Unseal the server and wait until it is the active node."""
        self._put("unseal", {"key": self._unseal_key})
        self.wait_until_ready("/v1/sys/health")

    def enable_secrets_engine(self) -> None:
        """Mount an empty KV v2 engine at `secret/` and wait until it takes entries."""
        self.cli("secrets", "enable", "-path=secret", "kv-v2")
        # It answers 400 while it prepares its storage.
        deadline = time.monotonic() + START_TIMEOUT
        url, headers = f"{self.url}/v1/secret/config", {"X-Vault-Token": self.root_token}
        while requests.get(url, headers=headers, verify=self.verify, timeout=30).status_code != 200:
            if time.monotonic() > deadline:
                raise RuntimeError("the KV engine does not get ready")
            time.sleep(0.05)

    def _put(self, operation: str, body: dict[str, object]) -> dict[str, Any]:
        """API: https://openbao.org/api-docs/system/init/ and https://openbao.org/api-docs/system/unseal/."""
        response = requests.put(
            f"{self.url}/v1/sys/{operation}", json=body, verify=self.verify, timeout=30
        )
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer
