"""Tokens: what MAS makes, and what it tells those who ask about one.

Documentation: https://www.rfc-editor.org/rfc/rfc7662
"""

from __future__ import annotations

import secrets
import string
import zlib
from collections.abc import Callable
from typing import Any

from .database import Database
from .http_types import Answer, Request, in_json
from .records import (
    API_SCOPE,
    DEVICE_SCOPE,
    SYNAPSE_ADMIN_SCOPE,
    UNSTABLE_API_SCOPE,
    UNSTABLE_DEVICE_SCOPE,
    CompatSession,
    OAuth2Session,
    PersonalSession,
    TokenSession,
    device_of,
)

PREFIXES = {PersonalSession: "mpt", CompatSession: "mct", OAuth2Session: "mat"}

TOKEN_LIFETIME = 300
"""Of a client that acts for itself, in seconds."""

INACTIVE = {"active": False}

INVALID_REQUEST = {
    "error": "invalid_request",
    "error_description": "The request is missing a required parameter, includes an invalid "
    "parameter value, includes a parameter more than once, or is otherwise malformed.",
}
"""https://www.rfc-editor.org/rfc/rfc6749#section-5.2"""

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def with_check_digits(text: str) -> str:
    """Add to a token what tells a typing error without a look into the database."""
    rest, digits = zlib.crc32(text.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, len(_BASE62))
        digits += _BASE62[digit]
    return f"{text}_{digits}"


def is_well_formed(token: str) -> bool:
    return token.startswith(tuple(f"{prefix}_" for prefix in PREFIXES.values())) and (
        with_check_digits(token.rpartition("_")[0]) == token
    )


class Tokens:
    """Makes tokens and looks them up."""

    def __init__(self, database: Database, remember: Callable[[str], object]) -> None:
        self._database = database
        self._remember = remember
        self.introspections: list[str] = []
        """The users about whose tokens somebody asked; the empty text if there was none."""

    def new(self, kind: type[TokenSession]) -> str:
        return self._new(PREFIXES[kind])

    def new_refresh_token(self) -> str:
        """Return what a client may show to have its token replaced."""
        return self._new("mcr")

    def _new(self, prefix: str) -> str:
        characters = "".join(secrets.choice(_BASE62) for _ in range(30))
        token = with_check_digits(f"{prefix}_{characters}")
        self._remember(token)
        return token

    def lookup(self, token: str) -> TokenSession | None:
        """Return the session of a token that counts: it has neither ended nor expired."""
        session = self._database.session_by_token(token)
        if session is None or session.finished_at is not None:
            return None
        expires_at = None if isinstance(session, CompatSession) else session.expires_at
        if expires_at is not None and expires_at <= self._database.clock.now():
            return None
        return session

    def introspect(self, request: Request) -> Answer:
        """Tell about a token; the sender has shown who it is."""
        form = request.form
        if "token" not in form:
            return in_json(400, INVALID_REQUEST)
        if form.get("token_type_hint", "access_token") == "access_token":
            found = self._describe(form["token"], request.headers.get("x-mas-supports-device-id"))
        else:
            found = INACTIVE
        self.introspections.append(found.get("username") or "")
        return in_json(200, found)

    def _describe(self, token: str, supports_device_id: str | None) -> dict[str, Any]:
        session = self.lookup(token)
        if session is None:
            return INACTIVE
        user = self._database.users.get(session.user_id or "")
        if user is not None and not user.is_active:
            return INACTIVE
        scope = set(session.scope.split())
        client_id: str | None = "legacy"
        if isinstance(session, PersonalSession):
            client_id = session.owner_client_id
        elif isinstance(session, OAuth2Session):
            client_id = session.client_id
        if scope & {API_SCOPE, UNSTABLE_API_SCOPE}:
            scope |= {API_SCOPE, UNSTABLE_API_SCOPE}
        devices = device_of(session.scope)
        if isinstance(session, CompatSession):
            if user is not None and user.is_admin:
                scope.add(SYNAPSE_ADMIN_SCOPE)
            if supports_device_id != "1":
                devices = [session.device_id]
        for device in devices:
            scope |= {DEVICE_SCOPE + device, UNSTABLE_DEVICE_SCOPE + device}
        created = int(session.created_at.timestamp())
        description: dict[str, Any] = {
            "active": True,
            "scope": " ".join(sorted(scope)),
            "client_id": client_id,
            "username": user.username if user else None,
            "token_type": "access_token",
            "iat": created,
            "nbf": created,
            "sub": user.id if user else None,
        }
        if isinstance(session, OAuth2Session):
            description["jti"] = session.id
        expires_at = None if isinstance(session, CompatSession) else session.expires_at
        if expires_at is not None:
            description["exp"] = int(expires_at.timestamp())
            left = expires_at - self._database.clock.now()
            description["expires_in"] = int(left.total_seconds())
        if isinstance(session, CompatSession):
            description["device_id"] = session.device_id
        return {key: value for key, value in description.items() if value is not None}
