"""``/login`` where MAS decides who users are.

Specification: https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3login
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._core import Outcome
from ..login_types import LOGIN_TYPE, PASSWORD_LOGIN_TYPE
from . import answers, body, client_request
from .body import BodyError
from .client_resource import ClientResource

if TYPE_CHECKING:
    from collections.abc import Container

    from synapse.module_api import SynapseRequest

    from .._core import OpenedSession
    from ..decider import LoginDecider
    from .body import LoginRequest
    from .limits import LoginLimits
    from .passing_on import PassingOn
    from .session_opener import SessionOpener

PATH = "/_synapse/client/vault_auth/login"


@dataclass(frozen=True)
class LoginResult:
    """How a login ended, and what the client is told."""

    user: str
    outcome: Outcome
    answer: answers.Answer


class LoginResource(ClientResource):
    """Answers logins of the module's types, and has the others passed on where that is wanted."""

    def __init__(
        self,
        decider: LoginDecider,
        opener: SessionOpener,
        limits: LoginLimits,
        *,
        server_name: str,
        takes_passwords: bool,
        passing_on: PassingOn | None,
        listener_tags: Container[str],
    ) -> None:
        """Take what logins need.

        Args:
            decider: Finds out whether a token hash is right.
            opener: Opens the session of a login whose hash is.
            limits: How many logins there may be.
            server_name: The homeserver's.
            takes_passwords: Whether token hashes are taken as passwords, too.
            passing_on: Passes logins of other types on, if that is wanted.
            listener_tags: The listeners on which clients log in.
        """
        super().__init__(listener_tags)
        self._decider = decider
        self._opener = opener
        self._limits = limits
        self._server_name = server_name
        self._takes_passwords = takes_passwords
        self._passing_on = passing_on

    async def _async_render_GET(self, request: SynapseRequest) -> answers.Answer:  # noqa: N802
        """Tell the login types."""
        types = [LOGIN_TYPE, *([PASSWORD_LOGIN_TYPE] if self._takes_passwords else [])]
        flows: list[Any] = [{"type": one} for one in types]
        if self._passing_on is not None:
            others = await self._passing_on.flows(request)
            if others is None:
                return answers.error(*answers.MAS_FAILED)
            flows += [flow for flow in others if flow not in flows]
        return 200, {"flows": flows}

    async def _async_render_POST(  # noqa: N802
        self, request: SynapseRequest
    ) -> answers.Answer | None:
        """Log in."""
        started = time.monotonic()
        as_password = False
        raw = b""
        try:
            raw = body.read(request.content)
            parsed = body.parse(raw)
            kind = body.login_type(parsed)
            if not body.is_ours(parsed, takes_passwords=self._takes_passwords):
                if self._passing_on is not None:
                    return await self._passing_on.pass_on(request, "login", raw)
                raise BodyError("M_UNKNOWN", "Unknown login type")
            as_password = kind == PASSWORD_LOGIN_TYPE
            result = await self._log_in(request, parsed, started)
        except BodyError as error:
            if as_password and self._passing_on is not None:
                # MAS knows more ways to say who somebody is.
                self._forgive_address(request)
                return await self._passing_on.pass_on(request, "login", raw)
            answer = answers.error(error.status, error.errcode, error.text)
            result = LoginResult("", Outcome.of("bad_request", error.text), answer)
        seconds = time.monotonic() - started
        self._decider.record(result.user, result.outcome, seconds, as_password=as_password)
        if as_password and self._passing_on is not None and _is_no_secret_of_ours(result.outcome):
            # It may be a person's password of that form.
            return await self._passing_on.pass_on(
                request, "login", raw, let_in=lambda: self._forgive(request, parsed)
            )
        return result.answer

    async def _log_in(
        self, request: SynapseRequest, parsed: dict[str, Any], started: float
    ) -> LoginResult:
        address = client_request.address(request)
        if address is not None and (seconds := self._limits.address.take(address)):
            # Nobody is known yet, and what the body holds is not looked at.
            return _too_many(request, "", "from that address", seconds)
        login = body.login_request(parsed)
        attempted = self._key(login)
        if seconds := self._limits.failed_attempts.wait(attempted):
            return _too_many(request, login.user, "for that user that failed", seconds)
        user_id, outcome = await self._decider.decide(login.user, login.token_hash)
        if not outcome.accepted:
            if not outcome.failed:
                self._limits.failed_attempts.count(attempted)
            return LoginResult(user_id, outcome, answers.refusal(outcome))
        if seconds := self._limits.account.take(user_id.lower()):
            return _too_many(request, user_id, "for that user", seconds)
        return await self._open(request, user_id, outcome, login, started)

    async def _open(
        self,
        request: SynapseRequest,
        user_id: str,
        outcome: Outcome,
        login: LoginRequest,
        started: float,
    ) -> LoginResult:
        opened = await self._opener.open(user_id, outcome, login, started)
        if opened.client_error is not None:
            answer = answers.error(400, *opened.client_error)
        elif opened.session is None:
            answer = answers.refusal(opened.outcome)
        else:
            await self._hand_over(request, user_id, opened.number, opened.session)
            answer = answers.session(user_id, self._server_name, opened.session)
        return LoginResult(user_id, opened.outcome, answer)

    async def _hand_over(
        self, request: SynapseRequest, user_id: str, number: int, session: OpenedSession
    ) -> None:
        if session.device_display_name is not None and not request._disconnected:
            await self._opener.name_device(user_id, session)
        # The client may have gone while the device was named.
        if request._disconnected:
            # Nobody would ever have the token.
            self._opener.abandon(number, session)

    def _forgive(self, request: SynapseRequest, parsed: dict[str, Any]) -> None:
        """Take a login off the limits that turned out to be none of the module's.

        One that MAS refuses stays on them: each of these costs Vault a request.
        """
        self._forgive_address(request)
        self._limits.failed_attempts.forgive(self._key(body.login_request(parsed)))

    def _forgive_address(self, request: SynapseRequest) -> None:
        address = client_request.address(request)
        if address is not None:
            self._limits.address.forgive(address)

    def _key(self, login: LoginRequest) -> str:
        """Return how failed attempts are counted, as Synapse does: by the id, in lower case."""
        user = login.user
        return (user if user.startswith("@") else f"@{user}:{self._server_name}").lower()


def _too_many(request: SynapseRequest, user: str, which: str, seconds: float) -> LoginResult:
    outcome = Outcome.of("rate_limited", f"there were too many logins {which}")
    return LoginResult(user, outcome, answers.too_many(request, seconds))


def _is_no_secret_of_ours(outcome: Outcome) -> bool:
    return outcome.code in ("bad_hash", "no_secret", "unknown_user", "unusable_secret")
