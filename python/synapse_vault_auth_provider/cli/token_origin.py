"""Which token Vault refused, and what it would need: there are three, which are easily mixed up."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..provisioning import VaultError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .connection import Connection

FORBIDDEN = 403

OPTIONS = {"vault_token_file": "--vault-token-file"}
"""The keys that options give."""


@contextmanager
def explained(
    connection: Connection, bot: str | None = None, *, keep_in: str | None = None
) -> Iterator[None]:
    """Say of an error of Vault's which token it is about, and what the token needs.

    Args:
        connection: What says where the token comes from.
        bot: The user whose secret is all that is read, if so.
        keep_in: The entry that a token of this user is written to, if one is.
    """
    try:
        yield
    except VaultError as error:
        if error.status == FORBIDDEN:
            explain(error, connection, bot, keep_in)
        raise


def explain(
    error: VaultError, connection: Connection, bot: str | None = None, keep_in: str | None = None
) -> None:
    """Add to an error which token it is about, and what the token needs."""
    advice = error.advice or ""
    if bot is not None and "synapse-vault policy" in advice:
        # Never the policy of provisioning: it would let a bot write all users' secrets.
        more = f" --keep-in {keep_in}" if keep_in else ""
        advice = f"`synapse-vault policy --for-user {bot}{more}` prints the policy that is needed."
    is_about_users = "synapse-vault policy" in advice and keep_in is None
    where = _where(connection) if is_about_users else None
    error.advice = "\n".join(filter(None, (_origin(connection), where, advice))) or None


def _where(connection: Connection) -> str:
    """Say which path a policy has to cover, as it is written there."""
    mount, version, root = connection.kv_location()
    part = "" if version == 1 else "data/"
    return f"Check vault_path_root, which is {root}: the policy has to cover {mount}/{part}{root}/."


def _origin(connection: Connection) -> str | None:
    origin = connection.settings().token_origin()
    if origin is None:
        return None
    source, name = origin
    if source == "environment":
        return f"The token was that of {name}."
    if source == "given":
        return f"The token was that of {OPTIONS.get(name, name)}."
    files = ", ".join(map(str, connection.config_paths))
    return f"The token was the module's, from {name} in {files}; it needs no more than to read."
