"""Users whose secrets are replaced now and then, and what they present at a login."""

from __future__ import annotations

import enum
import secrets
import time
from dataclasses import dataclass, field

from tests.harness.accounts import token_hash

SLACK = 2.0
"""Time around a moment in which it is not certain on which side of it a login is decided, in
seconds."""


class Kind(enum.Enum):
    """What a user presents."""

    RIGHT = "right"
    WRONG = "wrong hash"
    OLD = "old secret"


class Rightness(enum.Enum):
    """Why a login must succeed, or why it must not."""

    CURRENT = "the secret in Vault"
    BEFORE = "the secret before, within rotation_grace"
    WRONG = "no secret at all"
    OLD = "a secret that was replaced"

    @property
    def is_right(self) -> bool:
        """Whether who presents it must be let in."""
        return self in {Rightness.CURRENT, Rightness.BEFORE}


@dataclass
class User:
    """Somebody with a secret, who had others before."""

    user_id: str
    rotation_grace: float
    """How long the homeserver accepts the secret before, in seconds."""
    is_slow: bool
    """Whether they go on with the secret before for a while after it was replaced."""
    _secrets: list[str] = field(default_factory=list)
    """All that there were; the newest is the last."""
    _rotated: float = 0.0

    def new_secret(self) -> str:
        """Make up a secret. It counts from `adopt` on."""
        return f"{self.user_id}-{secrets.token_hex(16)}"

    def adopt(self, secret: str) -> None:
        """Note that this one is in Vault now."""
        self._rotated = time.monotonic()
        # At once, as other threads look at it.
        self._secrets = [*self._secrets, secret]

    def present(self, kind: Kind) -> tuple[str, Rightness]:
        """Return a token hash, and what must become of it."""
        since = time.monotonic() - self._rotated
        known = self._secrets
        if kind is Kind.WRONG:
            return token_hash(f"not {known[-1]}", self.user_id), Rightness.WRONG
        if kind is Kind.OLD:
            # Only the one before the newest may still count.
            is_over = since > self.rotation_grace + SLACK
            return token_hash(known[-2 if is_over else -3], self.user_id), Rightness.OLD
        if self.is_slow and since < self.rotation_grace / 2:
            return token_hash(known[-2], self.user_id), Rightness.BEFORE
        return token_hash(known[-1], self.user_id), Rightness.CURRENT
