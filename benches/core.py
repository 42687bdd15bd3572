"""The module's core without a homeserver, driven as fast as it goes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.harness.login_service import LoginDriver

if TYPE_CHECKING:
    from collections.abc import Iterable

    from synapse_vault_auth_provider._core import Outcome

    from .stage import User

IN_FLIGHT = 64
"""How many logins are under way at the same time."""


class Core(LoginDriver):
    """Takes logins of which none is refused. All users are registered."""

    def time_login(self, user: User) -> float:
        """Log in and return how long it took, in seconds."""
        started = time.perf_counter()
        outcome = self.log_in(user.user_id, user.token_hash)
        took = time.perf_counter() - started
        check(outcome)
        return took

    def log_all_in(self, users: Iterable[User]) -> None:
        """Log in with each, many at the same time."""
        in_flight = 0
        for user in users:
            self.begin(user.user_id, user.token_hash)
            in_flight += 1
            if in_flight == IN_FLIGHT:
                in_flight -= self._finish_some()
        while in_flight > 0:
            in_flight -= self._finish_some()

    def _finish_some(self) -> int:
        decided = self.take_decided()
        for outcome in decided.values():
            check(outcome)
        return len(decided)


def check(outcome: Outcome) -> None:
    """Raise if a login was refused."""
    if not outcome.accepted:
        raise RuntimeError(f"a login ended with {outcome.code}: {outcome.reason}")
