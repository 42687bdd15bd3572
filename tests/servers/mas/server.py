"""The server that listens, and what tests do with it."""

from __future__ import annotations

import re
import secrets
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typing_extensions import Self

from ..port import ReservedPort
from .admin import ROOT, Admin
from .admin_personal_sessions import AdminPersonalSessions
from .admin_sessions import AdminSessions
from .admin_site import AdminSite
from .admin_users import AdminUsers
from .clients import AuthMethod, Client, new_client
from .clock import Clock
from .compat import CORS, LOGIN, LOGOUT, LOGOUT_ALL, REFRESH, SSO_REDIRECT, Compat
from .database import Database
from .devices import DeviceSync
from .faults import Faults
from .homeserver import Homeserver
from .http_types import Answer, RefusedError, Request, html, plain
from .jobs import Jobs
from .listener import Listener
from .oauth import OAuth, discovery
from .records import DEVICE_SCOPE, OAuth2Session, PersonalSession, User, UserSession
from .tokens import Tokens


class Mas:
    """Listens at `url`. What it holds is in `database`, and what goes wrong with it in `faults`."""

    def __init__(
        self,
        server_name: str,
        *,
        remember: Callable[[str], object] = lambda _: None,
        auth_method: AuthMethod = "client_secret_basic",
    ) -> None:
        """Choose a port and secrets.

        Args:
            server_name: The homeserver's.
            remember: Takes every token and secret, which no log may hold.
            auth_method: How `client` must show its secret.
        """
        self.port = ReservedPort()
        self.url = f"http://127.0.0.1:{self.port}"
        self.server_name = server_name
        self.shared_secret = secrets.token_hex(24)
        """What Synapse's configuration has as `secret`."""
        self.clock = Clock()
        self.database = Database(self.clock)
        self.faults = Faults()
        self.requests: list[Request] = []
        """All that were read, those that met a fault too."""
        self.homeserver = Homeserver(self.shared_secret)
        self.jobs = Jobs()
        self.client = new_client(self.clock, auth_method=auth_method)
        """Who may use the admin API."""
        self.clients = {self.client.id: self.client}
        self._remember = remember
        for secret in (self.shared_secret, self.client.secret):
            remember(secret)
        self.tokens = Tokens(self.database, remember)
        self.devices = DeviceSync(self.database, self.homeserver, self.jobs)
        self.users = AdminUsers(self.database, self.homeserver, self.jobs)
        self.site = AdminSite(self.database, server_name, lambda: self.users.takes_passwords)
        personal = AdminPersonalSessions(self.database, self.devices, self.tokens, self.clients)
        sessions = AdminSessions(self.database, self.devices)
        areas = (self.users, personal, sessions, self.site)
        endpoints = [endpoint for area in areas for endpoint in area.endpoints()]
        self.admin = Admin(self.database, self.tokens, self.clients, endpoints)
        self.compat = Compat(
            self.database,
            self.devices,
            self.tokens,
            server_name,
            lambda: self.users.takes_passwords,
        )
        oauth = OAuth(self.database, self.tokens, self.clients, self.shared_secret)
        self._routes: dict[tuple[str, str], Callable[[Request], Answer]] = {
            ("GET", "/health"): lambda _: plain(200, "ok"),
            ("GET", "/.well-known/openid-configuration"): lambda _: discovery(self.url),
            ("POST", "/oauth2/token"): oauth.token,
            ("POST", "/oauth2/introspect"): oauth.introspect,
            ("GET", LOGIN): self.compat.flows,
            ("POST", LOGIN): self.compat.login,
            ("POST", LOGOUT): self.compat.logout,
            ("POST", LOGOUT_ALL): self.compat.logout_all,
            ("POST", REFRESH): self.compat.refresh,
            ("GET", SSO_REDIRECT): self.compat.sso_redirect,
        }
        self._server: Listener | None = None
        self._secure: Listener | None = None

    # What tests ask for

    @property
    def settings(self) -> dict[str, str]:
        """The module's key `mas` that leads here."""
        return {
            "admin_api": self.url,
            "client_id": self.client.id,
            "client_secret": self.client.secret,
        }

    @property
    def homeserver_yaml(self) -> dict[str, Any]:
        """What Synapse's configuration must say."""
        return {
            "matrix_authentication_service": {
                "enabled": True,
                "endpoint": f"{self.url}/",
                "secret": self.shared_secret,
            },
            "password_config": {"enabled": False},
        }

    def add_client(self, *, is_admin: bool = True) -> Client:
        """Return another client, such as that of some other administrator's tool."""
        client = new_client(self.clock, auth_method="client_secret_basic", is_admin=is_admin)
        self._remember(client.secret)
        self.clients[client.id] = client
        return client

    def add_user(self, username: str, *, at_homeserver: bool = True) -> User:
        """Make a user as another administrator would."""
        user = User(self.clock.new_id(), username, self.clock.now())
        if at_homeserver:
            self.homeserver.provision_user(username)
        self.database.users[user.id] = user
        return user

    def user(self, username: str) -> User:
        """Return the user of just this name."""
        return next(user for user in self.database.users.values() if user.username == username)

    def add_oauth2_session(self, user: User, device_id: str) -> OAuth2Session:
        """Open a session as a person's client does that uses OAuth."""
        session = OAuth2Session(
            id=self.clock.new_id(),
            user_id=user.id,
            client_id=self.clock.new_id(),
            scope=f"urn:matrix:client:api:* {DEVICE_SCOPE}{device_id} openid",
            created_at=self.clock.now(),
            token=self.tokens.new(OAuth2Session),
        )
        self.devices.add(user, [device_id])
        self.database.add(session)
        return session

    def add_user_session(self, user: User) -> UserSession:
        """Open a session in a browser."""
        session = UserSession(self.clock.new_id(), user.id, self.clock.now())
        self.database.user_sessions[session.id] = session
        return session

    def personal_sessions(
        self, username: str, *, is_active: bool | None = None
    ) -> list[PersonalSession]:
        """Return a user's, the oldest first."""
        user = self.user(username)
        return [
            session
            for session in sorted(
                self.database.personal_sessions.values(), key=lambda session: session.id
            )
            if session.user_id == user.id
            and (is_active is None or (session.finished_at is None) == is_active)
        ]

    def forget_tokens(self) -> None:
        """Have the admin API answer 401 to every token that there is."""
        for session in self.database.sessions():
            if session.user_id is None:
                self.database.forget(session)

    def recover(self) -> None:
        """End all faults, and be as MAS is when it starts."""
        self.faults.clear()
        self.homeserver.delay = 0
        self.homeserver.is_reachable = True
        self.clock.offset = 0
        self.jobs.resume()
        self.listen()

    def count(self, method: str, path: str) -> int:
        """Return how many requests of just this method and path have come."""
        return sum((one.method, one.path) == (method, path) for one in self.requests)

    # The server

    def start(self) -> Self:
        """Listen."""
        self.jobs.start()
        self.listen()
        return self

    def listen(self) -> None:
        """Listen again after `refuse_connections`."""
        if self._server is not None:
            return
        self._server = Listener(self.port, self.answer)
        self._server.serve()

    def listen_with_tls(self, certificate: Path, key: Path) -> str:
        """Listen at another address as well, which is returned, with TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        port = ReservedPort()
        self._secure = Listener(port, self.answer, context)
        self._secure.serve()
        return f"https://127.0.0.1:{port}"

    def refuse_connections(self) -> None:
        """Listen no more, and end the connections that there are."""
        server, self._server = self._server, None
        if server is not None:
            server.end()

    def stop(self) -> None:
        """Listen no more."""
        self.faults.clear()
        self.refuse_connections()
        if self._secure is not None:
            self._secure.end()
        self.jobs.stop()

    def answer(self, request: Request) -> Answer:
        """Do what a request asks for, and what its faults are.

        Raises:
            ConnectionDroppedError: There is to be no answer.
        """
        self.requests.append(request)
        taken = self.faults.take(request)
        answer = None
        for fault in taken:
            if fault.before is not None and answer is None:
                answer = fault.before(request)
        if answer is None:
            answer = self._work(request)
        for fault in taken:
            if fault.after is not None:
                answer = fault.after(request, answer)
        return answer

    def _work(self, request: Request) -> Answer:
        is_admin = request.path.startswith(f"{ROOT}/")
        # The compatibility layer is the same for all versions, those that do not exist included.
        path = re.sub(r"^/_matrix/client/[^/]+/", "/_matrix/client/v3/", request.path)
        handler = self._routes.get((request.method, path))
        if handler is None and not is_admin:
            if not any(known == path for _, known in self._routes):
                return html(404, "Not found")
            if request.method != "OPTIONS":
                return Answer(405, content_type=None)
            return Answer(200, content_type=None, headers=CORS)
        try:
            with self.database.connection():
                return handler(request) if handler else self.admin.answer(request)
        except RefusedError as refusal:
            return refusal.answer
