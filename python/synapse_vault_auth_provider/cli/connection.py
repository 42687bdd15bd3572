"""Where homeserver and Vault are: what options, environment and Synapse's configuration say."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..provisioning import ConfigurationError, Provisioner, provisioning_settings
from .homeserver_yaml import HomeserverYaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from .._core import ProvisioningSettings


UNKNOWN_HOMESERVER = "http://homeserver.invalid"
"""An address that nobody has (RFC 6761), where one has to be given and none is asked."""

OPTIONS = {
    "homeserver": "--homeserver",
    "server_name": "--server-name",
    "vault_path_root": "--path-root",
}
"""The options for settings that Synapse's configuration has too."""


@dataclass
class Connection:
    """What the options before the verb say; the verbs get their provisioner from it."""

    config_paths: tuple[Path, ...] = ()
    homeserver: str | None = None
    ca_cert: Path | None = None
    server_name_option: str | None = None
    admin_token_file: Path | None = None
    registration_shared_secret_file: Path | None = None
    mas_admin_api: str | None = None
    mas_client_id: str | None = None
    mas_client_secret_file: Path | None = None
    mas_token_endpoint: str | None = None
    mas_ca_cert: Path | None = None
    vault_token_file: Path | None = None
    mount: str | None = None
    path_root: str | None = None
    engine: str | None = None
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
    def module(self) -> Mapping[str, Any] | None:
        """The module's configuration; `None` if Synapse's has none.

        Raises:
            CommandError: Synapse's configuration cannot be read, or names several.
        """
        return self.synapse.module(self.mount, self.path_root)

    @property
    def server_name(self) -> str | None:
        """The name of the homeserver, if anything says it."""
        return self.server_name_option or self.synapse.server_name

    def open(self, *, with_mas_secret: bool = False) -> Provisioner:
        """Return a provisioner that may write: the environment replaces Synapse's configuration.

        Args:
            with_mas_secret: Whether it knows what Synapse and Matrix Authentication Service share.

        Raises:
            CommandError: Synapse's configuration cannot be read.
            ProvisioningError: Something is missing or wrong.
        """
        return self._open(self.settings(with_mas_secret=with_mas_secret))

    def open_as_module(self) -> Provisioner:
        """Return a provisioner with the access to Vault that the module itself has.

        Raises:
            CommandError: Synapse's configuration cannot be read.
            ProvisioningError: Something is missing or wrong.
        """
        return self._open(self.settings(as_module=True))

    def settings(
        self, *, as_module: bool = False, with_mas_secret: bool = False
    ) -> ProvisioningSettings:
        """Return what options, environment and Synapse's configuration say.

        Args:
            as_module: Whether everything about Vault comes from where the module has it.
            with_mas_secret: Whether to read what Synapse and Matrix Authentication Service share.

        Raises:
            CommandError: Synapse's configuration cannot be read.
            ProvisioningError: One of them holds what no configuration can.
        """
        options = {
            "homeserver": self.homeserver,
            "ca_cert": _path(self.ca_cert),
            "server_name": self.server_name_option,
            "admin_access_token_file": _path(self.admin_token_file),
            "registration_shared_secret_file": _path(self.registration_shared_secret_file),
            "mas_admin_api": self.mas_admin_api,
            "mas_client_id": self.mas_client_id,
            "mas_client_secret_file": _path(self.mas_client_secret_file),
            "mas_token_endpoint": self.mas_token_endpoint,
            "mas_ca_cert": _path(self.mas_ca_cert),
            "vault_token_file": _path(self.vault_token_file),
            "vault_kv_mount_point": self.mount,
            "vault_path_root": self.path_root,
            "engine": self.engine,
            "timeout": self.timeout,
        }
        homeserver = {
            "homeserver": self.synapse.url,
            "server_name": self.synapse.server_name,
            "registration_shared_secret": self.synapse.registration_shared_secret,
            "registration_shared_secret_file": self.synapse.registration_shared_secret_path,
        }
        if with_mas_secret:
            homeserver["mas_shared_secret"] = self.synapse.mas_shared_secret
            homeserver["mas_shared_secret_file"] = self.synapse.mas_shared_secret_path
        return provisioning_settings(
            _present(options),
            homeserver=_present(homeserver),
            module=self.module,
            as_module=as_module,
        )

    def for_lease(self, user: str) -> Connection:
        """Return the same for reading a lease, which tells where the homeserver is.

        Args:
            user: Whose id names the server, if nothing else does.

        Raises:
            CommandError: Synapse's configuration cannot be read.
        """
        server_name = self.server_name or (user.partition(":")[2] if user[:1] == "@" else None)
        homeserver = self.homeserver or self.synapse.url or UNKNOWN_HOMESERVER
        return replace(self, homeserver=homeserver, server_name_option=server_name)

    def kv_location(self) -> tuple[str, int | None, str]:
        """Return the mount, the version of its engine if it is known, and the path of the entries.

        Raises:
            CommandError: Synapse's configuration cannot be read.
            ProvisioningError: Something is missing or wrong.
        """
        with self._advice():
            return self.settings().kv_location()

    def _open(self, settings: ProvisioningSettings) -> Provisioner:
        with self._advice():
            return Provisioner.with_settings(settings)

    @contextmanager
    def _advice(self) -> Iterator[None]:
        """Say of a setting that is missing where it may be."""
        try:
            yield
        except ConfigurationError as error:
            if ": required: " in error.message:
                error.advice = self._where_to_give(error.key)
            raise

    def _where_to_give(self, key: str | None) -> str | None:
        """Say where a setting that is missing may be, or how it is given to this command."""
        directory = self.synapse.missing_directory
        if key == "homeserver" and self.synapse.why_no_url:
            return "\n".join(["Give its address with --homeserver.", *self.synapse.why_no_url])
        if key in ("homeserver", "server_name", "vault_path_root") and directory:
            return f"Synapse's service may read more than you gave: add -c {directory}"
        option = OPTIONS.get(key or "")
        if option is None:
            return None
        file = "" if self.config_paths else ", or name Synapse's configuration with -c"
        return f"Give {option}{file}."

    @property
    def former_secret_lives(self) -> timedelta | None:
        """How long the module may accept a replaced secret; `None` if its settings are not known.

        Raises:
            CommandError: Synapse's configuration cannot be read.
            ProvisioningError: Something is missing or wrong.
        """
        times = self.settings().login_times()
        if times is None:
            return None
        rotation_grace, cache_ttl, _ = times
        return timedelta(seconds=max(rotation_grace, cache_ttl))

    @property
    def cached_secret_lives(self) -> timedelta | None:
        """The same, if Vault does not keep the replaced secret.

        Raises:
            CommandError: Synapse's configuration cannot be read.
            ProvisioningError: Something is missing or wrong.
        """
        times = self.settings().login_times()
        return None if times is None else timedelta(seconds=times[1])


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _present(values: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in values.items() if value is not None}
