"""The core's work under MAS, on the reactor."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from .._core import MasAnswer, MasLogin, MasLogout, MasService, OpenedSession, Outcome
    from ..reactor import ReactorLogins

    Endpoint = Literal["flows", "login", "logout", "logout_all"]

T = TypeVar("T")

MOST_AT_ONCE = 200
"""How many requests that nobody is known for are under way at once, of each kind.

Anybody may send them, and each holds a connection to MAS until it is answered.
"""


class MasSessions:
    """Opens and ends sessions, and passes on what is not the module's.

    What returns ``None`` was never answered by the core, which keeps to its time limits itself; or
    there were too many of its kind already.
    """

    def __init__(
        self,
        service: MasService,
        logins: ReactorLogins,
        make_deferred_yieldable: Callable[[Any], Any],
    ) -> None:
        """Take the core's service, what runs it, and Synapse's function of that name."""
        self._service = service
        self._logins = logins
        self._make_deferred_yieldable = make_deferred_yieldable
        self._under_way: Counter[str] = Counter()

    async def open(
        self,
        user_id: str,
        outcome: Outcome,
        *,
        device_id: str | None,
        device_is_known: bool,
        display_name: str | None,
        seconds_left: float,
    ) -> tuple[int, MasLogin | None]:
        """Open a session; see `MasService.open_session`.

        Returns:
            The number for `abandon`, and what came of it.
        """
        begun: list[int] = []

        def start(number: int) -> MasLogin | None:
            begun.append(number)
            return self._service.open_session(
                number,
                user_id,
                outcome,
                device_id=device_id,
                device_is_known=device_is_known,
                display_name=display_name,
                seconds_left=seconds_left,
            )

        opened = await self._result(start, self._service.abandon_session)
        return begun[0], opened

    def abandon(self, number: int, session: OpenedSession) -> None:
        """End a session whose client has gone; see `MasService.abandon_session`."""
        self._service.abandon_session(number, session)

    async def register(
        self, user_id: str, outcome: Outcome, seconds_left: float
    ) -> MasLogin | None:
        """Register a user; see `MasService.register`."""
        return await self._result(
            lambda number: self._service.register(number, user_id, outcome, seconds_left)
        )

    async def log_out(
        self, access_token: str, seconds_left: float, *, everywhere: bool
    ) -> MasLogout | None:
        """End sessions; see `MasService.log_out`."""
        return await self._one_of_many(
            "log_out",
            lambda number: self._service.log_out(number, access_token, everywhere, seconds_left),
        )

    async def pass_on(
        self,
        endpoint: Endpoint,
        body: bytes,
        *,
        content_type: bytes | None,
        authorization: bytes | None,
        user_agent: bytes | None,
        client_address: str | None,
    ) -> MasAnswer | None:
        """Pass a request on; see `MasService.pass_on`."""
        return await self._one_of_many(
            "pass_on",
            lambda number: self._service.pass_on(
                number,
                endpoint,
                body,
                content_type=content_type,
                authorization=authorization,
                user_agent=user_agent,
                client_address=client_address,
            ),
        )

    async def _one_of_many(self, kind: str, start: Callable[[int], T | None]) -> T | None:
        if self._under_way[kind] >= MOST_AT_ONCE:
            return None
        self._under_way[kind] += 1
        try:
            return await self._result(start)
        finally:
            self._under_way[kind] -= 1

    async def _result(
        self,
        start: Callable[[int], T | None],
        give_up: Callable[[int], object] = lambda _: None,
    ) -> T | None:
        def unanswered(number: int) -> None:
            give_up(number)

        result = self._logins.begin(start, unanswered)
        if isinstance(result, Deferred):
            return await self._make_deferred_yieldable(result)  # type: ignore[no-any-return]
        return result
