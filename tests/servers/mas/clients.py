"""OAuth clients, and how they show who they are."""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote_plus

from .clock import Clock

AuthMethod = Literal["client_secret_basic", "client_secret_post"]


@dataclass
class Client:
    """A static client of MAS' configuration."""

    id: str
    """A ULID."""
    secret: str = field(default_factory=lambda: secrets.token_hex(24), repr=False)
    auth_method: AuthMethod = "client_secret_basic"
    """The one way in which MAS lets it show its secret."""
    is_admin: bool = True
    """Whether `policy.data.admin_clients` lists it."""


@dataclass(frozen=True)
class Credentials:
    """What a request says of its sender."""

    client_id: str = ""
    secret: str = field(default="", repr=False)
    method: AuthMethod | None = None
    bearer: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, authorization: str | None, form: dict[str, str]) -> Credentials:
        """Read a header and a form. The header comes first, as with MAS."""
        scheme, _, value = (authorization or "").partition(" ")
        if scheme.lower() == "bearer":
            return cls(bearer=value)
        if scheme.lower() == "basic":
            try:
                decoded = base64.b64decode(value, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                return cls()
            # Each part is form-encoded: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
            name, _, secret = decoded.partition(":")
            return cls(unquote_plus(name), unquote_plus(secret), "client_secret_basic")
        if "client_id" in form and "client_secret" in form:
            return cls(form["client_id"], form["client_secret"], "client_secret_post")
        return cls()

    def matches(self, client: Client) -> bool:
        return self.method == client.auth_method and secrets.compare_digest(
            self.secret.encode(), client.secret.encode()
        )


def new_client(clock: Clock, *, auth_method: AuthMethod, is_admin: bool = True) -> Client:
    return Client(clock.new_id(), auth_method=auth_method, is_admin=is_admin)
