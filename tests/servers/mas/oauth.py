"""Discovery, tokens for clients that act for themselves, and introspection.

Documentation: https://www.rfc-editor.org/rfc/rfc6749#section-4.4
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from .clients import Client, Credentials
from .database import Database
from .http_types import Answer, RefusedError, Request, in_json
from .records import ADMIN_SCOPE, OAuth2Session
from .tokens import INVALID_REQUEST, TOKEN_LIFETIME, Tokens


class OAuth:
    """The endpoints below `/oauth2/`."""

    def __init__(
        self,
        database: Database,
        tokens: Tokens,
        clients: Mapping[str, Client],
        shared_secret: str,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._clients = clients
        self._shared_secret = shared_secret

    def token(self, request: Request) -> Answer:
        form = request.form
        client = self._client(request, "Client authentication failed.")
        if "grant_type" not in form:
            text = "Failed to deserialize form body: missing field `grant_type`"
            return in_json(500, {"error": "server_error", "error_description": text})
        if form["grant_type"] != "client_credentials":
            text = "The authorization grant type is not supported by the authorization server."
            return in_json(400, {"error": "unsupported_grant_type", "error_description": text})
        scope = " ".join(sorted(form.get("scope", "").split()))
        allowed = {"openid", "email", *([ADMIN_SCOPE] if client.is_admin else [])}
        for token in scope.split():
            if token not in allowed:
                text = f"scope '{token}' not allowed"
                return in_json(403, {"error": "invalid_scope", "error_description": text})
        now = self._database.clock.now()
        session = OAuth2Session(
            id=self._database.clock.new_id(),
            user_id=None,
            client_id=client.id,
            scope=scope,
            created_at=now,
            token=self._tokens.new(OAuth2Session),
            expires_at=now + timedelta(seconds=TOKEN_LIFETIME),
        )
        self._database.add(session)
        answer: dict[str, Any] = {
            "access_token": session.token,
            "token_type": "Bearer",
            "expires_in": TOKEN_LIFETIME,
        }
        if scope:
            answer["scope"] = scope
        return in_json(200, answer)

    def introspect(self, request: Request) -> Answer:
        if request.bearer is None:
            self._client(request, "client secret did not match")
        elif not secrets.compare_digest(request.bearer, self._shared_secret):
            return in_json(401, {"error": "access_denied"})
        return self._tokens.introspect(request)

    def _client(self, request: Request, refusal: str) -> Client:
        """Return who sends a request.

        Raises:
            RefusedError: Nobody whom the stand-in knows.
        """
        media_type = request.headers.get("content-type", "").partition(";")[0].strip()
        if media_type != "application/x-www-form-urlencoded":
            raise RefusedError(in_json(400, INVALID_REQUEST))
        credentials = Credentials.of(request.headers.get("authorization"), request.form)
        if credentials.method is None:
            given = "authorization" in request.headers
            text = "Invalid Authorization header" if given else "No credentials were presented"
            raise RefusedError(
                in_json(400, {"error": "invalid_request", "error_description": text})
            )
        client = self._clients.get(credentials.client_id)
        if client is None or not credentials.matches(client):
            raise RefusedError(
                in_json(401, {"error": "invalid_client", "error_description": refusal})
            )
        return client


def discovery(url: str) -> Answer:
    """Return the metadata of the server at `url`."""
    issuer = f"{url}/"
    endpoints = {
        "authorization_endpoint": "authorize",
        "token_endpoint": "oauth2/token",
        "introspection_endpoint": "oauth2/introspect",
        "revocation_endpoint": "oauth2/revoke",
        "registration_endpoint": "oauth2/registration",
        "jwks_uri": "oauth2/keys.json",
        "account_management_uri": "account/",
    }
    methods = ["client_secret_basic", "client_secret_post"]
    return in_json(
        200,
        {
            "issuer": issuer,
            **{name: issuer + path for name, path in endpoints.items()},
            "scopes_supported": ["openid", "email"],
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
            "token_endpoint_auth_methods_supported": methods,
            "introspection_endpoint_auth_methods_supported": methods,
            "code_challenge_methods_supported": ["S256"],
        },
    )
