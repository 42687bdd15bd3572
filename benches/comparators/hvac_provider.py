"""Our login type on top of `hvac`, as a homeserver's administrator writes it today.

A correct hash is accepted, and a user without a secret is refused. What comes beyond that, such as
time limits of its own or a word in the log, these two save themselves.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import hvac

if TYPE_CHECKING:
    from synapse.module_api import ModuleApi


class HvacOnReactor:
    """Asks Vault on the reactor's thread, which waits for the answer."""

    def __init__(self, config: dict[str, Any], api: ModuleApi) -> None:
        self._api = api
        self._path_root = config["vault_path_root"]
        # One session for all logins. It keeps ten connections, and the homeserver's thread pool
        # has ten threads, so that each has one.
        self._vault = hvac.Client(url=config["vault_url"], token=config["vault_token"])
        api.register_password_auth_provider_callbacks(
            auth_checkers={("io.t2bot.vault", ("token_hash",)): self.check_auth}
        )

    @staticmethod
    def parse_config(config: dict[str, Any]) -> dict[str, Any]:
        return config

    async def check_auth(
        self,
        username: str,
        login_type: str,  # noqa: ARG002
        login_dict: dict[str, Any],
    ) -> tuple[str, None] | None:
        user_id = await self._api.check_user_exists(self._api.get_qualified_user_id(username))
        if user_id is None:
            return None
        login_secret = await self._login_secret(user_id)
        if not login_secret:
            return None
        expected = hmac.new(login_secret.encode(), user_id.encode(), hashlib.sha256).hexdigest()
        return (user_id, None) if hmac.compare_digest(expected, login_dict["token_hash"]) else None

    async def _login_secret(self, user_id: str) -> str | None:
        return self._read(user_id)

    def _read(self, user_id: str) -> str | None:
        try:
            entry = self._vault.secrets.kv.v2.read_secret_version(
                f"{self._path_root}/{user_id}", raise_on_deleted_version=True
            )
        except hvac.exceptions.InvalidPath:
            return None
        login_secret: str | None = entry["data"]["data"].get("login_secret")
        return login_secret


class HvacInThreadPool(HvacOnReactor):
    """Asks Vault on a thread of Synapse's pool."""

    async def _login_secret(self, user_id: str) -> str | None:
        return await self._api.defer_to_thread(self._read, user_id)
