"""The package under the name that configurations from 2018 use for it.

``module: "synapse-vault-auth-provider.VaultAuthProvider"``
"""

from synapse_vault_auth_provider import VaultAuthProvider

__all__ = ["VaultAuthProvider"]
