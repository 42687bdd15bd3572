"""Our login type by a module that asks Synapse's database for the account, and Vault nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synapse.module_api import ModuleApi


class DatabaseAlone:
    """Refuses everybody, once the homeserver has said whether there is such an account.

    No module that has to know it can be faster.
    """

    def __init__(self, config: Any, api: ModuleApi) -> None:  # noqa: ARG002
        self._api = api
        api.register_password_auth_provider_callbacks(
            auth_checkers={("io.t2bot.vault", ("token_hash",)): self.check_auth}
        )

    @staticmethod
    def parse_config(config: Any) -> Any:
        return config

    async def check_auth(
        self,
        username: str,
        login_type: str,  # noqa: ARG002
        login_dict: dict[str, Any],  # noqa: ARG002
    ) -> None:
        await self._api.check_user_exists(self._api.get_qualified_user_id(username))
