"""What MAS keeps in its database, and how its admin API shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from .clock import timestamp

API_SCOPE = "urn:matrix:client:api:*"
UNSTABLE_API_SCOPE = "urn:matrix:org.matrix.msc2967.client:api:*"
DEVICE_SCOPE = "urn:matrix:client:device:"
UNSTABLE_DEVICE_SCOPE = "urn:matrix:org.matrix.msc2967.client:device:"
SYNAPSE_ADMIN_SCOPE = "urn:synapse:admin:*"
ADMIN_SCOPE = "urn:mas:admin"


def device_of(scope: str) -> list[str]:
    """Return the devices that a scope names."""
    return [
        token.removeprefix(prefix)
        for token in scope.split()
        for prefix in (DEVICE_SCOPE, UNSTABLE_DEVICE_SCOPE)
        if token.startswith(prefix)
    ]


@dataclass
class User:
    resource_type: ClassVar[str] = "user"
    collection: ClassVar[str] = "users"

    id: str
    username: str
    created_at: datetime
    locked_at: datetime | None = None
    deactivated_at: datetime | None = None
    is_admin: bool = False
    password: str | None = field(default=None, repr=False)

    @property
    def is_active(self) -> bool:
        return self.locked_at is None and self.deactivated_at is None

    def attributes(self) -> dict[str, Any]:
        return {
            "username": self.username,
            "created_at": timestamp(self.created_at),
            "locked_at": timestamp(self.locked_at),
            "deactivated_at": timestamp(self.deactivated_at),
            "admin": self.is_admin,
            "legacy_guest": False,
        }


@dataclass
class PersonalSession:
    resource_type: ClassVar[str] = "personal-session"
    collection: ClassVar[str] = "personal-sessions"

    id: str
    user_id: str
    """The user on whose behalf it acts."""
    owner_client_id: str | None
    owner_user_id: str | None
    human_name: str
    scope: str
    created_at: datetime
    token: str = field(repr=False)
    expires_at: datetime | None = None
    finished_at: datetime | None = None

    def attributes(self) -> dict[str, Any]:
        ended = self.finished_at is not None
        return {
            "created_at": timestamp(self.created_at),
            "revoked_at": timestamp(self.finished_at),
            "owner_user_id": self.owner_user_id,
            "owner_client_id": self.owner_client_id,
            "actor_user_id": self.user_id,
            "human_name": self.human_name,
            "scope": self.scope,
            "last_active_at": None,
            "last_active_ip": None,
            "expires_at": None if ended else timestamp(self.expires_at),
        }


@dataclass
class CompatSession:
    resource_type: ClassVar[str] = "compat-session"
    collection: ClassVar[str] = "compat-sessions"

    id: str
    user_id: str
    device_id: str
    created_at: datetime
    token: str = field(repr=False)
    human_name: str | None = None
    finished_at: datetime | None = None

    @property
    def scope(self) -> str:
        return f"{API_SCOPE} {UNSTABLE_API_SCOPE}"

    def attributes(self) -> dict[str, Any]:
        return {
            "user_id": self.user_id,
            "device_id": self.device_id,
            "user_session_id": None,
            "redirect_uri": None,
            "created_at": timestamp(self.created_at),
            "user_agent": None,
            "last_active_at": None,
            "last_active_ip": None,
            "finished_at": timestamp(self.finished_at),
            "human_name": self.human_name,
        }


@dataclass
class OAuth2Session:
    resource_type: ClassVar[str] = "oauth2-session"
    collection: ClassVar[str] = "oauth2-sessions"

    id: str
    user_id: str | None
    """`None` for a client that acts for itself."""
    client_id: str
    scope: str
    created_at: datetime
    token: str = field(repr=False)
    expires_at: datetime | None = None
    human_name: str | None = None
    finished_at: datetime | None = None

    def attributes(self) -> dict[str, Any]:
        return {
            "created_at": timestamp(self.created_at),
            "finished_at": timestamp(self.finished_at),
            "user_id": self.user_id,
            "user_session_id": None,
            "client_id": self.client_id,
            "scope": self.scope,
            "user_agent": None,
            "last_active_at": None,
            "last_active_ip": None,
            "human_name": self.human_name,
        }


@dataclass
class UserSession:
    resource_type: ClassVar[str] = "user-session"
    collection: ClassVar[str] = "user-sessions"

    id: str
    user_id: str
    created_at: datetime
    finished_at: datetime | None = None

    def attributes(self) -> dict[str, Any]:
        return {
            "created_at": timestamp(self.created_at),
            "finished_at": timestamp(self.finished_at),
            "user_id": self.user_id,
            "user_agent": None,
            "last_active_at": None,
            "last_active_ip": None,
        }


@dataclass
class UserEmail:
    resource_type: ClassVar[str] = "user-email"
    collection: ClassVar[str] = "user-emails"

    id: str
    user_id: str
    email: str
    created_at: datetime

    def attributes(self) -> dict[str, Any]:
        return {
            "created_at": timestamp(self.created_at),
            "user_id": self.user_id,
            "email": self.email,
        }


@dataclass
class UpstreamLink:
    resource_type: ClassVar[str] = "upstream-oauth-link"
    collection: ClassVar[str] = "upstream-oauth-links"

    id: str
    user_id: str | None
    provider_id: str
    subject: str
    created_at: datetime
    human_account_name: str | None = None

    def attributes(self) -> dict[str, Any]:
        return {
            "created_at": timestamp(self.created_at),
            "provider_id": self.provider_id,
            "subject": self.subject,
            "user_id": self.user_id,
            "human_account_name": self.human_account_name,
        }


TokenSession = PersonalSession | CompatSession | OAuth2Session
Resource = User | TokenSession | UserSession | UserEmail | UpstreamLink
