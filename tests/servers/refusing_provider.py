"""A module for Synapse that offers our login type and lets nobody in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synapse.module_api import ModuleApi


class RefusingProvider:
    """What every refusal of ours is to look like from outside."""

    def __init__(self, config: Any, api: ModuleApi) -> None:  # noqa: ARG002
        api.register_password_auth_provider_callbacks(
            auth_checkers={("io.t2bot.vault", ("token_hash",)): self.check_auth}
        )

    @staticmethod
    def parse_config(config: Any) -> Any:
        """Take any configuration."""
        return config

    async def check_auth(self, username: str, login_type: str, login_dict: dict[str, Any]) -> None:
        """Refuse."""
