"""What the log says of logins."""

import logging
import time
from collections.abc import Callable

from ._core import Outcome
from .log import logger

LONGEST_USER_ID = 300
"""Longest user id that is written to the log, in characters."""

REPEAT_INTERVAL = 10.0
"""Time in which the same failure is logged as an error once, in seconds."""

MAX_FAILURES = 100
"""How many failures are remembered to recognize their repeats."""


class RepeatedFailures:
    """Knows which failures are the same as one that was logged just before."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with no failure seen.

        Args:
            clock: The time in seconds, from any start.
        """
        self._clock = clock
        self._failures: dict[tuple[str, str], tuple[float, int]] = {}

    def level(self, what: str, reason: str) -> tuple[int, str]:
        """Return the level for the line of a failure, and what is to be added to the line.

        One that is the same as one less than `REPEAT_INTERVAL` ago goes to DEBUG and is counted.

        Args:
            what: What failed.
            reason: Why.
        """
        now = self._clock()
        failure = (what, reason)
        since, held_back = self._failures.pop(failure, (float("-inf"), 0))
        while len(self._failures) >= MAX_FAILURES:
            del self._failures[next(iter(self._failures))]
        if now - since < REPEAT_INTERVAL:
            self._failures[failure] = (since, held_back + 1)
            return logging.DEBUG, ""
        self._failures[failure] = (now, 0)
        return logging.ERROR, f" and {held_back} more like it before" if held_back else ""

    def log(self, what: str, reason: str) -> None:
        """Log a failure that is no login's."""
        level, suffix = self.level(what, reason)
        logger.log(level, "%s: %s%s", what, reason, suffix)


class OutcomeLog:
    """Writes one line for every login, and does not flood the log while Vault is down."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with no failure seen.

        Args:
            clock: The time in seconds, from any start.
        """
        self._failures = RepeatedFailures(clock)

    def record(
        self, user: object, outcome: Outcome, seconds: float, *, as_password: bool = False
    ) -> None:
        """Log how a login ended.

        A success goes to INFO, a refusal to WARNING, and a failure to ERROR. A failure that is the
        same as one less than `REPEAT_INTERVAL` ago goes to DEBUG and is counted.

        Args:
            user: Who wanted to log in, as far as that is known; of any type.
            outcome: How it ended.
            seconds: How long it took.
            as_password: Whether the token hash came as the password of ``m.login.password``.
        """
        level, suffix = self._level(outcome)
        if not logger.isEnabledFor(level):
            # What a line says takes longer to put together than to ask this.
            return
        logger.log(
            level,
            "Login of %s: %s: %s%s [%.0f ms%s]%s",
            _shown(user),
            outcome.code,
            outcome.reason,
            f" ({outcome.path!r})" if outcome.path and not outcome.accepted else "",
            seconds * 1000,
            ", as a password" if as_password else "",
            suffix,
        )

    def _level(self, outcome: Outcome) -> tuple[int, str]:
        if outcome.accepted:
            return logging.INFO, ""
        if not outcome.failed:
            return logging.WARNING, ""
        return self._failures.level(outcome.code, outcome.reason)


def _shown(user: object) -> str:
    # What a client sends may hold line breaks or be megabytes long; `repr` escapes the former.
    if isinstance(user, str):
        return repr(user[:LONGEST_USER_ID]) + ("…" if len(user) > LONGEST_USER_ID else "")
    return f"something that is no string but {type(user).__name__}"
