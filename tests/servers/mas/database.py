"""The stand-in's database, with the two limits of MAS' that a burst of logins meets."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from .clock import Clock
from .http_types import RefusedError, error
from .records import (
    CompatSession,
    OAuth2Session,
    PersonalSession,
    TokenSession,
    UpstreamLink,
    User,
    UserEmail,
    UserSession,
    device_of,
)

CONNECTIONS = 10
"""MAS' `database.max_connections` as it comes."""

CONNECTION_TIMEOUT = 30.0
"""How long a request waits for a connection, in seconds."""

Ended = TypeVar("Ended", PersonalSession, CompatSession, OAuth2Session, UserSession)


class Database:
    """Users, their sessions and what belongs to them, each by its id."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.users: dict[str, User] = {}
        self.personal_sessions: dict[str, PersonalSession] = {}
        self.compat_sessions: dict[str, CompatSession] = {}
        self.oauth2_sessions: dict[str, OAuth2Session] = {}
        self.user_sessions: dict[str, UserSession] = {}
        self.emails: dict[str, UserEmail] = {}
        self.links: dict[str, UpstreamLink] = {}
        self._by_token: dict[str, TokenSession] = {}
        self._connections = threading.BoundedSemaphore(CONNECTIONS)
        self._sync_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    @contextmanager
    def connection(self) -> Iterator[None]:
        """Hold one of the few connections, as MAS does from the start of a request to its end."""
        if not self._connections.acquire(timeout=CONNECTION_TIMEOUT):
            raise RefusedError(error(500, "Couldn't load the database repository"))
        try:
            yield
        finally:
            self._connections.release()

    @contextmanager
    def device_sync(self, user_id: str) -> Iterator[None]:
        """Hold the lock under which a user's devices are told to the homeserver."""
        with self.lock:
            lock = self._sync_locks[user_id]
        with lock:
            yield

    def user_by_name(self, username: str) -> User | None:
        """Find a user as MAS does, whatever the case; one spelt just so comes first."""
        with self.lock:
            alike = [
                user for user in self.users.values() if user.username.lower() == username.lower()
            ]
        exact = [user for user in alike if user.username == username]
        return next(iter([*exact, *alike]), None)

    def sessions(self) -> list[TokenSession]:
        """Return all that have tokens."""
        with self.lock:
            return [
                *self.personal_sessions.values(),
                *self.compat_sessions.values(),
                *self.oauth2_sessions.values(),
            ]

    def add(self, session: TokenSession) -> None:
        """Keep a session that has a token."""
        with self.lock:
            if isinstance(session, PersonalSession):
                self.personal_sessions[session.id] = session
            elif isinstance(session, CompatSession):
                self.compat_sessions[session.id] = session
            else:
                self.oauth2_sessions[session.id] = session
            self._by_token[session.token] = session

    def replace_token(self, session: TokenSession, token: str) -> None:
        """Give a session another token; the one before is unknown from now on."""
        with self.lock:
            del self._by_token[session.token]
            session.token = token
            self._by_token[token] = session

    def forget(self, session: TokenSession) -> None:
        """Forget the token of a session, as if it had been cleaned up long ago."""
        with self.lock:
            self._by_token.pop(session.token, None)

    def session_by_token(self, token: str) -> TokenSession | None:
        return self._by_token.get(token)

    def devices(self, user_id: str) -> set[str]:
        """Return the devices of a user's sessions that have not been ended, expired ones too."""
        found: set[str] = set()
        for session in self.sessions():
            if session.user_id == user_id and session.finished_at is None:
                if isinstance(session, CompatSession):
                    found.add(session.device_id)
                else:
                    found.update(device_of(session.scope))
        return found

    def finish(self, sessions: dict[str, Ended], belongs: Callable[[Ended], bool]) -> list[Ended]:
        """End those sessions of a kind that belong to something and have not ended."""
        now: datetime = self.clock.now()
        with self.lock:
            ended = [one for one in sessions.values() if one.finished_at is None and belongs(one)]
            for session in ended:
                session.finished_at = now
        return ended
