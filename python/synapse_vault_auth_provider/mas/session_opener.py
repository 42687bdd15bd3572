"""From a token hash that is right to a session."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .._core import MasLogin, OpenedSession, Outcome
    from .accounts import Accounts
    from .body import LoginRequest
    from .sessions import MasSessions

POLL_INTERVAL = 0.05
"""How often Synapse is asked for an account that MAS has just made, in seconds."""


@dataclass(frozen=True)
class Opening:
    """What came of opening a session."""

    outcome: Outcome
    number: int = -1
    """What `SessionOpener.abandon` takes."""
    session: OpenedSession | None = None
    client_error: tuple[str, str] | None = None
    """The code and the words of a 400."""

    @classmethod
    def of(cls, number: int, login: MasLogin) -> Opening:
        """Take what the core found."""
        return cls(login.outcome, number, login.session, login.client_error)


class SessionOpener:
    """Asks Synapse whether a user may log in, and has MAS open the session."""

    def __init__(
        self,
        accounts: Accounts,
        sessions: MasSessions,
        *,
        login_timeout: float,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """Take what is needed.

        Args:
            accounts: What Synapse knows.
            sessions: MAS.
            login_timeout: The time that a login has, Vault's part included, in seconds.
            sleep: Waits for some seconds.
        """
        self._accounts = accounts
        self._sessions = sessions
        self._login_timeout = login_timeout
        self._sleep = sleep

    async def open(
        self, user_id: str, outcome: Outcome, login: LoginRequest, started: float
    ) -> Opening:
        """Open a session.

        Args:
            user_id: The canonical id.
            outcome: How the login was decided; it lets the user in.
            login: What the client asks for.
            started: When the login began, by the monotonic clock.
        """
        if outcome.wants_registration:
            outcome = await self._register(user_id, outcome, started)
            if not outcome.accepted:
                return Opening(outcome)
        refused = await self._accounts.refusal(user_id, outcome)
        if refused is not None:
            return Opening(refused)
        number, opened = await self._sessions.open(
            user_id,
            outcome,
            device_id=login.device_id,
            device_is_known=await self._accounts.has_device(user_id, login.device_id),
            display_name=login.display_name,
            seconds_left=self._left(started),
        )
        return Opening(_unanswered(outcome)) if opened is None else Opening.of(number, opened)

    def abandon(self, number: int, session: OpenedSession) -> None:
        """End a session that its client will never know of."""
        self._sessions.abandon(number, session)

    async def name_device(self, user_id: str, session: OpenedSession) -> None:
        """Give the device of a session the name that the client wants."""
        name = session.device_display_name
        if name is not None:
            await self._accounts.name_device(user_id, session.device_id, name)

    async def _register(self, user_id: str, outcome: Outcome, started: float) -> Outcome:
        registered = await self._sessions.register(user_id, outcome, self._left(started))
        if registered is None:
            return _unanswered(outcome)
        if registered.outcome.accepted:
            while not await self._accounts.is_registered(user_id):
                if self._left(started) <= 0:
                    reason = "MAS has the account, and the homeserver does not know it yet"
                    return outcome.becoming("mas_unavailable", reason)
                await self._sleep(POLL_INTERVAL)
        if registered.outcome.wants_registration and outcome.display_name is not None:
            await self._accounts.name_user(user_id, outcome.display_name)
        return registered.outcome

    def _left(self, started: float) -> float:
        return max(self._login_timeout - (time.monotonic() - started), 0.0)


def _unanswered(outcome: Outcome) -> Outcome:
    return outcome.becoming("mas_unavailable", "no answer in time")
