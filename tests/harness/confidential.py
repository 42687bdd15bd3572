"""What no log, error or other text may hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.servers import SynapseProcess

    from .accounts import Account

_DIGEST = re.compile(r"[0-9a-f]{64}")
_VAULT_TOKEN = re.compile(r"(?<![\w.])s\.[0-9a-z]{24}(?![0-9a-z])")
"""What OpenBao grants, in lower case: the module's tokens are known to nobody but the module."""


class Confidential:
    """All secrets, Vault tokens and token hashes of a test session. No log may hold any."""

    def __init__(self) -> None:
        self._texts: dict[str, str | None] = {}
        """In lower case, each with the first digest in it."""

    def add(self, text: str) -> str:
        """Remember a text, unless it is too short to tell from an accident, and return it."""
        if len(text) >= 16:
            digest = _DIGEST.search(text.lower())
            self._texts[text.lower()] = digest[0] if digest else None
        return text

    def add_account(self, account: Account) -> Account:
        """Remember what logs in to an account, and return it."""
        self.add(account.login_secret)
        self.add(account.token_hash)
        return account

    def __len__(self) -> int:
        return len(self._texts)

    def check(self, synapse: SynapseProcess) -> None:
        """Fail if one of them is in what the homeserver wrote."""
        self.check_text(synapse.log() + synapse.output())

    def check_text(self, written: str) -> None:
        """Fail if one of them is in a text, whatever its case."""
        written = written.lower()
        assert not _VAULT_TOKEN.search(written), "a Vault token in the log"
        # There are thousands of texts. Nearly all have a digest in them, and these are looked for
        # all at once.
        digests = {
            digits[start : start + 64]
            for digits in re.findall(r"[0-9a-f]{64,}", written)
            for start in range(len(digits) - 63)
        }
        leaked = [
            text
            for text, digest in self._texts.items()
            if (digest is None or digest in digests) and text in written
        ]
        assert not leaked, f"{len(leaked)} confidential texts in the log, such as {leaked[0]!r}"
