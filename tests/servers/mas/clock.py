"""The time and the ids of the stand-in."""

from __future__ import annotations

import itertools
import secrets
from datetime import datetime, timedelta, timezone

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Clock:
    """Tells the time, which may differ from that of everybody else, and makes ids out of it."""

    def __init__(self) -> None:
        self.offset = 0.0
        """How far ahead of the machine's clock it is, in seconds; behind if negative."""
        self._numbers = itertools.count()

    def now(self) -> datetime:
        return datetime.now(timezone.utc) + timedelta(seconds=self.offset)

    def new_id(self) -> str:
        """Return a ULID; those made later sort after it, even within a millisecond.

        Specification: https://github.com/ulid/spec
        """
        milliseconds = int(self.now().timestamp() * 1000)
        number = (milliseconds << 80) | (next(self._numbers) << 48) | secrets.randbits(48)
        return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def is_ulid(text: str) -> bool:
    return len(text) == 26 and all(character in _CROCKFORD for character in text.upper())


def timestamp(moment: datetime | None) -> str | None:
    """Return a moment as MAS writes it."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
