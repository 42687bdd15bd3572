"""Personal sessions: the only ones that the admin API can make."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from .admin import (
    ROOT,
    Caller,
    Endpoint,
    filters,
    invalid_filter,
    page,
    single,
    truth_in_filter,
    ulid_in_filter,
)
from .clients import Client
from .database import Database
from .devices import DeviceSync
from .http_types import (
    Answer,
    RefusedError,
    Request,
    database_error,
    decoded,
    error,
    text_field,
    u32,
    ulid_field,
    ulid_in_path,
)
from .records import PersonalSession, device_of
from .tokens import Tokens

_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
"""https://www.rfc-editor.org/rfc/rfc6749#section-3.3"""


class AdminPersonalSessions:
    def __init__(
        self,
        database: Database,
        devices: DeviceSync,
        tokens: Tokens,
        clients: Mapping[str, Client],
    ) -> None:
        self._database = database
        self._clients = clients
        self._devices = devices
        self._tokens = tokens

    def endpoints(self) -> Iterable[Endpoint]:
        sessions = f"{ROOT}/personal-sessions"
        yield Endpoint("GET", sessions, self.list)
        yield Endpoint("POST", sessions, self.create)
        yield Endpoint("GET", f"{sessions}/{{id}}", self.get)
        yield Endpoint("POST", f"{sessions}/{{id}}/revoke", self.revoke)
        yield Endpoint("POST", f"{sessions}/{{id}}/regenerate", self.regenerate)

    def list(self, _: Caller, request: Request) -> Answer:
        wanted = filters(
            request,
            (
                *("owner_user", "owner_client", "actor_user", "scope", "status"),
                *("expires_before", "expires_after", "expires"),
            ),
        )
        sessions = list(self._database.personal_sessions.values())
        if "actor_user" in wanted:
            user_id = ulid_in_filter(wanted["actor_user"][0])
            self._known_user(user_id)
            sessions = [one for one in sessions if one.user_id == user_id]
        if "owner_user" in wanted:
            user_id = ulid_in_filter(wanted["owner_user"][0])
            self._known_user(user_id)
            sessions = [one for one in sessions if one.owner_user_id == user_id]
        if "owner_client" in wanted:
            client_id = ulid_in_filter(wanted["owner_client"][0])
            if client_id not in self._clients:
                return error(404, f"Client ID {client_id} not found")
            sessions = [one for one in sessions if one.owner_client_id == client_id]
        for token in wanted.get("scope", []):
            if not _SCOPE_TOKEN.fullmatch(token):
                return error(400, f'Invalid scope "{token}" in filter parameters')
            sessions = [one for one in sessions if token in one.scope.split()]
        if "status" in wanted:
            if wanted["status"][0] not in ("active", "revoked"):
                raise invalid_filter()
            is_active = wanted["status"][0] == "active"
            # One that has expired is active.
            sessions = [one for one in sessions if (one.finished_at is None) == is_active]
        return page(request, PersonalSession.collection, _by_expiry(sessions, wanted))

    def create(self, caller: Caller, request: Request) -> Answer:
        body = request.json()
        user_id = ulid_field(body, "actor_user_id")
        human_name = text_field(body, "human_name")
        scope = text_field(body, "scope")
        expires_in = u32(body, "expires_in")
        user = self._database.users.get(user_id)
        if user is None:
            return error(404, "User not found")
        if user.deactivated_at is not None:
            return error(410, "User is not active")
        # Of one space between them, and at least one.
        tokens = scope.split(" ")
        if not all(map(_SCOPE_TOKEN.fullmatch, tokens)):
            return error(400, "Invalid scope")
        if "\0" in human_name:
            return database_error()
        now = self._database.clock.now()
        session = PersonalSession(
            id=self._database.clock.new_id(),
            user_id=user_id,
            owner_client_id=caller.client_id if caller.user_id is None else None,
            owner_user_id=caller.user_id,
            human_name=human_name,
            scope=" ".join(sorted(set(tokens))),
            created_at=now,
            token=self._tokens.new(PersonalSession),
            expires_at=None if expires_in is None else now + timedelta(seconds=expires_in),
        )
        self._devices.add(user, device_of(session.scope))
        if request.is_gone():
            # MAS drops the work of a request whose sender has gone, and its transaction with it.
            # What the homeserver has been told stays.
            return error(500, "cancelled")
        self._database.add(session)
        return single(201, session, access_token=session.token)

    def get(self, _: Caller, __: Request, session_id: str) -> Answer:
        return single(200, self._session(session_id))

    def revoke(self, _: Caller, __: Request, session_id: str) -> Answer:
        session = self._session(session_id, f" with ID {session_id}")
        with self._database.lock:
            if session.finished_at is not None:
                return error(409, f"Personal session with ID {session_id} is already revoked")
            session.finished_at = self._database.clock.now()
        if device_of(session.scope):
            self._devices.schedule(session.user_id)
        return single(200, session)

    def regenerate(self, caller: Caller, request: Request, session_id: str) -> Answer:
        expires_in = u32(request.json(), "expires_in")
        session = self._database.personal_sessions.get(ulid_in_path(decoded(session_id)))
        if session is None:
            return error(404, "Session not found")
        if session.finished_at is not None:
            return error(422, "Session not valid")
        if caller != Caller(session.owner_client_id, session.owner_user_id):
            return error(403, "Session does not belong to you")
        self._database.replace_token(session, self._tokens.new(PersonalSession))
        session.expires_at = (
            None
            if expires_in is None
            else self._database.clock.now() + timedelta(seconds=expires_in)
        )
        return single(201, session, access_token=session.token)

    def _session(self, session_id: str, words: str = "") -> PersonalSession:
        session = self._database.personal_sessions.get(ulid_in_path(decoded(session_id)))
        if session is None:
            raise RefusedError(error(404, f"Personal session{words} not found"))
        return session

    def _known_user(self, user_id: str) -> None:
        if user_id not in self._database.users:
            raise RefusedError(error(404, f"User ID {user_id} not found"))


def _by_expiry(
    sessions: list[PersonalSession], wanted: dict[str, list[str]]
) -> list[PersonalSession]:
    if "expires" in wanted:
        expires = truth_in_filter(wanted["expires"][0])
        sessions = [one for one in sessions if (one.expires_at is not None) == expires]
    if "expires_before" in wanted:
        bound = _moment(wanted["expires_before"][0])
        sessions = [one for one in sessions if one.expires_at and one.expires_at < bound]
    if "expires_after" in wanted:
        bound = _moment(wanted["expires_after"][0])
        sessions = [one for one in sessions if one.expires_at and one.expires_at > bound]
    return sessions


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise invalid_filter() from None
    if moment.tzinfo is None:
        raise invalid_filter()
    return moment
