"""A homeserver and a Vault that belong together, and what logins do to them."""

from __future__ import annotations

import itertools
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from .accounts import PATH_ROOT, Account, token_hash

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from tests.servers import OpenBao, Synapse
    from tests.servers.log import Record

    from .confidential import Confidential

LOGGER = "synapse_vault_auth_provider"
LOGIN_TYPE = "io.t2bot.vault"

LONGEST_LINE = 4000
"""No line of ours is longer, whatever a client sends; in characters."""

_LINE = re.compile(
    r"Login of (?:(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")…?|something that is no string but \w+)"
    r": (?P<outcome>[a-z_]+): "
)


def is_notice(record: Record) -> bool:
    """Tell whether our logger wrote this of something else than a login."""
    return record.logger == LOGGER and not record.message.startswith(("Login of ", "A login of "))


@dataclass(frozen=True)
class Attempt:
    """A login: what the homeserver answered, and what it logged meanwhile."""

    response: requests.Response
    records: list[Record]

    @property
    def lines(self) -> list[Record]:
        """What our own logger wrote of logins, and not of what goes on in the background."""
        return [
            record for record in self.records if record.logger == LOGGER and not is_notice(record)
        ]

    @property
    def line(self) -> Record:
        """The one line that our logger wrote."""
        assert len(self.lines) == 1, f"{self.response.text}: {self.lines}"
        line = self.lines[0]
        # In the request's logcontext, and not in none or in one left over.
        assert line.request.startswith("POST-"), line
        assert "\n" not in line.message, line
        assert len(line.message) < LONGEST_LINE, line
        return line

    @property
    def outcome(self) -> str:
        """The code in that line."""
        match = _LINE.match(self.line.message)
        assert match is not None, self.line
        return match["outcome"]

    def check_accepted(self, user_id: str) -> None:
        """Fail unless this user is logged in now."""
        assert self.response.status_code == 200, f"{self.response.text}: {self.lines}"
        assert self.response.json()["user_id"] == user_id
        assert self.response.json()["access_token"]
        assert (self.outcome, self.line.level) == ("ok", "INFO")

    def check_refused(self, outcome: str) -> None:
        """Fail unless nobody is logged in, for this reason."""
        assert self.response.status_code == 403, f"{self.response.text}: {self.lines}"
        assert self.response.json() == {
            "errcode": "M_FORBIDDEN",
            "error": "Invalid username or password",
        }
        assert self.outcome == outcome, self.line


class Deployment:
    """Makes accounts and logs in to them."""

    def __init__(
        self, name: str, synapse: Synapse, openbao: OpenBao, confidential: Confidential
    ) -> None:
        """Take servers; the homeserver may be started later.

        Args:
            name: The start of the localparts of new accounts. Deployments that share a Vault
                must have different ones.
            synapse: The homeserver.
            openbao: Where accounts get their secrets.
            confidential: Where these are remembered.
        """
        self.name = name
        self.synapse = synapse
        self.openbao = openbao
        self.confidential = confidential
        self._numbers = itertools.count(1)

    def notices(self, since: int = 0) -> list[Record]:
        """Return what our logger wrote of no login, after the log had the length `since`."""
        return [record for record in self.synapse.log_records(since) if is_notice(record)]

    def new_user(self) -> str:
        """Register a user without a secret; return the id."""
        return self.synapse.register(f"{self.name}-{next(self._numbers)}")

    def new_account(self, login_secret: str | None = None) -> Account:
        """Register a user and write a secret for them."""
        return self.put_secret(self.new_user(), login_secret)

    def historic_account(self, user_id: str, login_secret: str | None = None) -> Account:
        """Make an account with an id that cannot be registered today."""
        return self.put_secret(self.synapse.insert_user(user_id), login_secret)

    def put_secret(self, user_id: str, login_secret: str | None = None) -> Account:
        """Write a secret for an id, whoever has it; without one given, the id's own."""
        account = self.account(user_id, login_secret)
        self.put(user_id, {"login_secret": account.login_secret})
        return account

    def put(self, user_id: str, data: dict[str, Any]) -> None:
        """Write a user's entry; `data` may hold values of any JSON type."""
        self.openbao.write(f"{PATH_ROOT}/{user_id}", data)

    def account(self, user_id: str, login_secret: str | None = None) -> Account:
        """Tell what would log in with a secret, without writing it anywhere."""
        return self.confidential.add_account(Account.of(user_id, login_secret))

    def token_hash(self, login_secret: str, user_id: str) -> str:
        """Compute a token hash that no log may hold."""
        return self.confidential.add(token_hash(login_secret, user_id))

    def log_in(self, user: object, token_hash: object, **fields: Any) -> Attempt:
        """Log in with an identifier of the usual form; `fields` go beside it."""
        return self.post_login(
            {
                "type": LOGIN_TYPE,
                "identifier": {"type": "m.id.user", "user": user},
                "token_hash": token_hash,
                **fields,
            }
        )

    def post_login(self, body: Any, version: str = "v3") -> Attempt:
        """Send a login of any form. What others do meanwhile is in the attempt's records too."""
        since = self.synapse.log_size()
        response = self.synapse.post_login(body, version, timeout=300)
        return Attempt(response, self.synapse.log_records(since))


Deployed = TypeVar("Deployed", bound=Deployment)


@contextmanager
def deployed(deployment: Deployed) -> Iterator[Deployed]:
    """Start a homeserver; in the end stop it, and fail if it logged what is confidential."""
    synapse = deployment.synapse
    try:
        synapse.start()
        yield deployment
    finally:
        synapse.stop()
    deployment.confidential.check(synapse)
