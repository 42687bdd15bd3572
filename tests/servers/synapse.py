"""Synapse on SQLite with a module of ours."""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
import json
import os
import secrets
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from .log import FORMAT, Record, parse
from .process import Server

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVER_NAME = "example.org"

MODULE = {
    "modules": "synapse_vault_auth_provider.VaultAuthProvider",
    "password_providers": "synapse-vault-auth-provider.VaultAuthProvider",
}


class Registration(enum.Enum):
    """The key of Synapse's configuration that names the module."""

    MODERN = "modules"
    LEGACY = "password_providers"


class Synapse(Server):
    """A homeserver called example.org."""

    def __init__(
        self,
        directory: Path,
        module_config: Mapping[str, Any] | None,
        *,
        registration: Registration = Registration.MODERN,
        module: str | None = None,
        settings: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        python: str = sys.executable,
        log_level: str = "DEBUG",
    ) -> None:
        """Write the configuration.

        Args:
            directory: For all files of the server.
            module_config: The configuration of the module; `None` to run without one.
            registration: How Synapse is told of the module.
            module: Its name, if not ours.
            settings: More of Synapse's own configuration.
            environment: More environment variables.
            python: The interpreter that Synapse is installed in.
            log_level: From which level on Synapse writes its log.
        """
        super().__init__("synapse", directory)
        self.python = python
        self.environment = {
            **{key: os.environ[key] for key in ("PATH", "LANG", "TZ") if key in os.environ},
            "HOME": str(directory),
            "RUST_LOG": "trace",
            **(environment or {}),
        }
        self.log_path = directory / "synapse.log"
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
            "log_config": str(directory / "log.yaml"),
            "trusted_key_servers": [],
            "listeners": [
                {
                    "port": self.port,
                    "type": "http",
                    "bind_addresses": ["127.0.0.1"],
                    "resources": [{"names": ["client"]}],
                }
            ],
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
            "loggers": {"synapse.storage.SQL": {"level": "INFO"}},
            "root": {"level": log_level, "handlers": ["file"]},
            "disable_existing_loggers": False,
        }
        (directory / "log.yaml").write_text(json.dumps(logging))

    @property
    def command(self) -> list[str]:
        """The command that starts the server in the foreground."""
        return [self.python, "-m", "synapse.app.homeserver", "-c", str(self.config_path)]

    def start(self) -> Synapse:
        """Start the server and wait until it answers."""
        self._start(self.command, self.environment, "/_matrix/client/versions")
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

    def insert_user(self, user_id: str) -> str:
        """Add an account with an id that today's grammar forbids and old databases hold."""
        with closing(sqlite3.connect(self.directory / "synapse.db", timeout=30)) as database:
            database.execute(
                "INSERT OR IGNORE INTO users (name, creation_ts, admin, is_guest, deactivated,"
                " shadow_banned, approved, locked, suspended)"
                " VALUES (?, 0, 0, 0, 0, FALSE, TRUE, FALSE, FALSE)",
                (user_id,),
            )
            database.commit()
        return user_id

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
