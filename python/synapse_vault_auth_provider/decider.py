"""The path of a login from what the client sent to an outcome, and what is recorded of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._core import Outcome
from .metrics import LoginMetrics
from .outcomes import OutcomeLog

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from synapse.module_api import ModuleApi

    from ._core import LoginService
    from .reactor import ReactorLogins


class LoginDecider:
    """Decides logins; the homeserver or MAS opens the session."""

    def __init__(
        self,
        api: ModuleApi,
        service: LoginService,
        logins: ReactorLogins,
        make_deferred_yieldable: Callable[[Any], Any],
    ) -> None:
        """Take what a login needs.

        Args:
            api: Synapse's module API.
            service: The core's.
            logins: The same on the reactor.
            make_deferred_yieldable: Synapse's function of that name.
        """
        self._api = api
        self._logins = logins
        self._make_deferred_yieldable = make_deferred_yieldable
        self._log = OutcomeLog()
        self._metrics = LoginMetrics(api.server_name, service)

    async def decide(self, username: object, token_hash: object) -> tuple[Any, Outcome]:
        """Find out whether a token hash is right.

        Args:
            username: The user id or its localpart, as the client sent it.
            token_hash: What the client sent, of any type.

        Returns:
            The user id, canonical if there is one, and the outcome.
        """
        # Before the database hears of it: it fails on some of what clients may send.
        user_id, login = self._logins.begin_login(username, token_hash)
        if isinstance(login, Outcome):
            return user_id, login
        try:
            # Vault is asked meanwhile.
            canonical_id = await self._api.check_user_exists(user_id)
        except BaseException:
            self._logins.abandon(login)
            raise
        outcome = self._logins.decide(login, canonical_id)
        if not isinstance(outcome, Outcome):
            outcome = await self._make_deferred_yieldable(outcome)
        return canonical_id or user_id, outcome

    def record(
        self, user: object, outcome: Outcome, seconds: float, *, as_password: bool = False
    ) -> None:
        """Log and count how a login ended; see `OutcomeLog.record`."""
        self._log.record(user, outcome, seconds, as_password=as_password)
        self._metrics.record(outcome, seconds)
