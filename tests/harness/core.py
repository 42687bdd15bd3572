"""The module's core without a homeserver, for what takes many configurations to show."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from tests.servers.synapse import SERVER_NAME

from .accounts import PATH_ROOT, Account
from .login_service import LoginDriver
from .waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synapse_vault_auth_provider._core import Health, Outcome

    from tests.servers import OpenBao

    from .confidential import Confidential

_numbers = itertools.count(1)


class Core(LoginDriver):
    """Makes accounts and logs in to them; nothing that it says may be confidential.

    All its users are registered, unless a login says otherwise.
    """

    def __init__(
        self,
        openbao: OpenBao,
        confidential: Confidential,
        config: Mapping[str, Any],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare.

        Args:
            openbao: Where accounts get their secrets.
            confidential: Where these are remembered.
            config: The module's configuration, as `login_service` takes it.
            environment: The environment variables that it is read from.
        """
        super().__init__(config, environment)
        self.openbao = openbao
        self.confidential = confidential

    def __exit__(self, *details: object) -> None:
        super().__exit__(*details)
        self.confidential.check_text("\n".join(self.notices))

    def new_account(self, login_secret: str | None = None) -> Account:
        """Make up a user and write a secret for them."""
        return self.put_secret(self.new_user(), login_secret)

    def new_user(self) -> str:
        """Make up a user without a secret; return the id."""
        return f"@core-{next(_numbers)}:{SERVER_NAME}"

    def put_secret(self, user_id: str, login_secret: str | None = None) -> Account:
        """Write a secret for a user; without one given, the id's own."""
        account = self.confidential.add_account(Account.of(user_id, login_secret))
        self.openbao.write(f"{PATH_ROOT}/{user_id}", {"login_secret": account.login_secret})
        return account

    def wait_for_notice(self, text: str) -> None:
        """Wait until the core has said something with this in it."""

        def is_said() -> bool:
            self.collect(0.1)
            return any(text in notice for notice in self.notices)

        wait_until(f"it is said: {text}", is_said)

    def outcome(self, number: int) -> Outcome:
        """Wait for a login to end, and return how it did."""
        outcome = super().outcome(number)
        self.confidential.check_text(outcome.reason)
        return outcome

    def check(self) -> Health:
        """Ask whether logins can be decided, and wait for the answer."""
        health = super().check()
        self.confidential.check_text(health.reason or "")
        return health
