"""The class that Synapse loads."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ._core import LoginService, Settings, is_token_hash
from .config import IncompleteSettings, parse_config
from .homeserver_config import (
    homeserver_config,
    mas_endpoint,
    refuse_duplicates,
    refuse_wrong_authority,
    serves_clients,
    warn_of_contradictions,
)
from .log import logger
from .login_types import PASSWORD_LOGIN_TYPE, TOKEN_HASH_FIELDS
from .registration import register
from .synapse_version import warn_of_old_synapse

if TYPE_CHECKING:
    from synapse.module_api import LoginResponse, ModuleApi

    CheckAuthResult = tuple[str, Callable[[LoginResponse], Awaitable[None]] | None] | None


class VaultAuthProvider:
    """Logs users in whose client knows the secret that Vault holds for them.

    Synapse loads it from ``modules:``, and as configurations from 2018 have it, from
    ``password_providers:``.
    """

    def __init__(
        self,
        config: Settings | IncompleteSettings,
        api: ModuleApi | None = None,
        *,
        account_handler: ModuleApi | None = None,
    ) -> None:
        """Take up work with the reactor.

        Args:
            config: What `parse_config` returned.
            api: Synapse's module API, when loaded from ``modules:``.
            account_handler: The same, when loaded from ``password_providers:``, which asks for
                the callbacks instead of having them registered.

        Raises:
            TypeError: Neither or both of the last two are given.
            synapse.module_api.errors.ConfigError: Clients are to log in here, and there is no
                token, or a file that cannot be read, or another instance for the same entries. Or
                Matrix Authentication Service decides who users are and the settings do not know
                of it, or the other way around.
        """
        from synapse.module_api import make_deferred_yieldable
        from twisted.internet import reactor

        from .decider import LoginDecider
        from .reactor import ReactorLogins

        module_api = api or account_handler
        if module_api is None or (api and account_handler):
            raise TypeError("VaultAuthProvider takes either api or account_handler")
        warn_of_old_synapse()
        self._api: ModuleApi = module_api
        synapse_config = homeserver_config(module_api)
        if isinstance(config, IncompleteSettings):
            if serves_clients(synapse_config):
                raise config.error
            # One of Synapse's tools, or a worker that does something else: nobody logs in here.
            self._takes_passwords = False
            return
        endpoint = mas_endpoint(synapse_config)
        refuse_wrong_authority(config, synapse_config)
        has_clients = serves_clients(synapse_config)
        if has_clients:
            refuse_duplicates(config, synapse_config, VaultAuthProvider)
            warn_of_contradictions(config, synapse_config)
        self._takes_passwords = config.m_login_password_support_enabled
        service = LoginService(config, self._api.server_name, endpoint, announces_start=has_clients)
        logins = ReactorLogins(service, reactor)
        self._decider = LoginDecider(self._api, service, logins, make_deferred_yieldable)
        if config.health_endpoint:
            from .health import PATH, HealthResource

            self._api.register_web_resource(PATH, HealthResource(logins.check, reactor))
        if endpoint is not None:
            # Synapse takes no password providers then.
            if has_clients:
                from .mas.setup import serve_logins

                serve_logins(
                    self._api,
                    synapse_config,
                    config,
                    service,
                    logins,
                    self._decider,
                    make_deferred_yieldable,
                )
        elif api is not None:
            api.register_password_auth_provider_callbacks(
                auth_checkers=dict.fromkeys(
                    self.get_supported_login_types().items(), self.check_auth
                )
            )

    @staticmethod
    def parse_config(config: Any) -> Settings | IncompleteSettings:
        """Check the module's configuration; see `synapse_vault_auth_provider.config`."""
        return parse_config(config)

    def get_supported_login_types(self) -> dict[str, tuple[str, ...]]:
        """Return the login types and their fields. ``password_providers:`` asks for them."""
        return {
            login_type: (field,)
            for login_type, field in TOKEN_HASH_FIELDS.items()
            if login_type != PASSWORD_LOGIN_TYPE or self._takes_passwords
        }

    async def check_auth(
        self, username: str, login_type: str, login_dict: dict[str, Any]
    ) -> CheckAuthResult:
        """Decide a login.

        Args:
            username: The user id or its localpart, as the client sent it.
            login_type: One of `get_supported_login_types`.
            login_dict: The fields of the login, of any types.

        Returns:
            The canonical user id and no callback, or ``None`` for a refusal. Raises nothing but
            Twisted's ``CancelledError``: what went wrong is in the log.
        """
        as_password = login_type == PASSWORD_LOGIN_TYPE
        token_hash = login_dict.get(TOKEN_HASH_FIELDS[login_type])
        if as_password and not is_token_hash(token_hash):
            # Somebody's ordinary password. It is Synapse's to judge, and none of our business.
            return None
        try:
            return await self._decide(username, token_hash, as_password=as_password)
        except Exception as error:
            from twisted.internet.defer import CancelledError

            if isinstance(error, CancelledError):
                raise
            # Synapse would write the error into a warning and go on as for a wrong password.
            logger.exception("A login of type %s failed for a reason of ours", login_type)
            return None

    async def _decide(
        self, username: str, token_hash: object, *, as_password: bool
    ) -> CheckAuthResult:
        started = time.monotonic()
        user_id, outcome = await self._decider.decide(username, token_hash)
        if outcome.wants_registration:
            outcome = await register(self._api, user_id, outcome)
        seconds = time.monotonic() - started
        self._decider.record(user_id, outcome, seconds, as_password=as_password)
        return (user_id, None) if outcome.accepted else None
