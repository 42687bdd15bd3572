"""Requests that are not the module's go on to MAS' compatibility layer.

Documentation: https://element-hq.github.io/matrix-authentication-service/setup/homeserver.html
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..outcomes import RepeatedFailures
from . import answers, client_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from synapse.module_api import SynapseRequest

    from .._core import MasAnswer
    from .sessions import Endpoint, MasSessions


class PassingOn:
    """Passes requests on and sends back what MAS answers."""

    def __init__(self, sessions: MasSessions) -> None:
        """Take the way to MAS."""
        self._sessions = sessions
        self._failures = RepeatedFailures()

    async def pass_on(
        self,
        request: SynapseRequest,
        endpoint: Endpoint,
        body: bytes,
        *,
        access_token: str | None = None,
        let_in: Callable[[], None] = lambda: None,
    ) -> answers.Answer | None:
        """Pass a request on.

        Args:
            request: Whose headers go along, as far as they matter.
            endpoint: Where it goes.
            body: Its body.
            access_token: Its token, wherever it was. MAS takes it from a header alone.
            let_in: Called if MAS does what is asked for.

        Returns:
            What is to be answered if there is no answer of MAS'; ``None`` if that has been sent.
        """
        answer = await self._ask(request, endpoint, body, access_token)
        if answer is None:
            return answers.error(*answers.MAS_FAILED)
        if answer.status == 200:
            let_in()
        answers.send_passed_on(request, answer)
        return None

    async def flows(self, request: SynapseRequest) -> list[Any] | None:
        """Return the login types that MAS offers; ``None`` if it does not say."""
        answer = await self._ask(request, "flows", b"")
        if answer is None or answer.status != 200:
            return None
        try:
            flows = json.loads(answer.body)["flows"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        return flows if isinstance(flows, list) else None

    async def _ask(
        self,
        request: SynapseRequest,
        endpoint: Endpoint,
        body: bytes,
        access_token: str | None = None,
    ) -> MasAnswer | None:
        header = request.getHeader
        authorization = header(b"Authorization")
        if access_token is not None:
            authorization = f"Bearer {access_token}".encode()
        answer = await self._sessions.pass_on(
            endpoint,
            body,
            content_type=header(b"Content-Type"),
            authorization=authorization,
            user_agent=header(b"User-Agent"),
            client_address=client_request.address(request),
        )
        if answer is not None and answer.status is not None:
            return answer
        reason = (answer and answer.reason) or "no answer in time, or too many requests at once"
        self._failures.log("A request could not be passed on", reason)
        return None
