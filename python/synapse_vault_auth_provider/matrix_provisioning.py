"""Matrix accounts for the users of a web service, configured by the environment alone.

The homeserver and Vault are named as for `synapse_vault_auth_provider.provisioning.Provisioner`
without arguments:

- ``SYNAPSE_VAULT_HOMESERVER`` and ``SYNAPSE_VAULT_SERVER_NAME``;
- ``SYNAPSE_VAULT_REGISTRATION_SHARED_SECRET``, or ``..._FILE`` with the path of a file with it;
- ``VAULT_ADDR``, ``VAULT_TOKEN`` and ``SYNAPSE_VAULT_PATH_ROOT``.

``SYNAPSE_VAULT_ACCOUNT_TEMPLATE`` says how an account is named after the service's id of a user:
``{user_id}`` stands for it, and is all there is by default. ``bot_{user_id:.8}`` takes the first
eight characters; if two users come out alike, the second one is refused, as an account knows whose
it is.

One `Provisioner` serves the whole process, from any number of event loops.
"""

from __future__ import annotations

import logging
import os
import re
import string
import threading
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from ._core import registration_mac
from .provisioning import ConfigurationError, Provisioner, ProvisioningError, VaultError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "MatrixUser",
    "generate_matrix_mac",
    "get_matrix_login_token",
    "provision_matrix_user",
    "update_matrix_profile",
]

logger = logging.getLogger(__name__)

ACCOUNT_TEMPLATE = "SYNAPSE_VAULT_ACCOUNT_TEMPLATE"
SHARED_SECRET = "SYNAPSE_VAULT_REGISTRATION_SHARED_SECRET"  # noqa: S105 (a variable's name)

FORMAT_SPEC = re.compile(r"(?:.?[<>^])?0?\d{0,3}(?:\.\d{1,3})?s?")
"""How much of the id is taken and what fills it up, as in Python's format strings."""

NOT_FOUND = 404


class MatrixUser(TypedDict):
    """An account and a session in it."""

    matrix_user_id: str
    access_token: str | None
    device_id: str | None
    home_server: str
    already_exists: bool


async def generate_matrix_mac(
    nonce: str, username: str, password: str, admin: bool = False, user_type: str | None = None
) -> str:
    """Compute what Synapse wants to see before it registers an account.

    Args:
        nonce: What Synapse gave out for this registration.
        username: The localpart.
        password: The password.
        admin: Whether the account is that of an administrator.
        user_type: Synapse's type of user, if any.

    Returns:
        The HMAC-SHA1 under the registration shared secret, in hex.
        https://element-hq.github.io/synapse/latest/admin_api/register_api.html

    Raises:
        ConfigurationError: There is no shared secret in the environment.
    """
    return registration_mac(
        _shared_secret(), nonce, username, password, is_admin=admin, user_type=user_type or None
    )


async def provision_matrix_user(
    user_id: str, email: str, display_name: str | None = None, is_admin: bool = False
) -> MatrixUser:
    """Make sure that a user of the service has a Matrix account, and log in to it.

    May be called again and at the same time for the same user: there is one account, with one
    secret in Vault.

    Args:
        user_id: The service's id of the user. The account remembers it.
        email: The user's address, whose part before the ``@`` is the name that others see if there
            is no `display_name`.
        display_name: That name.
        is_admin: Whether the account is that of an administrator of the homeserver.

    Returns:
        The account, with an access token, also if it existed already.

    Raises:
        ConflictError: The account belongs to somebody else.
        ProvisioningError: It did not work; the kind of error says why.
    """
    account = _account_template().format(user_id=user_id)
    provisioned = await _provisioner().provision_user_async(
        account,
        display_name=display_name or email.split("@")[0],
        is_admin=is_admin,
        external_id=user_id,
    )
    return {
        "matrix_user_id": provisioned.matrix_user_id,
        "access_token": provisioned.access_token,
        "device_id": provisioned.device_id,
        "home_server": provisioned.home_server,
        "already_exists": provisioned.already_exists,
    }


async def get_matrix_login_token(matrix_user_id: str) -> str | None:
    """Log a user in whose secret is in Vault.

    Args:
        matrix_user_id: The account's id.

    Returns:
        An access token, or ``None`` if Vault has no secret of the user.

    Raises:
        ProvisioningError: It did not work for another reason.
    """
    try:
        login = await _provisioner().login_async(matrix_user_id)
    except VaultError as error:
        if error.status != NOT_FOUND:
            raise
        return None
    return login.access_token


async def update_matrix_profile(
    matrix_user_id: str,
    display_name: str | None = None,
    avatar_url: str | None = None,
    access_token: str | None = None,
) -> bool:
    """Set the name or the picture that others see.

    Args:
        matrix_user_id: The account's id.
        display_name: The name, if it is to change.
        avatar_url: The ``mxc://`` address of the picture, if it is to change.
        access_token: A token of the user, if there is one; else the user is logged in for this.

    Returns:
        Whether it worked. If not, the log says why.
    """
    if not (display_name or avatar_url):
        return True
    # The provisioner takes paths as well, and would show any file to everybody.
    if avatar_url and not avatar_url.startswith("mxc://"):
        logger.error(
            "Cannot update %r: the avatar's address must begin with mxc://", matrix_user_id
        )
        return False
    try:
        await _provisioner().update_profile_async(
            matrix_user_id,
            display_name=display_name or None,
            avatar=avatar_url or None,
            access_token=access_token,
        )
    except ProvisioningError as error:
        logger.error("Cannot update the profile of %r: %s", matrix_user_id, error)
        return False
    return True


_making = threading.Lock()
_shared: Provisioner | None = None
_of_parents: list[Provisioner] = []
"""Those from before forks, whose threads are in another process: neither used nor taken apart."""


def _provisioner() -> Provisioner:
    global _shared
    with _making:
        if _shared is None:
            _shared = Provisioner()
        return _shared


def _after_fork() -> None:
    global _making, _shared
    # Another thread may have held the lock, which does not exist here.
    _making = threading.Lock()
    if _shared is not None:
        _of_parents.append(_shared)
        _shared = None


os.register_at_fork(after_in_child=_after_fork)


def _account_template(environment: Mapping[str, str] = os.environ) -> str:
    template = environment.get(ACCOUNT_TEMPLATE) or "{user_id}"
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise _wrong(ACCOUNT_TEMPLATE, f"is no template: {error}") from None
    fields = [(name, spec, conversion) for _, name, spec, conversion in parsed if name is not None]
    if not fields:
        raise _wrong(ACCOUNT_TEMPLATE, "must hold {user_id}, or all users would have one account")
    for name, spec, conversion in fields:
        if name != "user_id" or conversion or not FORMAT_SPEC.fullmatch(spec or ""):
            raise _wrong(
                ACCOUNT_TEMPLATE, "may hold {user_id} and no other field, as in {user_id:.8}"
            )
    return template


def _shared_secret() -> str:
    file = os.environ.get(f"{SHARED_SECRET}_FILE")
    secret = os.environ.get(SHARED_SECRET)
    if file:
        try:
            secret = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise _wrong(f"{SHARED_SECRET}_FILE", "names a file that cannot be read") from None
    if not secret:
        raise _wrong(SHARED_SECRET, "is required: Synapse's registration_shared_secret")
    return secret


def _wrong(variable: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"{variable}: {what}", key=variable)
