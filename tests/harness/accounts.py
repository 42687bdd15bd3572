"""Users, and the secrets that Vault holds for them."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from tests.servers.synapse import SERVER_NAME

PATH_ROOT = "matrix/users"
"""Where all configurations of these tests have the users' entries."""

READ_USERS = f'path "secret/data/{PATH_ROOT}/*" {{ capabilities = ["read"] }}'
"""The policy of a token that may do all that the module needs."""


def token_hash(login_secret: str, user_id: str) -> str:
    """Compute a token hash, with nothing of ours."""
    return hmac.new(login_secret.encode(), user_id.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Account:
    """A user and the secret that Vault holds for them."""

    user_id: str
    login_secret: str

    @classmethod
    def with_a_secret_of_its_own(cls, user_id: str) -> Account:
        """Make up a secret. It is always the same for the same id."""
        return cls(user_id, f"secret-{hashlib.sha256(user_id.encode()).hexdigest()}")

    @classmethod
    def of(cls, user_id: str, login_secret: str | None) -> Account:
        """Take a secret, or make one up if there is none."""
        if login_secret is None:
            return cls.with_a_secret_of_its_own(user_id)
        return cls(user_id, login_secret)

    @property
    def token_hash(self) -> str:
        """What logs in."""
        return token_hash(self.login_secret, self.user_id)

    @property
    def localpart(self) -> str:
        """The id without sigil and server name."""
        return self.user_id[1:].removesuffix(f":{SERVER_NAME}")
