"""A homeserver where MAS decides who users are, and accounts on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import requests

from tests.servers.synapse import SERVER_NAME

from .deployment import LOGIN_TYPE, Attempt, Deployment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.servers import Mas, OpenBao, Synapse
    from tests.servers.mas.records import PersonalSession

    from .accounts import Account
    from .confidential import Confidential

LOGIN = "/_synapse/client/vault_auth/login"
LOGOUT = "/_synapse/client/vault_auth/logout"


class MasDeployment(Deployment):
    """Makes accounts at MAS, and logs in to them where the module serves it."""

    def __init__(
        self,
        name: str,
        synapse: Synapse,
        openbao: OpenBao,
        confidential: Confidential,
        mas: Mas,
    ) -> None:
        """Take servers, as `Deployment` does; MAS gets to know where Synapse listens."""
        super().__init__(name, synapse, openbao, confidential)
        self.mas = mas
        mas.homeserver.url = synapse.url

    def new_user(self) -> str:
        """Make a user at MAS, which makes it in Synapse, without a secret; return the id."""
        user = self.mas.add_user(f"{self.name}-{next(self._numbers)}")
        return f"@{user.username}:{SERVER_NAME}"

    def post_login(self, body: Any, version: str = "v3") -> Attempt:  # noqa: ARG002
        """Send a login of any form to the module's own endpoint."""
        return self.post_bytes(json.dumps(body).encode())

    def post_bytes(self, body: bytes, headers: Mapping[str, str] | None = None) -> Attempt:
        """Send a login that need not be JSON."""
        since = self.synapse.log_size()
        response = requests.post(self.synapse.url + LOGIN, data=body, headers=headers, timeout=300)
        return Attempt(response, self.synapse.log_records(since))

    def answer_to_login(self, account: Account, **fields: Any) -> requests.Response:
        """Log in, without looking at the log."""
        body = {
            "type": LOGIN_TYPE,
            "identifier": {"type": "m.id.user", "user": account.user_id},
            "token_hash": account.token_hash,
            **fields,
        }
        return requests.post(self.synapse.url + LOGIN, json=body, timeout=300)

    def log_out(self, token: str | None, *, everywhere: bool = False) -> requests.Response:
        """Send a logout to the module's own endpoint."""
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        url = self.synapse.url + LOGOUT + ("/all" if everywhere else "")
        return requests.post(url, headers=headers, timeout=300)

    def whoami(self, token: str) -> requests.Response:
        """Ask Synapse whose token this is."""
        return requests.get(
            f"{self.synapse.url}/_matrix/client/v3/account/whoami",
            headers={"Authorization": f"Bearer {token}"},
            timeout=300,
        )

    def devices(self, user_id: str) -> set[str]:
        """Return the devices that Synapse has of a user."""
        with self.synapse.database() as database:
            rows = database.execute("SELECT device_id FROM devices WHERE user_id = ?", (user_id,))
            return {device_id for (device_id,) in rows if device_id is not None}

    def sessions(self, user_id: str, *, is_active: bool | None = True) -> list[PersonalSession]:
        """Return the personal sessions that MAS has of a user, the oldest first."""
        localpart = user_id[1:].removesuffix(f":{SERVER_NAME}")
        return self.mas.personal_sessions(localpart, is_active=is_active)
