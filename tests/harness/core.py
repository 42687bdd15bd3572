"""The module's core without a homeserver, for what takes many configurations to show."""

from __future__ import annotations

import itertools
import json
import select
from typing import TYPE_CHECKING, Any

from synapse_vault_auth_provider._core import Counts, Health, LoginService, Outcome, Settings

from tests.servers.synapse import SERVER_NAME

from .deployment import PATH_ROOT, Account, Confidential
from .waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.servers import OpenBao

_numbers = itertools.count(1)


class Core:
    """Drives the core as the reactor of a homeserver does, on the thread of the caller.

    All its users are registered, unless a login says otherwise.
    """

    def __init__(
        self,
        openbao: OpenBao,
        confidential: Confidential,
        config: Mapping[str, Any],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Take the configuration as it is in YAML; keys whose value is `None` are left out."""
        self.openbao = openbao
        self.confidential = confidential
        written = {key: json.dumps(value) for key, value in config.items() if value is not None}
        self._service = LoginService(Settings.parse(written, environment or {}), SERVER_NAME)
        self._decided: dict[int, Outcome] = {}
        self._checked: dict[int, Health] = {}
        self.notices: list[str] = []

    def __enter__(self) -> Core:
        self._service.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._service.stop()
        self.confidential.check_text("\n".join(self.notices))

    def counts(self) -> Counts:
        """Return what the core has counted."""
        return self._service.counts()

    def new_account(self, login_secret: str | None = None) -> Account:
        """Make up a user and write a secret for them."""
        return self.put_secret(self.new_user(), login_secret)

    def new_user(self) -> str:
        """Make up a user without a secret; return the id."""
        return f"@core-{next(_numbers)}:{SERVER_NAME}"

    def put_secret(self, user_id: str, login_secret: str | None = None) -> Account:
        """Write a secret for a user; without one given, the id's own."""
        if login_secret is None:
            account = Account.with_a_secret_of_its_own(user_id)
        else:
            account = Account(user_id, login_secret)
        self.confidential.add(account.login_secret)
        self.confidential.add(account.token_hash)
        self.openbao.write(f"{PATH_ROOT}/{user_id}", {"login_secret": account.login_secret})
        return account

    def log_in(self, user_id: str, token_hash: str, *, is_registered: bool = True) -> Outcome:
        """Log in and wait for the outcome."""
        return self.outcome(self.begin(user_id, token_hash, is_registered=is_registered))

    def begin(self, user_id: str, token_hash: str, *, is_registered: bool = True) -> int:
        """Begin to log in; return the number of the login."""
        number = next(_numbers)
        outcome = self._service.begin(number, user_id, is_registered, token_hash)
        if outcome is not None:
            self._decided[number] = outcome
        return number

    def outcome(self, number: int) -> Outcome:
        """Wait for a login to end, and return how it did."""

        def is_decided() -> bool:
            if number not in self._decided:
                self.collect(0.5)
            return number in self._decided

        wait_until("a login ends", is_decided)
        outcome = self._decided.pop(number)
        self.confidential.check_text(outcome.reason)
        return outcome

    def check(self) -> Health:
        """Ask whether logins can be decided, and wait for the answer."""
        number = next(_numbers)
        health = self._service.begin_check(number)
        if health is not None:
            return health

        def is_checked() -> bool:
            self.collect(0.5)
            return number in self._checked

        wait_until("the check ends", is_checked)
        health = self._checked.pop(number)
        self.confidential.check_text(health.reason or "")
        return health

    def is_decided(self, number: int) -> bool:
        """Tell whether a login has ended."""
        self.collect(0)
        return number in self._decided

    def take_decided(self) -> dict[int, Outcome]:
        """Return the outcomes that there are, by the numbers of their logins."""
        self.collect(0.5 if not self._decided else 0)
        decided, self._decided = self._decided, {}
        return decided

    def collect(self, seconds: float) -> None:
        """Wait that long for logins to end."""
        if select.select([self._service.fileno()], [], [], seconds)[0]:
            decided, notices, checked = self._service.drain()
            self._decided.update(decided)
            self._checked.update(checked)
            self.notices += [text for _, text in notices]
