"""The secrets engine as its users see it: over OpenBao's API, with a homeserver behind."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests

from tests.servers.relay import LONGEST_HOLD
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from tests.servers import Mas, OpenBao, Relay, Synapse
    from tests.servers.mas.records import PersonalSession
    from tests.servers.relay import Reply

    from .confidential import Confidential
    from .deployment import Deployment
    from .mas_deployment import MasDeployment

MOUNT = "matrix"
"""Where the engine is mounted."""


def module_policy(mount: str) -> str:
    """Return the policy of the token of a module that reads from this mount."""
    return f'path "{mount}/login/*" {{ capabilities = ["read", "sudo"] }}\n'


MODULE_POLICY = module_policy(MOUNT)
"""The policy of the module's token."""

SECRETS = ("access_token", "login_secret")
"""The fields of answers that no log may hold."""


@dataclass(frozen=True)
class Leased:
    """An access token and the lease that it ends with."""

    lease_id: str
    duration: int
    renewable: bool
    access_token: str
    device_id: str
    user_id: str
    homeserver_url: str


class Engine:
    """One mount of the secrets engine."""

    def __init__(
        self, openbao: OpenBao, confidential: Confidential, mount: str = MOUNT, url: str = ""
    ) -> None:
        """Take a mount that is there.

        Args:
            openbao: The server.
            confidential: Where tokens and secrets are remembered.
            mount: The path of the mount.
            url: The address to ask, if it is another one than the server's.
        """
        self.openbao = openbao
        self.confidential = confidential
        self.mount = mount
        self.url = url or openbao.url

    @classmethod
    def enable(cls, openbao: OpenBao, confidential: Confidential, mount: str = MOUNT) -> Engine:
        """Mount the plugin, which is in the catalog."""
        openbao.cli("secrets", "enable", f"-path={mount}", "vault-plugin-secrets-matrix")
        return cls(openbao, confidential, mount)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        wrap_ttl: str | None = None,
        timeout: float = 60,
    ) -> requests.Response:
        """Send a request below the mount and return the answer, whatever it is.

        Args:
            method: Such as GET.
            path: What comes after the mount, not encoded.
            body: The parameters; bytes are sent as they are.
            token: Another one than the root token.
            wrap_ttl: How long the answer, wrapped, can be fetched.
            timeout: Of the request, in seconds.
        """
        path = f"{self.mount}/{quote(path, safe='/:@')}"
        return self.api(method, path, body, token=token, wrap_ttl=wrap_ttl, timeout=timeout)

    def api(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        wrap_ttl: str | None = None,
        timeout: float = 60,
    ) -> requests.Response:
        """Send a request of the API and return the answer, whatever it is."""
        headers = {"X-Vault-Token": token or self.openbao.root_token}
        if wrap_ttl is not None:
            headers["X-Vault-Wrap-TTL"] = wrap_ttl
        response = requests.request(
            method,
            f"{self.url}/v1/{path}",
            data=body if isinstance(body, bytes) else None,
            json=None if isinstance(body, bytes) else body,
            headers=headers,
            timeout=timeout,
            allow_redirects=False,
        )
        self._remember(response)
        return response

    def _remember(self, response: requests.Response) -> None:
        try:
            data = response.json().get("data")
        except (ValueError, AttributeError):
            return
        for name in SECRETS:
            if isinstance(data, dict) and isinstance(data.get(name), str):
                self.confidential.add(data[name])

    def read(self, path: str, *, token: str | None = None) -> dict[str, Any]:
        """Read a path, which must be there, and return its data."""
        answer = self.ask("GET", path, token=token)
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    def write(self, path: str, fields: dict[str, Any] | None = None) -> requests.Response:
        """Write to a path, which must work; return the answer."""
        answer = self.ask("POST", path, fields or {})
        assert answer.status_code in (200, 204), answer.text
        return answer

    def delete(self, path: str) -> None:
        """Delete what is at a path, which must work."""
        answer = self.ask("DELETE", path)
        assert answer.status_code == 204, answer.text

    def names(self, path: str) -> list[str]:
        """List a path; nothing there is an empty list."""
        answer = self.ask("LIST", path)
        if answer.status_code == 404:
            assert answer.json()["errors"] == [], answer.text
            return []
        assert answer.status_code == 200, answer.text
        keys: list[str] = answer.json()["data"]["keys"]
        return keys

    def errors(self, answer: requests.Response, status: int) -> str:
        """Return what an answer in Vault's form of errors says; it must have this status."""
        assert answer.status_code == status, answer.text
        errors = answer.json()["errors"]
        assert isinstance(errors, list), answer.text
        text = "\n".join(errors)
        self.confidential.check_text(text)
        return text

    def lease(self, bot: str, *, token: str | None = None) -> Leased:
        """Read a token of a user, whose localpart this is."""
        answer = self.ask("GET", f"user/{bot}/{SERVER_NAME}", token=token)
        assert answer.status_code == 200, answer.text
        return leased(answer)

    def renew(self, lease_id: str, increment: int | None = None) -> requests.Response:
        """API: https://openbao.org/api-docs/system/leases/#renew-lease."""
        body: dict[str, Any] = {"lease_id": lease_id}
        if increment is not None:
            body["increment"] = increment
        return self.api("PUT", "sys/leases/renew", body)

    def revoke(self, lease_id: str) -> None:
        """Revoke a lease and wait until that is done.

        API: https://openbao.org/api-docs/system/leases/#revoke-lease
        """
        answer = self.api("PUT", "sys/leases/revoke", {"lease_id": lease_id, "sync": True})
        assert answer.status_code == 204, answer.text

    def leases(self, prefix: str = "") -> list[str]:
        """Return the ids of all leases of this mount, below a prefix that ends in a slash."""
        found: list[str] = []
        folders = [f"{self.mount}/{prefix}"]
        while folders:
            folder = folders.pop()
            answer = self.api("LIST", f"sys/leases/lookup/{folder}")
            for name in answer.json()["data"]["keys"] if answer.status_code == 200 else []:
                (folders if name.endswith("/") else found).append(folder + name)
        return found


def leased(answer: requests.Response) -> Leased:
    """Take a lease out of an answer."""
    body = answer.json()
    return Leased(
        lease_id=body["lease_id"],
        duration=body["lease_duration"],
        renewable=body["renewable"],
        **body["data"],
    )


class EngineSite:
    """An engine, and a homeserver behind a relay whose module reads its secrets from it."""

    def __init__(self, engine: Engine, deployment: Deployment, relay: Relay) -> None:
        self.engine = engine
        self.deployment = deployment
        self.relay = relay
        self.openbao = engine.openbao
        self.confidential = engine.confidential
        self._numbers = itertools.count(1)

    @property
    def synapse(self) -> Synapse:
        """The homeserver."""
        return self.deployment.synapse

    def configure(self, engine: Engine | None = None, **fields: Any) -> None:
        """Tell an engine of the homeserver, which it reaches through the relay."""
        (engine or self.engine).write(
            f"config/homeserver/{SERVER_NAME}", {"cs_url": self.relay.url, **fields}
        )

    def register(self, localpart: str) -> None:
        """Make an account."""
        self.synapse.register(localpart)

    def new_bot(self, engine: Engine | None = None, **fields: Any) -> str:
        """Register a user, tell the engine of it, and return the localpart."""
        name = f"bot-{next(self._numbers)}"
        self.register(name)
        (engine or self.engine).write(f"config/user/{name}/{SERVER_NAME}", fields)
        return name

    def user_of(self, access_token: str) -> str | None:
        """Return whose token it is, as the homeserver says; `None` if it is dead."""
        answer = requests.get(
            f"{self.synapse.url}/_matrix/client/v3/account/whoami",
            headers={"Authorization": f"Bearer {access_token}"},
            timeout=30,
        )
        if answer.status_code == 401:
            return None
        assert answer.status_code == 200, answer.text
        user_id: str = answer.json()["user_id"]
        return user_id

    def is_alive(self, leased: Leased) -> bool:
        """Whether the session is open."""
        return self.user_of(leased.access_token) == leased.user_id

    def hold_logins(self) -> threading.Event:
        """Hold back the answers to all logins, which are done, until the event is set."""
        released = threading.Event()

        def edit(reply: Reply) -> Reply:
            if isinstance(reply.body, bytes) and b"access_token" in reply.body:
                released.wait(LONGEST_HOLD)
            return reply

        self.relay.edit = edit
        return released

    def devices(self, bot: str) -> list[str]:
        """Return the devices of a user, as the homeserver's database has them."""
        return self.deployment.synapse.devices(f"@{bot}:{SERVER_NAME}")

    def log_out(self, access_token: str) -> None:
        """End a session behind the engine's back."""
        answer = requests.post(
            f"{self.synapse.url}/_matrix/client/v3/logout",
            headers={"Authorization": f"Bearer {access_token}"},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text


class MasEngineSite(EngineSite):
    """The same, where MAS decides who the users of the homeserver are."""

    deployment: MasDeployment

    @property
    def mas(self) -> Mas:
        """The stand-in for MAS."""
        return self.deployment.mas

    def register(self, localpart: str) -> None:
        """Make an account at MAS, which makes it in Synapse."""
        self.mas.add_user(localpart)

    def sessions(self, bot: str) -> list[PersonalSession]:
        """Return the sessions of a user that are open at MAS."""
        return self.deployment.sessions(f"@{bot}:{SERVER_NAME}")

    def is_alive(self, leased: Leased) -> bool:
        """Whether the session is open, once MAS has told Synapse what it has done."""
        self.mas.jobs.wait()
        return super().is_alive(leased)
