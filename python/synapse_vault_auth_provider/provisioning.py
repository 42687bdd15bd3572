"""Accounts that log in through Vault: made, opened, given other secrets, and closed.

    from synapse_vault_auth_provider.provisioning import Provisioner

    with Provisioner("http://localhost:8008", "example.org") as provisioner:
        user = provisioner.provision_user("bot", display_name="Bot")
        print(user.matrix_user_id, user.access_token)

Every verb has a form that blocks, and one to await that is named after it with ``_async`` behind.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from . import _core
from ._core import (
    Finding,
    KeptToken,
    Lease,
    ListedUser,
    Login,
    Profile,
    ProvisionedUser,
    ProvisioningSettings,
    RevokedUser,
    RotatedSecret,
    SettingsError,
)
from .config import environment, to_json
from .errors import (
    ConfigurationError,
    ConflictError,
    HomeserverError,
    ProvisioningError,
    UndecidedError,
    UnreachableError,
    VaultError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

__all__ = [
    "ConfigurationError",
    "ConflictError",
    "Finding",
    "HomeserverError",
    "KeptToken",
    "Lease",
    "ListedUser",
    "Login",
    "Profile",
    "ProvisionedUser",
    "Provisioner",
    "ProvisioningError",
    "RevokedUser",
    "RotatedSecret",
    "UndecidedError",
    "UnreachableError",
    "VaultError",
]


class Provisioner(_core.Provisioner):
    """Creates accounts, keeps their secrets in Vault, and gets tokens with them.

    It connects at the first verb. Use one for as long as the process lives, or as a context
    manager. It may be shared between threads and event loops.
    """

    def __new__(
        cls,
        homeserver: str | None = None,
        server_name: str | None = None,
        *,
        ca_cert: str | os.PathLike[str] | None = None,
        registration_shared_secret: str | None = None,
        registration_shared_secret_file: str | os.PathLike[str] | None = None,
        admin_access_token: str | None = None,
        admin_access_token_file: str | os.PathLike[str] | None = None,
        mas_admin_api: str | None = None,
        mas_client_id: str | None = None,
        mas_client_secret: str | None = None,
        mas_client_secret_file: str | os.PathLike[str] | None = None,
        mas_token_endpoint: str | None = None,
        mas_ca_cert: str | os.PathLike[str] | None = None,
        mas_shared_secret: str | None = None,
        mas_shared_secret_file: str | os.PathLike[str] | None = None,
        timeout: float | str | None = None,
        engine: str | None = None,
        **vault: object,
    ) -> Self:
        """Check what is given.

        What is not given is taken from the environment: ``SYNAPSE_VAULT_HOMESERVER``,
        ``SYNAPSE_VAULT_SERVER_NAME`` and so on, ``SYNAPSE_VAULT_PATH_ROOT``,
        ``SYNAPSE_VAULT_KV_MOUNT_POINT``, ``SYNAPSE_VAULT_KV_VERSION`` and
        ``SYNAPSE_VAULT_TOKEN_FILE``, and the variables of Vault's own command line.

        Args:
            homeserver: The homeserver's URL, such as ``http://localhost:8008``.
            server_name: The name in its users' ids, such as ``example.org``.
            ca_cert: File with the certificate authorities to trust as the homeserver; the system's
                by default.
            registration_shared_secret: Synapse's, to create accounts with.
            registration_shared_secret_file: The file that has it.
            admin_access_token: A server administrator's, to create accounts with and for all else
                that the admin API can do. It goes first if both are given. Neither is needed to
                log in, to rotate secrets or to list.
            admin_access_token_file: The file that has it.
            mas_admin_api: Where Matrix Authentication Service (MAS) has its admin API, such as
                ``http://localhost:8081``. It takes the place of the two rights above where MAS
                signs the homeserver's users in.
            mas_client_id: The client that may use that API.
            mas_client_secret: Its secret.
            mas_client_secret_file: The file that has it.
            mas_token_endpoint: Where the client gets its tokens, if not where MAS says.
            mas_ca_cert: File with the certificate authorities to trust as MAS; the system's by
                default.
            mas_shared_secret: What Synapse shares with Matrix Authentication Service, to reset
                cross-signing keys.
            mas_shared_secret_file: The file that has it.
            timeout: All that one verb may take, in seconds or as ``"5m"``, waits included that a
                server asks for; 60 seconds by default.
            engine: The mount of the secrets engine for Matrix, if that has the secrets. It takes
                the place of the KV engine's mount, version and path.
            vault: The module's own settings: ``vault_url``, ``vault_token``, ``vault_path_root``
                and the others, with the same meanings and defaults. The token must be one that
                may write; ``synapse-vault policy --for provisioning`` prints the policy.

        Raises:
            ConfigurationError: One of them is wrong or missing.
        """
        given = {
            "homeserver": homeserver,
            "server_name": server_name,
            "ca_cert": _path(ca_cert),
            "registration_shared_secret": registration_shared_secret,
            "registration_shared_secret_file": _path(registration_shared_secret_file),
            "admin_access_token": admin_access_token,
            "admin_access_token_file": _path(admin_access_token_file),
            "mas_admin_api": mas_admin_api,
            "mas_client_id": mas_client_id,
            "mas_client_secret": mas_client_secret,
            "mas_client_secret_file": _path(mas_client_secret_file),
            "mas_token_endpoint": mas_token_endpoint,
            "mas_ca_cert": _path(mas_ca_cert),
            "mas_shared_secret": mas_shared_secret,
            "mas_shared_secret_file": _path(mas_shared_secret_file),
            "timeout": timeout,
            "engine": engine,
        }
        settings = {key: value for key, value in {**given, **vault}.items() if value is not None}
        return cls.with_settings(provisioning_settings(settings))

    @classmethod
    def with_settings(cls, settings: ProvisioningSettings) -> Self:
        """Make a provisioner of settings that come from several sources; for the command line.

        Raises:
            ConfigurationError: One of them is wrong or missing.
        """
        return super().__new__(cls, settings)

    async def provision_user_async(
        self,
        user_id: str,
        *,
        display_name: str | None = None,
        avatar: str | None = None,
        is_admin: bool = False,
        user_type: str | None = None,
        external_id: str | None = None,
        adopt: bool = False,
        reset_cross_signing: bool = False,
        with_token: bool = True,
    ) -> ProvisionedUser:
        """Do what `provision_user` does, without blocking the event loop."""
        return await super().provision_user_async(
            user_id,
            display_name=display_name,
            avatar=avatar,
            is_admin=is_admin,
            user_type=user_type,
            external_id=external_id,
            adopt=adopt,
            reset_cross_signing=reset_cross_signing,
            with_token=with_token,
        )

    async def login_async(
        self,
        matrix_user_id: str,
        *,
        device_id: str | None = None,
        device_name: str | None = None,
        logout_others: bool = False,
    ) -> Login:
        """Do what `login` does, without blocking the event loop."""
        return await super().login_async(
            matrix_user_id,
            device_id=device_id,
            device_name=device_name,
            logout_others=logout_others,
        )

    async def logout_async(self, access_token: str) -> None:
        """Do what `logout` does, without blocking the event loop."""
        await super().logout_async(access_token)

    async def keep_token_async(
        self,
        matrix_user_id: str,
        keep_in: str,
        *,
        renew_before: float | str | None = None,
        device_id: str | None = None,
        device_name: str | None = None,
        homeserver_url: str | None = None,
        lifetime: float | str | None = None,
        overlap: float | str | None = None,
    ) -> KeptToken:
        """Do what `keep_token` does, without blocking the event loop."""
        return await super().keep_token_async(
            matrix_user_id,
            keep_in,
            renew_before=renew_before,
            device_id=device_id,
            device_name=device_name,
            homeserver_url=homeserver_url,
            lifetime=lifetime,
            overlap=overlap,
        )

    async def rotate_secret_async(
        self, matrix_user_id: str, *, dry_run: bool = False
    ) -> RotatedSecret:
        """Do what `rotate_secret` does, without blocking the event loop."""
        return await super().rotate_secret_async(matrix_user_id, dry_run=dry_run)

    async def revoke_user_async(
        self,
        matrix_user_id: str,
        *,
        deactivate: bool = False,
        wait: bool = False,
        dry_run: bool = False,
    ) -> RevokedUser:
        """Do what `revoke_user` does, without blocking the event loop."""
        return await super().revoke_user_async(
            matrix_user_id, deactivate=deactivate, wait=wait, dry_run=dry_run
        )

    async def update_profile_async(
        self,
        matrix_user_id: str,
        *,
        display_name: str | None = None,
        avatar: str | None = None,
        access_token: str | None = None,
    ) -> Profile:
        """Do what `update_profile` does, without blocking the event loop."""
        return await super().update_profile_async(
            matrix_user_id,
            display_name=display_name,
            avatar=avatar,
            access_token=access_token,
        )

    async def read_lease_async(self, matrix_user_id: str) -> Lease:
        """Do what `read_lease` does, without blocking the event loop."""
        return await super().read_lease_async(matrix_user_id)

    async def renew_lease_async(self, lease_id: str) -> float:
        """Do what `renew_lease` does, without blocking the event loop."""
        return await super().renew_lease_async(lease_id)

    async def revoke_lease_async(self, lease_id: str) -> None:
        """Do what `revoke_lease` does, without blocking the event loop."""
        await super().revoke_lease_async(lease_id)

    async def list_users_async(self) -> list[ListedUser]:
        """Do what `list_users` does, without blocking the event loop."""
        return await super().list_users_async()

    async def diagnose_async(self, matrix_user_id: str | None = None) -> list[Finding]:
        """Do what `diagnose` does, without blocking the event loop."""
        return await super().diagnose_async(matrix_user_id)

    def __enter__(self) -> Self:
        """Return the provisioner."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    async def __aenter__(self) -> Self:
        """Return the provisioner."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def provisioning_settings(
    given: Mapping[str, object],
    *,
    homeserver: Mapping[str, object] | None = None,
    module: object = None,
    as_module: bool = False,
) -> ProvisioningSettings:
    """Take the sources of settings as Python has them; for the command line.

    Args:
        given: What a caller or an option says.
        homeserver: What Synapse's configuration says of the homeserver, under the same keys.
        module: The module's configuration, if there is one.
        as_module: Whether everything about Vault comes from where the module has it.

    Raises:
        ConfigurationError: One of them holds what no configuration can.
    """
    try:
        return ProvisioningSettings(
            to_json(given),
            environment(),
            homeserver=to_json(homeserver or {}),
            module=None if module is None else to_json(module),
            as_module=as_module,
        )
    except SettingsError as error:
        key, message = error.args
        raise ConfigurationError(f"{key}: {message}", key=key) from None


def _path(path: str | os.PathLike[str] | None) -> Any:
    return None if path is None else os.fspath(path)
