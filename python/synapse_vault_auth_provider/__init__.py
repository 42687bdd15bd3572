"""Log in to the Matrix homeserver Synapse with secrets kept in HashiCorp Vault or OpenBao."""

from typing import TYPE_CHECKING, Any

from ._core import __version__, token_hash, verify_token_hash

if TYPE_CHECKING:
    from .provider import VaultAuthProvider

__all__ = ["VaultAuthProvider", "__version__", "token_hash", "verify_token_hash"]


def __getattr__(name: str) -> Any:
    # Bots import this package for these functions alone: what Synapse needs is loaded when it asks.
    if name == "VaultAuthProvider":
        from .provider import VaultAuthProvider

        return VaultAuthProvider
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
