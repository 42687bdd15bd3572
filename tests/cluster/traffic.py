"""Users who log in with matrix-nio, each again and again, and what they were answered."""

from __future__ import annotations

import asyncio
import enum
import itertools
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import nio
from aiohttp import ClientError

from tests.harness.deployment import LOGIN_TYPE
from tests.servers.nginx import SERVED_BY

from .users import Kind, Rightness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

    from .users import User

USUAL = (*[Kind.RIGHT] * 4, Kind.WRONG, *[Kind.RIGHT] * 4, Kind.OLD)
"""What users present, in turn: mostly what is right."""


class Answer(enum.Enum):
    """What became of a login."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """As what is not right is: 403 M_FORBIDDEN."""
    NONE = "no answer"
    """Within the time that the client waits."""
    OTHER = "another answer"


@dataclass(frozen=True)
class Login:
    """One login; times are those of `time.monotonic`."""

    user_id: str
    rightness: Rightness
    start: float
    end: float
    answer: Answer
    served_by: str
    """The header of nginx that tells."""
    detail: str

    @property
    def succeeded(self) -> bool:
        return self.rightness.is_right and self.answer is Answer.ACCEPTED

    @property
    def is_lost(self) -> bool:
        """Whether somebody was not let in who must be."""
        return self.rightness.is_right and self.answer is not Answer.ACCEPTED

    @property
    def refused_rightly(self) -> bool:
        return not self.rightness.is_right and self.answer is Answer.REFUSED

    @property
    def let_in_wrongly(self) -> bool:
        return not self.rightness.is_right and self.answer is Answer.ACCEPTED


class Traffic:
    """Logs users in, in a thread of its own, from `__enter__` to `__exit__`."""

    def __init__(
        self,
        users: Sequence[User],
        urls: Sequence[str],
        *,
        interval: float,
        answer_limit: float,
        kinds: Sequence[Kind] = USUAL,
    ) -> None:
        """Prepare.

        Args:
            users: Who logs in.
            urls: Where, in turn.
            interval: Time from one login of a user to the next, in seconds.
            answer_limit: How long they wait for an answer, in seconds.
            kinds: What each of them presents, in turn.
        """
        self.logins: list[Login] = []
        self._users = users
        self._urls = urls
        self._interval = interval
        self._answer_limit = answer_limit
        self._kinds = kinds
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all_log_in()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def wait_for_a_round(self) -> None:
        """Wait until every user has presented all that they present after now, and was answered."""
        since = time.monotonic()
        wanted = {
            (user.user_id, kind is Kind.RIGHT) for user in self._users for kind in self._kinds
        }
        while wanted:
            if not self._thread.is_alive():
                raise RuntimeError("nobody logs in any more")
            time.sleep(0.1)
            wanted -= {
                (login.user_id, login.rightness.is_right)
                for login in self.logins[:]
                if login.start > since
            }

    async def _all_log_in(self) -> None:
        await asyncio.gather(
            *(self._logs_in(user, number) for number, user in enumerate(self._users))
        )

    async def _logs_in(self, user: User, number: int) -> None:
        # No retries of the client's: what becomes of one login is the question.
        config = nio.AsyncClientConfig(
            max_timeouts=0, max_limit_exceeded=0, request_timeout=self._answer_limit
        )
        kinds = itertools.islice(itertools.cycle(self._kinds), number % len(self._kinds), None)
        urls = itertools.islice(itertools.cycle(self._urls), number % len(self._urls), None)
        due = time.monotonic() + self._interval * number / len(self._users)
        client = nio.AsyncClient(self._urls[0], config=config)
        try:
            while not self._is_over.is_set():
                if due > time.monotonic():
                    # In short steps, to end soon when it is over.
                    await asyncio.sleep(min(0.1, due - time.monotonic()))
                    continue
                due = max(due + self._interval, time.monotonic())
                client.homeserver = next(urls)
                self.logins.append(await self._login(client, user, next(kinds)))
        finally:
            await client.close()

    async def _login(self, client: nio.AsyncClient, user: User, kind: Kind) -> Login:
        presented, rightness = user.present(kind)
        body = {
            "type": LOGIN_TYPE,
            "identifier": {"type": "m.id.user", "user": user.user_id},
            "token_hash": presented,
        }
        start = time.monotonic()
        served_by = ""
        try:
            response = await client.login_raw(body)
        except asyncio.TimeoutError:
            answer, detail = Answer.NONE, f"after {self._answer_limit:g} s"
        except (ClientError, OSError) as error:
            answer, detail = Answer.OTHER, f"{type(error).__name__}: {error}"
        else:
            answer, detail = _judged(response, user)
            if response.transport_response is not None:
                served_by = response.transport_response.headers.get(SERVED_BY, "")
        return Login(user.user_id, rightness, start, time.monotonic(), answer, served_by, detail)


def _judged(response: nio.LoginResponse | nio.LoginError, user: User) -> tuple[Answer, str]:
    if isinstance(response, nio.LoginResponse):
        if response.user_id != user.user_id:
            raise RuntimeError(f"{user.user_id} was logged in as {response.user_id}")
        return Answer.ACCEPTED, ""
    status = response.transport_response.status if response.transport_response else None
    if (status, response.status_code) == (403, "M_FORBIDDEN"):
        return Answer.REFUSED, response.message
    return Answer.OTHER, f"{status} {response.status_code}: {response.message}"
