"""Accounts that log in through Vault: made, opened, given other secrets, and closed.

    from synapse_vault_auth_provider.provisioning import Provisioner

    with Provisioner("http://localhost:8008", "example.org") as provisioner:
        user = provisioner.provision_user("bot", display_name="Bot")
        print(user.matrix_user_id, user.access_token)

Every verb has a form that blocks, and one to await that is named after it with ``_async`` behind.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

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
    from collections.abc import Callable, Coroutine, Mapping

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

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def _to_await(
    verb: Callable[Concatenate[Any, _Parameters], _Result],
) -> Callable[Concatenate[Any, _Parameters], Coroutine[Any, Any, _Result]]:
    """Return the form of a verb that does not block the event loop."""

    async def awaited(
        provisioner: _core.Provisioner, /, *args: _Parameters.args, **kwargs: _Parameters.kwargs
    ) -> _Result:
        result: _Result = await getattr(provisioner.awaitable(), verb.__name__)(*args, **kwargs)
        return result

    functools.update_wrapper(awaited, verb, assigned=())
    awaited.__name__ = f"{verb.__name__}_async"
    awaited.__qualname__ = f"Provisioner.{awaited.__name__}"
    awaited.__doc__ = f"Do what `{verb.__name__}` does, without blocking the event loop."
    return awaited


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

    provision_user_async = _to_await(_core.Provisioner.provision_user)
    login_async = _to_await(_core.Provisioner.login)
    logout_async = _to_await(_core.Provisioner.logout)
    keep_token_async = _to_await(_core.Provisioner.keep_token)
    rotate_secret_async = _to_await(_core.Provisioner.rotate_secret)
    revoke_user_async = _to_await(_core.Provisioner.revoke_user)
    update_profile_async = _to_await(_core.Provisioner.update_profile)
    read_lease_async = _to_await(_core.Provisioner.read_lease)
    renew_lease_async = _to_await(_core.Provisioner.renew_lease)
    revoke_lease_async = _to_await(_core.Provisioner.revoke_lease)
    list_users_async = _to_await(_core.Provisioner.list_users)
    diagnose_async = _to_await(_core.Provisioner.diagnose)

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
