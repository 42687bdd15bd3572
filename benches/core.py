"""The module's core without a homeserver, driven as fast as it goes."""

from __future__ import annotations

import json
import select
import time
from typing import TYPE_CHECKING

from synapse_vault_auth_provider._core import LoginService, Outcome, Settings

from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .stage import User

IN_FLIGHT = 64
"""How many logins are under way at the same time."""


class Core:
    """Takes logins on the thread of the caller. All users are registered, and none is refused."""

    def __init__(self, config: Mapping[str, object]) -> None:
        """Take the configuration as it is in YAML."""
        written = {key: json.dumps(value) for key, value in config.items()}
        self.service = LoginService(Settings.parse(written, {}), SERVER_NAME)

    def __enter__(self) -> Core:
        self.service.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.service.stop()

    def time_login(self, user: User) -> float:
        """Log in and return how long it took, in seconds."""
        started = time.perf_counter()
        outcome = self.service.begin(0, user.user_id, True, user.token_hash)
        if outcome is None:
            ((_, outcome),) = self._wait()
        took = time.perf_counter() - started
        check(outcome)
        return took

    def log_all_in(self, users: Iterable[User]) -> None:
        """Log in with each, many at the same time."""
        in_flight = 0
        for user in users:
            outcome = self.service.begin(0, user.user_id, True, user.token_hash)
            if outcome is not None:
                check(outcome)
                continue
            in_flight += 1
            if in_flight == IN_FLIGHT:
                in_flight -= self._finish_some()
        while in_flight > 0:
            in_flight -= self._finish_some()

    def _finish_some(self) -> int:
        decided = self._wait()
        for _, outcome in decided:
            check(outcome)
        return len(decided)

    def _wait(self) -> Sequence[tuple[int, Outcome]]:
        while True:
            select.select([self.service.fileno()], [], [])
            decided, _, _ = self.service.drain()
            if decided:
                return decided


def check(outcome: Outcome) -> None:
    """Raise if a login was refused."""
    if not outcome.accepted:
        raise RuntimeError(f"a login ended with {outcome.code}: {outcome.reason}")
