"""What benchmarks share: how much is measured, and servers that start when they are needed."""

from __future__ import annotations

import functools
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from synapse_vault_auth_provider import token_hash

from tests.servers import OpenBao
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from pathlib import Path

PATH_ROOT = "matrix/users"

LOGIN_SECRET = "Kq7wXoVb3mZr5tYc9nLd2hFs6jGp8aEu4iRk1vTxB0Q"
"""As long as the secrets that `synapse-vault provision` makes."""


@dataclass(frozen=True)
class User:
    """Somebody whose secret is in Vault."""

    user_id: str
    token_hash: str


class Stage:
    """Servers of one run. Each starts when it is first asked for, and stays until the end."""

    def __init__(self, directory: Path, *, is_quick: bool) -> None:
        """Start nothing yet.

        Args:
            directory: For all files of the servers.
            is_quick: Whether it is enough to see that the benchmark works.
        """
        self.directory = directory
        self.is_quick = is_quick
        self._servers = ExitStack()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self._servers.close()

    def scale(self, full: int, quick: int) -> int:
        """Choose how often something is done."""
        return quick if self.is_quick else full

    @functools.cached_property
    def openbao(self) -> OpenBao:
        """A Vault on this machine."""
        openbao = OpenBao(self.directory / "openbao")
        self._servers.callback(openbao.stop)
        return openbao.start()

    def module_config(self, **more: object) -> dict[str, object]:
        """Configure the module for that Vault."""
        return {
            "vault_url": self.openbao.url,
            "vault_token": self.openbao.root_token,
            "vault_path_root": PATH_ROOT,
            **more,
        }

    def user(self, localpart: str) -> User:
        """Write a secret for somebody."""
        user_id = f"@{localpart}:{SERVER_NAME}"
        self.openbao.write(f"{PATH_ROOT}/{user_id}", {"login_secret": LOGIN_SECRET})
        return User(user_id, token_hash(LOGIN_SECRET, user_id))
