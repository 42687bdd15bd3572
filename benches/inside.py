"""A module for Synapse that measures ours from inside, with the homeserver's own module API."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from synapse.module_api import (
    DirectServeJsonResource,
    ModuleApi,
    parse_json_object_from_request,
)
from synapse.util.async_helpers import concurrently_execute
from synapse_vault_auth_provider import VaultAuthProvider
from synapse_vault_auth_provider.login_types import LOGIN_TYPE

if TYPE_CHECKING:
    from synapse.module_api import SynapseRequest
    from synapse_vault_auth_provider._core import Settings
    from synapse_vault_auth_provider.config import IncompleteSettings

PATH = "/_synapse/client/bench/reactor_cpu"

Login = tuple[str, str]
"""A user id and a token hash."""

Decide = Callable[[Login], Awaitable[None]]

logger = logging.getLogger("synapse_vault_auth_provider")


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
        provider = self._providers.get(order["provider"])
        decide = self._line_of(order) if provider is None else _login_at(provider, order)
        level = logger.level
        logger.setLevel(order["log_level"])
        try:
            seconds = await self._seconds(
                decide, order["logins"], order["rounds"], order["at_once"]
            )
        finally:
            logger.setLevel(level)
        return 200, {"seconds": seconds}

    def _line_of(self, order: dict[str, Any]) -> Decide:
        """Return what asks the homeserver and writes a line, as any module would."""
        level = logging.INFO if order["is_accepted"] else logging.WARNING

        async def decide(login: Login) -> None:
            await self._api.check_user_exists(login[0])
            logger.log(level, "Login of %s: ok: the hash is right [%.0f ms]", login[0], 1.0)

        return decide

    async def _seconds(
        self, decide: Decide, logins: list[Login], rounds: int, at_once: int
    ) -> float:
        """Return what a login costs this thread beyond the question whether the user exists.

        That question and logins take turns, so that all else that the reactor has to do falls on
        both alike.
        """

        async def ask(login: Login) -> None:
            await self._api.check_user_exists(login[0])

        spent = 0.0
        for _ in range(rounds):
            begun = time.thread_time()
            await concurrently_execute(ask, logins, at_once)
            asked = time.thread_time()
            await concurrently_execute(decide, logins, at_once)
            ended = time.thread_time()
            spent += (ended - asked) - (asked - begun)
        return spent / (rounds * len(logins))


def _login_at(provider: VaultAuthProvider, order: dict[str, Any]) -> Decide:
    async def decide(login: Login) -> None:
        user_id, token_hash = login
        found = await provider.check_auth(user_id, LOGIN_TYPE, {"token_hash": token_hash})
        if (found is not None) is not order["is_accepted"]:
            raise RuntimeError(f"a login ended with {found}")

    return decide
