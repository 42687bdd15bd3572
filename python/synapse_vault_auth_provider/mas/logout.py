"""``/logout`` and ``/logout/all`` of sessions that were opened here.

Specification: https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3logout
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..outcomes import RepeatedFailures
from . import answers, body, client_request
from .body import BodyError
from .client_resource import ClientResource

if TYPE_CHECKING:
    from collections.abc import Container

    from synapse.module_api import SynapseRequest

    from .passing_on import PassingOn
    from .sessions import MasSessions

PATH = "/_synapse/client/vault_auth/logout"

UNKNOWN_TOKEN = (401, "M_UNKNOWN_TOKEN", "Invalid access token")


class LogoutResource(ClientResource):
    """Ends sessions, and has what is not the module's passed on where that is wanted."""

    below = ([], [b"all"])

    def __init__(
        self,
        sessions: MasSessions,
        *,
        time_limit: float,
        passing_on: PassingOn | None,
        listener_tags: Container[str],
    ) -> None:
        """Take what logging out needs.

        Args:
            sessions: MAS.
            time_limit: How long a logout may take, in seconds.
            passing_on: Passes on what is not ours, if that is wanted.
            listener_tags: The listeners on which clients log out.
        """
        super().__init__(listener_tags)
        self._sessions = sessions
        self._time_limit = time_limit
        self._passing_on = passing_on
        self._failures = RepeatedFailures()

    async def _async_render_POST(  # noqa: N802
        self, request: SynapseRequest
    ) -> answers.Answer | None:
        """Log out."""
        try:
            return await self._log_out(request, everywhere=request.postpath == [b"all"])
        except BodyError as error:
            return answers.error(error.status, error.errcode, error.text)

    async def _log_out(self, request: SynapseRequest, *, everywhere: bool) -> answers.Answer | None:
        token = client_request.access_token(request)
        if token is None:
            return answers.error(401, "M_MISSING_TOKEN", "Missing access token")
        result = await self._sessions.log_out(token, self._time_limit, everywhere=everywhere)
        if result is not None and result.kind == "done":
            return 200, {}
        if result is not None and result.kind == "not_ours" and self._passing_on is not None:
            raw = body.read(request.content)
            return await self._passing_on.pass_on(
                request, "logout_all" if everywhere else "logout", raw, access_token=token
            )
        if result is None or result.kind == "unavailable":
            reason = (result and result.reason) or "no answer in time, or too many requests at once"
            self._failures.log("A logout failed", reason)
            return answers.error(*answers.MAS_FAILED)
        return answers.error(*UNKNOWN_TOKEN)
