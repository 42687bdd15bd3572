"""Sessions that the admin API cannot make: it lists them and ends them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from .admin import (
    ROOT,
    Caller,
    Endpoint,
    filters,
    invalid_filter,
    page,
    single,
    ulid_in_filter,
)
from .database import Database
from .devices import DeviceSync
from .http_types import Answer, RefusedError, Request, decoded, error, ulid_in_path
from .records import CompatSession, OAuth2Session, UserSession

EndedLater = CompatSession | OAuth2Session | UserSession


@dataclass(frozen=True)
class _Kind:
    """One of the three kinds of such sessions."""

    title: str
    """What errors call it."""
    collection: str
    sessions: Callable[[], Mapping[str, EndedLater]]
    has_devices: bool
    filters: tuple[str, ...]


class AdminSessions:
    def __init__(self, database: Database, devices: DeviceSync) -> None:
        self._database = database
        self._devices = devices

    def endpoints(self) -> Iterable[Endpoint]:
        database = self._database
        for kind in (
            _Kind(
                "Compatibility session",
                CompatSession.collection,
                lambda: database.compat_sessions,
                has_devices=True,
                filters=("user", "status"),
            ),
            _Kind(
                "OAuth 2.0 session",
                OAuth2Session.collection,
                lambda: database.oauth2_sessions,
                has_devices=True,
                filters=("user", "status", "client", "client-kind", "scope"),
            ),
            _Kind(
                "User session",
                UserSession.collection,
                lambda: database.user_sessions,
                has_devices=False,
                filters=("user", "status"),
            ),
        ):
            path = f"{ROOT}/{kind.collection}"
            yield Endpoint("GET", path, partial(self._list, kind))
            yield Endpoint("GET", f"{path}/{{id}}", partial(self._get, kind))
            yield Endpoint("POST", f"{path}/{{id}}/finish", partial(self._finish, kind))

    def _list(self, kind: _Kind, _: Caller, request: Request) -> Answer:
        wanted = filters(request, kind.filters)
        sessions = list(kind.sessions().values())
        if "user" in wanted:
            user_id = ulid_in_filter(wanted["user"][0])
            if user_id not in self._database.users:
                return error(404, f"User ID {user_id} not found")
            sessions = [one for one in sessions if one.user_id == user_id]
        if "status" in wanted:
            if wanted["status"][0] not in ("active", "finished"):
                raise invalid_filter()
            is_active = wanted["status"][0] == "active"
            sessions = [one for one in sessions if (one.finished_at is None) == is_active]
        if wanted.get("client-kind", ["static"])[0] not in ("static", "dynamic"):
            raise invalid_filter()
        if "client" in wanted:
            sessions = [
                one
                for one in sessions
                if isinstance(one, OAuth2Session) and one.client_id in wanted["client"]
            ]
        for token in wanted.get("scope", []):
            sessions = [
                one
                for one in sessions
                if isinstance(one, OAuth2Session) and token in one.scope.split()
            ]
        return page(request, kind.collection, sessions)

    def _get(self, kind: _Kind, _: Caller, __: Request, session_id: str) -> Answer:
        return single(200, self._session(kind, session_id, "ID"))

    def _finish(self, kind: _Kind, _: Caller, __: Request, session_id: str) -> Answer:
        session = self._session(kind, session_id, "with ID")
        with self._database.lock:
            if session.finished_at is not None:
                return error(400, f"{kind.title} with ID {session_id} is already finished")
            session.finished_at = self._database.clock.now()
        if kind.has_devices and session.user_id is not None:
            self._devices.schedule(session.user_id)
        return single(200, session, path=f"{ROOT}/{kind.collection}/{session_id}/finish")

    def _session(self, kind: _Kind, session_id: str, words: str) -> EndedLater:
        session = kind.sessions().get(ulid_in_path(decoded(session_id)))
        if session is None:
            raise RefusedError(error(404, f"{kind.title} {words} {session_id} not found"))
        return session
