"""MAS' compatibility layer: `/login` and `/logout` as Matrix has them, for its own users.

Documentation: https://spec.matrix.org/v1.16/client-server-api/#login
"""

from __future__ import annotations

import json
import secrets
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .database import Database
from .devices import DeviceSync
from .http_types import Answer, RefusedError, Request, in_json, matrix_error
from .records import CompatSession, User
from .tokens import Tokens

LOGIN = "/_matrix/client/v3/login"
LOGOUT = "/_matrix/client/v3/logout"
LOGOUT_ALL = "/_matrix/client/v3/logout/all"
REFRESH = "/_matrix/client/v3/refresh"
SSO_REDIRECT = "/_matrix/client/v3/login/sso/redirect"

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "*",
    "Access-Control-Allow-Headers": "*",
}
"""Headers that a browser asks for first."""

REFRESHED_LIFETIME = 300_000
"""Of the token of a client that can refresh it, in milliseconds."""


@dataclass
class PasswordLimit:
    """How many passwords an address may try."""

    burst: float = 3
    per_minute: float = 3
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)

    def allows(self, address: str) -> bool:
        now = time.monotonic()
        left, since = self._left.get(address, (self.burst, now))
        left = min(self.burst, left + (now - since) * self.per_minute / 60)
        self._left[address] = (max(left - 1, 0) if left >= 1 else left, now)
        return left >= 1


class Compat:
    def __init__(
        self,
        database: Database,
        devices: DeviceSync,
        tokens: Tokens,
        server_name: str,
        takes_passwords: Callable[[], bool],
    ) -> None:
        self._database = database
        self._devices = devices
        self._tokens = tokens
        self._server_name = server_name
        self._takes_passwords = takes_passwords
        self.limit = PasswordLimit()
        self.trusts_proxies = True
        """Whether `trusted_proxies` lists loopback, as it does as MAS comes."""
        self.addresses: defaultdict[str, int] = defaultdict(int)
        """From where logins came, as MAS understands it."""

    def flows(self, _: Request) -> Answer:
        password = [{"type": "m.login.password"}] if self._takes_passwords() else []
        sso = {
            "type": "m.login.sso",
            "oauth_aware_preferred": True,
            "org.matrix.msc3824.delegated_oidc_compatibility": True,
        }
        return in_json(200, {"flows": [*password, sso, {"type": "m.login.token"}]})

    def login(self, request: Request) -> Answer:
        body = _matrix_body(request)
        if "type" not in body:
            return matrix_error(400, "M_BAD_JSON", "JSON fields are not valid")
        address = self.address(request)
        self.addresses[address] += 1
        if body["type"] == "m.login.token" and isinstance(body.get("token"), str):
            return matrix_error(403, "M_FORBIDDEN", "Invalid login token")
        if body["type"] != "m.login.password" or not self._takes_passwords():
            return matrix_error(400, "M_UNKNOWN", "Invalid login type")
        device_id = body.get("device_id")
        if not isinstance(body.get("password"), str) or not isinstance(device_id, str | None):
            return matrix_error(400, "M_BAD_JSON", "JSON fields are not valid")
        user = self._user(body, address)
        device_id = device_id or secrets.token_urlsafe(8)[:10]
        name = body.get("initial_device_display_name")
        session = self.add_session(user, device_id, name)
        answer: dict[str, Any] = {
            "access_token": session.token,
            "device_id": session.device_id,
            "user_id": f"@{user.username}:{self._server_name}",
        }
        if body.get("refresh_token") is True:
            answer["refresh_token"] = self._tokens.new_refresh_token()
            answer["expires_in_ms"] = REFRESHED_LIFETIME
        return in_json(200, answer)

    def refresh(self, _: Request) -> Answer:
        """Refuse: nothing that uses the stand-in refreshes a token that was given out."""
        return matrix_error(401, "M_UNKNOWN_TOKEN", "Invalid refresh token")

    def sso_redirect(self, _: Request) -> Answer:
        return Answer(303, content_type=None, headers={"Location": "/complete-compat-sso"})

    def add_session(self, user: User, device_id: str, name: str | None = None) -> CompatSession:
        """Open a session; those of the same kind on the same device end, and others do not."""
        session = CompatSession(
            id=self._database.clock.new_id(),
            user_id=user.id,
            device_id=device_id,
            created_at=self._database.clock.now(),
            token=self._tokens.new(CompatSession),
            human_name=name,
        )
        self._database.finish(
            self._database.compat_sessions,
            lambda one: (one.user_id, one.device_id) == (user.id, device_id),
        )
        self._devices.add(user, [device_id], name)
        self._database.add(session)
        return session

    def logout(self, request: Request) -> Answer:
        session = self._session(request)
        session.finished_at = self._database.clock.now()
        self._devices.schedule(session.user_id)
        return in_json(200, {})

    def logout_all(self, request: Request) -> Answer:
        body = _matrix_body(request) if "content-type" in request.headers else {}
        session = self._session(request)
        if body.get("io.element.only_compat_is_fine") is not True:
            text = "The /logout/all endpoint is not supported by this deployment"
            return matrix_error(404, "M_UNRECOGNIZED", text)
        self._database.finish(
            self._database.compat_sessions, lambda one: one.user_id == session.user_id
        )
        self._devices.schedule(session.user_id)
        return in_json(200, {})

    def address(self, request: Request) -> str:
        """Tell a client's address as MAS does, which does not trim what is between commas."""
        forwarded = request.headers.get("x-forwarded-for", "").split(",")
        if not self.trusts_proxies:
            return request.peer
        addresses = [one for one in forwarded if one and one == one.strip()]
        untrusted = [one for one in addresses if not one.startswith("127.")]
        return next(iter([*reversed(untrusted), request.peer]))

    def _user(self, body: dict[str, Any], address: str) -> User:
        identifier = body.get("identifier")
        name = body.get("user")
        if name is None and isinstance(identifier, dict):
            if identifier.get("type") != "m.id.user":
                raise RefusedError(matrix_error(400, "M_UNKNOWN", "Unsupported login identifier"))
            name = identifier.get("user")
        if not isinstance(name, str):
            raise RefusedError(matrix_error(400, "M_BAD_JSON", "Missing property 'identifier"))
        if not self.limit.allows(address):
            raise RefusedError(matrix_error(429, "M_LIMIT_EXCEEDED", "Too many login attempts"))
        localpart = name.removeprefix("@").removesuffix(f":{self._server_name}")
        user = self._database.user_by_name(localpart)
        if user is None or user.password is None or user.password != body["password"]:
            raise RefusedError(matrix_error(403, "M_FORBIDDEN", "Invalid username/password"))
        if not user.is_active:
            raise RefusedError(matrix_error(401, "M_USER_LOCKED", "User account has been locked"))
        return user

    def _session(self, request: Request) -> CompatSession:
        if request.bearer is None:
            raise RefusedError(matrix_error(401, "M_MISSING_TOKEN", "Missing access token"))
        session = self._tokens.lookup(request.bearer)
        if not isinstance(session, CompatSession):
            raise RefusedError(matrix_error(401, "M_UNKNOWN_TOKEN", "Invalid access token"))
        return session


def _matrix_body(request: Request) -> dict[str, Any]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        text = "Invalid Content-Type header: expected application/json"
        raise RefusedError(matrix_error(400, "M_NOT_JSON", text))
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        raise RefusedError(
            matrix_error(400, "M_NOT_JSON", "Body is not a valid JSON document")
        ) from None
    if not isinstance(body, dict):
        raise RefusedError(matrix_error(400, "M_BAD_JSON", "JSON fields are not valid"))
    return body
