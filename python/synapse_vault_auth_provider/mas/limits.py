"""How many logins an address and an account may try, by the numbers of Synapse's ``rc_login``.

Documentation:
https://element-hq.github.io/synapse/latest/usage/configuration/config_documentation.html#rc_login
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..homeserver_config import LoginRates, Rate

MAX_KEYS = 10_000
"""How many addresses or accounts one limit remembers."""

LONGEST_KEY = 300
"""How much of an address or a user id tells it from others, in characters."""

NEVER = 24 * 3600.0
"""What a client is told to wait where no time is long enough, in seconds."""


class Limit:
    """A bucket for each key, which every attempt fills and time empties.

    At most `MAX_KEYS` are remembered: those that were used last.
    """

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with all buckets empty.

        Args:
            rate: How large they are, and how fast they empty.
            clock: The time in seconds, from any start.
        """
        self._rate = rate
        self._clock = clock
        # How full each was at a time, the one longest unused first.
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait(self, key: str) -> float:
        """Return how long a key must wait until its next attempt, in seconds; 0 if it need not."""
        excess = self._level(key[:LONGEST_KEY]) + 1 - self._rate.burst_count
        if excess <= 0:
            return 0.0
        if self._rate.per_second <= 0:
            return NEVER
        return min(excess / self._rate.per_second, NEVER)

    def count(self, key: str) -> None:
        """Count an attempt."""
        key = key[:LONGEST_KEY]
        level = self._level(key) + 1
        self._buckets.pop(key, None)
        while len(self._buckets) >= MAX_KEYS:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[key] = (level, self._clock())

    def forgive(self, key: str) -> None:
        """Take back that an attempt was counted."""
        key = key[:LONGEST_KEY]
        level = self._level(key) - 1
        if level > 0:
            # In its place, which is that of when it was used last.
            self._buckets[key] = (level, self._clock())
        else:
            self._buckets.pop(key, None)

    def take(self, key: str) -> float:
        """Count an attempt if the key need not wait; return what `wait` returns."""
        seconds = self.wait(key)
        if not seconds:
            self.count(key)
        return seconds

    def _level(self, key: str) -> float:
        level, since = self._buckets.get(key, (0.0, 0.0))
        if level:
            level -= (self._clock() - since) * self._rate.per_second
            if level <= 0:
                del self._buckets[key]
        return max(level, 0.0)


class LoginLimits:
    """The three limits of logins."""

    def __init__(self, rates: LoginRates, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with no attempts; see `Limit`."""
        self.address = Limit(rates.address, clock)
        self.account = Limit(rates.account, clock)
        """Of logins whose token hash is right."""
        self.failed_attempts = Limit(rates.failed_attempts, clock)
        """Of an account, by logins that were refused."""
