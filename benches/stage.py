"""What benchmarks share: how much is measured, and servers that start when they are needed."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from synapse_vault_auth_provider import token_hash

from tests.harness.accounts import PATH_ROOT, READ_USERS
from tests.harness.confidential import Confidential
from tests.harness.stack import Stack
from tests.servers.synapse import SERVER_NAME

from .far_server import FarServer
from .homeservers import Provider, homeserver

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import OpenBao, Synapse

CONFIG = "MODULE_CONFIG"
"""The variable by which other programs get a configuration: arguments are for all to see."""

LOGIN_SECRET = "Kq7wXoVb3mZr5tYc9nLd2hFs6jGp8aEu4iRk1vTxB0Q"
"""As long as the secrets that `synapse-vault provision` makes."""

FAR = 0.2
"""How far away the far Vault is, in seconds."""

UNHURRIED = {"login_timeout": "2m", "request_timeout": "1m"}
"""Settings for many logins at once on a machine that has something else to do."""

INSIDE = {"vault": {}, "cache": {"cache": {"ttl": "1h"}}}
"""Configurations of the module that are measured inside its homeserver."""


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
        self.stack = self._servers.enter_context(Stack(directory, Confidential()))
        self._homeservers: dict[tuple[Provider, bool], Synapse] = {}

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
        return self.start_openbao("openbao")

    def start_openbao(self, name: str) -> OpenBao:
        """Start a Vault, which keeps no log of what it is asked."""
        return self.stack.start_openbao(name, audited=False)

    @functools.cached_property
    def vault_token(self) -> str:
        """A token that may do what the module has to, as an administrator would make it."""
        self.openbao.api("PUT", "sys/policies/acl/users", {"policy": READ_USERS})
        granted = self.openbao.api("POST", "auth/token/create", {"policies": ["users"]})
        token: str = granted["auth"]["client_token"]
        return token

    def module_config(self, **more: object) -> dict[str, object]:
        """Configure the module for that Vault."""
        settings = {"vault_token": self.vault_token, **more}
        return self.stack.module_config(self.openbao, **settings)

    @functools.cached_property
    def far_vault(self) -> FarServer:
        """The same Vault, `FAR` away."""
        far_vault = FarServer(self.directory / "far", self.openbao.port, FAR, "/v1/sys/health")
        self._servers.callback(far_vault.stop)
        return far_vault.start()

    def homeservers(
        self, *providers: Provider, is_vault_far: bool = False
    ) -> dict[Provider, Synapse]:
        """Homeservers that have all `users`; those that do not run yet start at the same time.

        Args:
            providers: Who decides their logins.
            is_vault_far: Whether that takes place with the far Vault.
        """
        # Who does not ask Vault has it neither near nor far.
        keys = {one: (one, is_vault_far and one.asks_vault) for one in providers}
        missing = [key for key in keys.values() if key not in self._homeservers]
        started = [self._configured(*key) for key in missing]
        for synapse in started:
            self._servers.callback(synapse.stop)
        with ThreadPoolExecutor(max(1, len(started))) as pool:
            list(pool.map(self._start, started))
        self._homeservers.update(zip(missing, started, strict=True))
        return {one: self._homeservers[key] for one, key in keys.items()}

    def _configured(self, provider: Provider, is_vault_far: bool) -> Synapse:
        directory = self.directory / f"{provider.name.lower()}{'_far' * is_vault_far}"
        config = self.module_config()
        if is_vault_far:
            return homeserver(directory, provider, {**config, "vault_url": self.far_vault.url})
        if provider is not Provider.OURS:
            return homeserver(directory, provider, config)
        inside = {name: {**config, **more} for name, more in INSIDE.items()}
        return homeserver(directory, provider, config, inside)

    def _start(self, synapse: Synapse) -> None:
        synapse.start()
        for user in self.users:
            synapse.insert_user(user.user_id)

    @functools.cached_property
    def users(self) -> tuple[User, ...]:
        """Everybody whom the homeservers know."""
        return tuple(self.user(f"user{number}") for number in range(self.scale(100, 20)))

    def user(self, localpart: str) -> User:
        """Write a secret for somebody."""
        user_id = f"@{localpart}:{SERVER_NAME}"
        self.openbao.write(f"{PATH_ROOT}/{user_id}", {"login_secret": LOGIN_SECRET})
        return User(user_id, token_hash(LOGIN_SECRET, user_id))
