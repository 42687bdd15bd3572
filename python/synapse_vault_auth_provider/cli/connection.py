"""Where homeserver and Vault are: what options, environment and Synapse's configuration say."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .._core import duration_seconds
from ..provisioning import Provisioner
from .failure import CommandError
from .homeserver_yaml import HomeserverYaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

OF_LOGINS_ALONE = frozenset(
    {
        "allow_registration",
        "cache",
        "health_endpoint",
        "login_timeout",
        "m_login_password_support_enabled",
        "max_concurrent_lookups",
        "rotation_grace",
    }
)
"""Keys of the module that say how it decides logins, and nothing of where the secrets are."""

WAYS_TO_A_TOKEN = ("vault_token", "vault_token_file", "vault_auth")

REPLACED_BY = {
    "vault_url": ("VAULT_ADDR", "BAO_ADDR"),
    **dict.fromkeys(
        WAYS_TO_A_TOKEN,
        ("SYNAPSE_VAULT_TOKEN_FILE", "SYNAPSE_VAULT_AUTH", "VAULT_TOKEN", "BAO_TOKEN"),
    ),
    "vault_path_root": ("SYNAPSE_VAULT_PATH_ROOT",),
    "vault_kv_mount_point": ("SYNAPSE_VAULT_KV_MOUNT_POINT",),
    "vault_kv_version": ("SYNAPSE_VAULT_KV_VERSION",),
    "vault_namespace": ("VAULT_NAMESPACE", "BAO_NAMESPACE"),
}
"""Keys of the module, and the environment variables that count in their place."""

TLS_REPLACED_BY = {
    **dict.fromkeys(
        ("ca_cert", "ca_path"), ("VAULT_CACERT", "BAO_CACERT", "VAULT_CAPATH", "BAO_CAPATH")
    ),
    **dict.fromkeys(
        ("client_cert", "client_key"),
        ("VAULT_CLIENT_CERT", "BAO_CLIENT_CERT", "VAULT_CLIENT_KEY", "BAO_CLIENT_KEY"),
    ),
    "skip_verify": ("VAULT_SKIP_VERIFY", "BAO_SKIP_VERIFY"),
}
"""The same for the keys in ``vault_tls``."""

SHARED_SECRET_VARIABLE = "SYNAPSE_VAULT_REGISTRATION_SHARED_SECRET"  # noqa: S105 (its name)

NO_KEYS_OF_THE_MODULE = frozenset(
    {
        "homeserver",
        "server_name",
        "registration_shared_secret",
        "registration_shared_secret_file",
        "admin_access_token",
        "admin_access_token_file",
        "timeout",
    }
)
"""What a provisioner is told beside the module's keys, and under whose names none may be meant."""


@dataclass
class Connection:
    """What the options before the verb say; the verbs get their provisioner from it."""

    config_paths: tuple[Path, ...] = ()
    homeserver: str | None = None
    server_name_option: str | None = None
    admin_token_file: Path | None = None
    registration_shared_secret_file: Path | None = None
    vault_token_file: Path | None = None
    timeout: str | None = None
    as_json: bool = False

    @cached_property
    def synapse(self) -> HomeserverYaml:
        """What Synapse's configuration says; nothing, if none was named.

        Raises:
            CommandError: It cannot be read.
        """
        return HomeserverYaml.read(self.config_paths)

    @property
    def server_name(self) -> str | None:
        """The name of the homeserver, if anything says it."""
        return self.server_name_option or self.synapse.server_name

    def open(self) -> Provisioner:
        """Return a provisioner that may write: the environment replaces Synapse's configuration.

        Raises:
            CommandError: Synapse's configuration cannot be read.
            ProvisioningError: Something is missing or wrong.
        """
        return Provisioner(**self.arguments(), **self.vault_settings())

    def open_as_module(self) -> Provisioner:
        """Return a provisioner with the access to Vault that the module itself has.

        Synapse's configuration comes first here, and of the environment only those variables fill
        in that the module knows.

        Raises:
            CommandError: Synapse's configuration cannot be read.
            ProvisioningError: Something is missing or wrong.
        """
        if self.synapse.module is None:
            return self.open()
        arguments = self.arguments() | _of_vault(self.synapse.module)
        if self.synapse.server_name is not None:
            arguments["server_name"] = self.synapse.server_name
        with _unset(name for names in REPLACED_BY.values() for name in names if _is_ours(name)):
            return Provisioner(**arguments)

    @property
    def former_secret_lives(self) -> timedelta | None:
        """How long the module may accept a replaced secret; `None` if its settings are not known.

        Raises:
            CommandError: Synapse's configuration cannot be read, or this in it.
        """
        if self.synapse.module is None:
            return None
        cache = self.synapse.module.get("cache")
        return max(
            _duration("rotation_grace", self.synapse.module.get("rotation_grace")),
            _duration("cache.ttl", cache.get("ttl") if isinstance(cache, dict) else None),
        )

    def vault_settings(self) -> dict[str, Any]:
        """Return the module's keys about Vault that Synapse's configuration has the say in."""
        settings = _of_vault(self.synapse.module or {})
        for key in list(settings):
            if _is_replaced(REPLACED_BY.get(key, ())):
                del settings[key]
        tls = settings.get("vault_tls")
        if isinstance(tls, dict):
            settings["vault_tls"] = {
                key: value
                for key, value in tls.items()
                if not _is_replaced(TLS_REPLACED_BY.get(key, ()))
            }
        if self.vault_token_file is not None:
            for key in WAYS_TO_A_TOKEN:
                settings.pop(key, None)
            settings["vault_token_file"] = str(self.vault_token_file)
        return settings

    def arguments(self) -> dict[str, Any]:
        """Return what a provisioner is told beside the module's keys, the environment aside."""
        arguments: dict[str, Any] = {
            "homeserver": self.homeserver or self.synapse.url,
            "server_name": self.server_name,
            "admin_access_token_file": self.admin_token_file,
            "registration_shared_secret_file": self.registration_shared_secret_file,
            "timeout": self.timeout,
        }
        if self.registration_shared_secret_file is None and not _is_replaced(
            (SHARED_SECRET_VARIABLE,)
        ):
            arguments |= {
                "registration_shared_secret": self.synapse.registration_shared_secret,
                "registration_shared_secret_file": self.synapse.registration_shared_secret_path,
            }
        return {name: value for name, value in arguments.items() if value is not None}


def _duration(key: str, written: object) -> timedelta:
    try:
        return timedelta(seconds=duration_seconds(json.dumps(written or 0)))
    except (TypeError, ValueError) as error:
        raise CommandError(f"{key}: {error}") from None


def _of_vault(module: Mapping[str, Any]) -> dict[str, Any]:
    for key in module:
        if key in NO_KEYS_OF_THE_MODULE:
            raise CommandError(f"{key}: unknown key in the module's configuration")
    return {key: value for key, value in module.items() if key not in OF_LOGINS_ALONE}


def _is_replaced(variables: tuple[str, ...]) -> bool:
    return any(os.environ.get(name) for name in variables)


def _is_ours(variable: str) -> bool:
    return variable.startswith("SYNAPSE_VAULT_")


@contextmanager
def _unset(variables: Iterator[str]) -> Iterator[None]:
    """Take variables out of the environment for a while."""
    kept = {name: os.environ.pop(name) for name in set(variables) if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
