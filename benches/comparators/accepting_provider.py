"""Our login type by a module that lets everybody in. What is left is the homeserver's own work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synapse.module_api import ModuleApi


class Accepting:
    """Accepts everybody without asking anyone."""

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
    ) -> tuple[str, None]:
        return self._api.get_qualified_user_id(username), None
