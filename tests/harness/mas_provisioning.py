"""A homeserver whose users MAS signs in, where accounts are provisioned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.servers import Relay
from tests.servers.mas.records import CompatSession, PersonalSession, UpstreamLink, UserEmail

from .mas_deployment import MasDeployment
from .provisioning import POLICY, Site, localpart_of
from .scaffold import Scaffold

if TYPE_CHECKING:
    from tests.servers.mas.records import TokenSession, User, UserSession
    from tests.servers.relay import Reply, Request, Reset, Silence

    from .deployment import Deployment
    from .provisioning import Means

SESSIONS = ("browser", "compat", "oauth2", "personal")
"""The kinds of sessions that MAS has."""


class MasSite(Site):
    """Makes provisioners that have a client of MAS, and looks at their work without it."""

    def __init__(self, deployment: MasDeployment) -> None:
        """Take servers that run."""
        self.deployment = deployment
        self.mas = deployment.mas
        self.synapse = deployment.synapse
        self.openbao = deployment.openbao
        self.root = "matrix/users"
        self.confidential = deployment.confidential
        token = self.openbao.create_token("provisioning", POLICY)
        self.vault_token = self.confidential.add(token)
        self.client_settings = {
            "mas_admin_api": self.mas.url,
            "mas_client_id": self.mas.client.id,
            "mas_client_secret": self.mas.client.secret,
        }

    @classmethod
    def of(cls, deployment: Deployment) -> MasSite:
        """Take the servers of a deployment."""
        assert isinstance(deployment, MasDeployment)
        return cls(deployment)

    def settings(self, means: Means | None = None, **changes: object) -> dict[str, Any]:
        """Return the arguments of a provisioner with a few changes; `None` takes one away."""
        return super().settings(means, **{**self.client_settings, **changes})

    def settings_without_client(self, **changes: object) -> dict[str, Any]:
        """Return the arguments of a provisioner that has no client of MAS."""
        return self.settings(None, **dict.fromkeys(self.client_settings), **changes)

    # What MAS has

    def account(self, user_id: str) -> dict[str, Any] | None:
        """Return what MAS shows of an account; `None` if it has none of this name."""
        name = localpart_of(user_id)
        users = [user for user in self.mas.database.users.values() if user.username == name]
        return users[0].attributes() if users else None

    def user(self, user_id: str) -> User:
        """Return an account at MAS."""
        return self.mas.user(localpart_of(user_id))

    def open_sessions(self, user_id: str) -> dict[str, TokenSession | UserSession]:
        """Open one of every kind, as others would; return them by kind."""
        user = self.user(user_id)
        return {
            "browser": self.mas.add_user_session(user),
            "compat": self.open_compat_session(user_id, "COMPATDEVICE"),
            "oauth2": self.mas.add_oauth2_session(user, "OAUTHDEVICE"),
            "personal": self.open_personal_session(user_id),
        }

    def open_personal_session(self, user_id: str) -> PersonalSession:
        """Open a session as another administrator's tool does."""
        user = self.user(user_id)
        session = PersonalSession(
            id=self.mas.clock.new_id(),
            user_id=user.id,
            owner_client_id=self.mas.add_client().id,
            owner_user_id=None,
            human_name="of another tool",
            scope="urn:matrix:client:api:* urn:matrix:client:device:PERSONALDEV",
            created_at=self.mas.clock.now(),
            token=self.mas.tokens.new(PersonalSession),
        )
        self.mas.devices.add(user, ["PERSONALDEV"])
        self.mas.database.add(session)
        return session

    def open_compat_session(self, user_id: str, device_id: str) -> CompatSession:
        """Open a session as `syn2mas` and MAS' compatibility layer do."""
        user = self.user(user_id)
        session = CompatSession(
            self.mas.clock.new_id(),
            user.id,
            device_id,
            self.mas.clock.now(),
            self.mas.tokens.new(CompatSession),
        )
        self.mas.devices.add(user, [device_id])
        self.mas.database.add(session)
        return session

    def open_kinds(self, user_id: str) -> list[str]:
        """Return the kinds of which a user has sessions that nobody has ended."""
        user_id, database = self.user(user_id).id, self.mas.database
        kinds: dict[str, dict[str, Any]] = {
            "browser": database.user_sessions,
            "compat": database.compat_sessions,
            "oauth2": database.oauth2_sessions,
            "personal": database.personal_sessions,
        }
        return [
            kind
            for kind, sessions in kinds.items()
            if any(
                session.user_id == user_id and session.finished_at is None
                for session in sessions.values()
            )
        ]

    def add_email(self, user_id: str) -> None:
        """Give an account an e-mail address."""
        email = UserEmail(
            self.mas.clock.new_id(), self.user(user_id).id, "a@example.org", self.mas.clock.now()
        )
        self.mas.database.emails[email.id] = email

    def add_link(self, user_id: str) -> None:
        """Let a user of an identity provider in."""
        clock = self.mas.clock
        link = UpstreamLink(
            clock.new_id(), self.user(user_id).id, clock.new_id(), "subject", clock.now()
        )
        self.mas.database.links[link.id] = link

    def user_of(self, access_token: str) -> str | None:
        """Return whose token this is, once MAS has told of what has ended; `None` if it is dead."""
        self.mas.jobs.wait()
        return super().user_of(access_token)

    def devices_of(self, user_id: str) -> set[str]:
        """Return the devices that Synapse has of a user, once MAS has told of what has ended."""
        self.mas.jobs.wait()
        return self.deployment.devices(user_id)

    def _logs_in(self, proof: dict[str, str], user_id: str) -> bool:
        body = {"identifier": {"type": "m.id.user", "user": user_id}, **proof}
        answer = self.deployment.post_login(body).response
        if answer.status_code == 404:
            # The module serves no logins here.
            return True
        if answer.ok:
            token = self.confidential.add(answer.json()["access_token"])
            assert self.deployment.log_out(token).ok
        else:
            assert answer.status_code == 403, answer.text
        return answer.ok


class MasScaffold(Scaffold):
    """Stands between a process and MAS too."""

    def __init__(self, site: MasSite) -> None:
        super().__init__(site)
        self.mas = _Relay(self, site.mas.url)

    def __enter__(self) -> MasScaffold:
        super().__enter__()
        self.mas.listen()
        return self

    def __exit__(self, *details: object) -> None:
        self.mas.close()
        super().__exit__(*details)

    def addresses(self) -> dict[str, str]:
        """Return the settings that lead here."""
        return {
            **super().addresses(),
            "mas_admin_api": self.mas.url,
            "mas_token_endpoint": f"{self.mas.url}/oauth2/token",
        }


class _Relay(Relay):
    def __init__(self, scaffold: MasScaffold, target: str) -> None:
        super().__init__(target)
        self._scaffold = scaffold

    def answer(self, request: Request, body: bytes) -> Reply | Reset | Silence:
        return self._scaffold.treat(request, lambda: super(_Relay, self).answer(request, body))
