"""Where homeserver and Vault are: what options, environment and Synapse's configuration say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from ..provisioning import Provisioner, provisioning_settings
from .homeserver_yaml import HomeserverYaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .._core import ProvisioningSettings


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
        return Provisioner.with_settings(self.settings())

    def open_as_module(self) -> Provisioner:
        """Return a provisioner with the access to Vault that the module itself has.

        Raises:
            CommandError: Synapse's configuration cannot be read.
            ProvisioningError: Something is missing or wrong.
        """
        return Provisioner.with_settings(self.settings(as_module=True))

    def settings(self, *, as_module: bool = False) -> ProvisioningSettings:
        """Return what options, environment and Synapse's configuration say.

        Args:
            as_module: Whether everything about Vault comes from where the module has it.

        Raises:
            CommandError: Synapse's configuration cannot be read.
            ProvisioningError: One of them holds what no configuration can.
        """
        options = {
            "homeserver": self.homeserver,
            "server_name": self.server_name_option,
            "admin_access_token_file": _path(self.admin_token_file),
            "registration_shared_secret_file": _path(self.registration_shared_secret_file),
            "vault_token_file": _path(self.vault_token_file),
            "timeout": self.timeout,
        }
        homeserver = {
            "homeserver": self.synapse.url,
            "server_name": self.synapse.server_name,
            "registration_shared_secret": self.synapse.registration_shared_secret,
            "registration_shared_secret_file": self.synapse.registration_shared_secret_path,
        }
        return provisioning_settings(
            _present(options),
            homeserver=_present(homeserver),
            module=self.synapse.module,
            as_module=as_module,
        )

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


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _present(values: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in values.items() if value is not None}
