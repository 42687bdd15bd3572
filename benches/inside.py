"""A module for Synapse that measures ours from inside, with the homeserver's own module API."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from synapse.module_api import (
    DirectServeJsonResource,
    ModuleApi,
    parse_json_object_from_request,
)
from synapse_vault_auth_provider import VaultAuthProvider
from synapse_vault_auth_provider.login_types import LOGIN_TYPE

if TYPE_CHECKING:
    from synapse.module_api import SynapseRequest
    from synapse_vault_auth_provider._core import Settings
    from synapse_vault_auth_provider.config import IncompleteSettings

PATH = "/_synapse/client/bench/reactor_cpu"


class Inside:
    """Serves `PATH`. The providers that it measures see no login but its own."""

    def __init__(self, config: dict[str, Settings], api: ModuleApi) -> None:
        providers = {
            # In the form of 2018: one that registers nothing by itself.
            name: VaultAuthProvider(settings, account_handler=api)
            for name, settings in config.items()
        }
        api.register_web_resource(PATH, _Resource(providers, api))

    @staticmethod
    def parse_config(config: dict[str, Any]) -> dict[str, Settings | IncompleteSettings]:
        """Take configurations of providers, by names."""
        return {name: VaultAuthProvider.parse_config(one) for name, one in config.items()}


class _Resource(DirectServeJsonResource):
    def __init__(self, providers: dict[str, VaultAuthProvider], api: ModuleApi) -> None:
        super().__init__()
        self._providers = providers
        self._api = api

    async def _async_render_POST(  # noqa: N802 (Synapse's name)
        self, request: SynapseRequest
    ) -> tuple[int, dict[str, float]]:
        order = parse_json_object_from_request(request)
        logger = logging.getLogger("synapse_vault_auth_provider")
        level = logger.level
        logger.setLevel(order["log_level"])
        try:
            return 200, {
                "seconds": await self._seconds(
                    self._providers[order["provider"]],
                    order["user_id"],
                    {"token_hash": order["token_hash"]},
                    order["logins"],
                )
            }
        finally:
            logger.setLevel(level)

    async def _seconds(
        self, provider: VaultAuthProvider, user_id: str, login: dict[str, str], times: int
    ) -> float:
        """Return what a login costs this thread beyond the question whether the user exists.

        That question and logins take turns, so that all else that the reactor has to do falls on
        both alike.
        """
        spent = 0.0
        for _ in range(times):
            begun = time.thread_time()
            await self._api.check_user_exists(user_id)
            asked = time.thread_time()
            accepted = await provider.check_auth(user_id, LOGIN_TYPE, login)
            ended = time.thread_time()
            if accepted is None:
                raise RuntimeError("a login with the right hash was refused")
            spent += (ended - asked) - (asked - begun)
        return spent / times
