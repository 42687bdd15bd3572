"""Synapse on SQLite with a module of ours."""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
import json
import secrets
import sqlite3
from contextlib import closing, contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import requests

from .synapse_process import SynapseProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

SERVER_NAME = "example.org"

SYNAPSE_VERSION = tuple(map(int, version("matrix-synapse").split(".")[:2]))
"""The Synapse that the tests run, such as `(1, 163)`. Not all answer everything alike."""

MODULE = {
    "modules": "synapse_vault_auth_provider.VaultAuthProvider",
    "password_providers": "synapse-vault-auth-provider.VaultAuthProvider",
}


class Registration(enum.Enum):
    """The key of Synapse's configuration that names the module."""

    MODERN = "modules"
    LEGACY = "password_providers"


class Synapse(SynapseProcess):
    """A homeserver called example.org."""

    def __init__(
        self,
        directory: Path,
        module_config: Mapping[str, Any] | None,
        *,
        registration: Registration = Registration.MODERN,
        module: str | None = None,
        settings: Mapping[str, Any] | None = None,
        listeners: Sequence[Mapping[str, Any]] = (),
        environment: Mapping[str, str] | None = None,
        python: str | None = None,
        log_level: str = "DEBUG",
        has_metrics: bool = False,
    ) -> None:
        """Write the configuration.

        Args:
            directory: For all files of the server.
            module_config: The configuration of the module; `None` to run without one.
            registration: How Synapse is told of the module.
            module: Its name, if not ours.
            settings: More of Synapse's own configuration.
            listeners: More of its listeners.
            environment: More environment variables.
            python: The interpreter that is started for it, if none may be that has Synapse
                imported already.
            log_level: From which level on Synapse writes its log.
            has_metrics: Whether it shows metrics.
        """
        super().__init__(
            "synapse", directory, environment=environment, log_level=log_level, python=python
        )
        self.config_path = directory / "homeserver.yaml"
        self.shared_secret = secrets.token_hex(16)
        signing_key = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        configuration: dict[str, Any] = {
            "server_name": SERVER_NAME,
            "report_stats": False,
            "pid_file": str(directory / "synapse.pid"),
            "signing_key": f"ed25519 a_test {signing_key}",
            "macaroon_secret_key": secrets.token_hex(16),
            "form_secret": secrets.token_hex(16),
            "registration_shared_secret": self.shared_secret,
            "bcrypt_rounds": 4,
            "database": {"name": "sqlite3", "args": {"database": str(directory / "synapse.db")}},
            "media_store_path": str(directory / "media"),
            "log_config": str(self.log_config_path),
            "trusted_key_servers": [],
            "listeners": [
                {
                    "port": self.port,
                    "type": "http",
                    "bind_addresses": ["127.0.0.1"],
                    "resources": [{"names": ["client"]}],
                },
                *([self.metrics_listener] if has_metrics else []),
                *listeners,
            ],
            "enable_metrics": has_metrics,
            # As it comes, Synapse lets five logins through and then waits for minutes.
            "rc_login": {
                kind: {"per_second": 10_000, "burst_count": 10_000}
                for kind in ("address", "account", "failed_attempts")
            },
            **(settings or {}),
        }
        if module_config is not None:
            configuration[registration.value] = [
                {"module": module or MODULE[registration.value], "config": dict(module_config)}
            ]
        self.config_path.write_text(json.dumps(configuration, indent=1))

    @property
    def program(self) -> tuple[str, ...]:
        """The module of Synapse's that is run, and its arguments."""
        return ("synapse.app.homeserver", "-c", str(self.config_path))

    def register(self, localpart: str, password: str | None = None) -> str:
        """Create an account; return its user id. Without a password given, nobody knows it.

        API: https://element-hq.github.io/synapse/latest/admin_api/register_api.html
        """
        url = f"{self.url}/_synapse/admin/v1/register"
        nonce = requests.get(url, timeout=30).json()["nonce"]
        password = password or secrets.token_urlsafe()
        message = b"\0".join([nonce.encode(), localpart.encode(), password.encode(), b"notadmin"])
        body = {
            "nonce": nonce,
            "username": localpart,
            "password": password,
            "admin": False,
            "mac": hmac.new(self.shared_secret.encode(), message, hashlib.sha1).hexdigest(),
            "inhibit_login": True,
        }
        response = requests.post(url, json=body, timeout=30)
        if response.status_code == 200:
            user_id: str = response.json()["user_id"]
            return user_id
        if response.json().get("errcode") == "M_USER_IN_USE":
            return f"@{localpart}:{SERVER_NAME}"
        raise RuntimeError(f"cannot register {localpart}: {response.text}")

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        """Open Synapse's own database."""
        with closing(sqlite3.connect(self.directory / "synapse.db", timeout=30)) as database:
            yield database

    def insert_user(self, user_id: str) -> str:
        """Add an account with an id that today's grammar forbids and old databases hold."""
        with self.database() as database:
            # The columns that every version has. The others are of accounts that came later.
            database.execute(
                "INSERT OR IGNORE INTO users (name, creation_ts) VALUES (?, 0)", (user_id,)
            )
            database.commit()
        return user_id

    def devices(self, user_id: str) -> list[str]:
        """Return the ids of a user's devices, as the database has them."""
        path = self.directory / "synapse.db"
        with closing(sqlite3.connect(path, timeout=30)) as database:
            rows = database.execute(
                "SELECT device_id FROM devices WHERE user_id = ? AND NOT hidden", (user_id,)
            )
            return [row[0] for row in rows]
