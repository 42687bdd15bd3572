"""The module's login service, driven on the thread of the caller as a reactor drives it.

Nothing here needs a server: programs for other interpreters import it, which have no more than
Synapse and the module.
"""

from __future__ import annotations

import itertools
import json
import select
import time
from typing import TYPE_CHECKING

from synapse_vault_auth_provider._core import LoginService, Outcome, Settings

from .waiting import WAIT_LIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synapse_vault_auth_provider._core import Counts, Health
    from synapse_vault_auth_provider.reactor import ReactorLogins
    from twisted.internet.defer import Deferred
    from typing_extensions import Self


def login_service(
    config: Mapping[str, object],
    environment: Mapping[str, str] | None = None,
    server_name: str = "example.org",
) -> LoginService:
    """Make a service that is yet to be started.

    Args:
        config: The module's configuration as it is in YAML; keys whose value is `None` are left
            out.
        environment: The environment variables that the settings are read from.
        server_name: That of the homeserver.
    """
    written = {key: json.dumps(value) for key, value in config.items() if value is not None}
    return LoginService(Settings.parse(written, environment or {}), server_name)


def decide(logins: ReactorLogins, user_id: str, token_hash: str) -> Outcome | Deferred[Outcome]:
    """Decide a login whose account the homeserver finds at once."""
    user_id, login = logins.begin_login(user_id, token_hash)
    return login if isinstance(login, Outcome) else logins.decide(login, user_id)


class LoginDriver:
    """Begins logins and collects their outcomes, between `__enter__` and `__exit__`."""

    def __init__(
        self, config: Mapping[str, object], environment: Mapping[str, str] | None = None
    ) -> None:
        """Take the module's configuration as `login_service` does."""
        self.service = login_service(config, environment)
        self.notices: list[str] = []
        """What the core had to say of no login, so far."""
        self._numbers = itertools.count(1)
        self._decided: dict[int, Outcome] = {}
        self._checked: dict[int, Health] = {}

    def __enter__(self) -> Self:
        self.service.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.service.stop()

    def counts(self) -> Counts:
        """Return what the core has counted."""
        return self.service.counts()

    def log_in(self, user_id: str, token_hash: str, *, is_registered: bool = True) -> Outcome:
        """Log in and wait for the outcome."""
        return self.outcome(self.begin(user_id, token_hash, is_registered=is_registered))

    def begin(self, user_id: str, token_hash: str, *, is_registered: bool = True) -> int:
        """Begin to log in; return the number of the login."""
        number = next(self._numbers)
        _, outcome = self.service.begin(number, user_id, token_hash)
        if outcome is None:
            outcome = self.service.decide(number, user_id if is_registered else None)
        if outcome is not None:
            self._decided[number] = outcome
        return number

    def outcome(self, number: int) -> Outcome:
        """Wait for a login to end, and return how it did."""
        self._collect_until_in(self._decided, number)
        return self._decided.pop(number)

    def check(self) -> Health:
        """Ask whether logins can be decided, and wait for the answer."""
        number = next(self._numbers)
        health = self.service.begin_check(number)
        if health is not None:
            return health
        self._collect_until_in(self._checked, number)
        return self._checked.pop(number)

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
        """Wait at most that long for something to end."""
        if select.select([self.service.fileno()], [], [], seconds)[0]:
            decided, notices, checked, _ = self.service.drain()
            self._decided.update(decided)
            self._checked.update(checked)
            self.notices += [text for _, text in notices]

    def _collect_until_in(self, ended: Mapping[int, object], number: int) -> None:
        deadline = time.monotonic() + WAIT_LIMIT
        while number not in ended:
            assert time.monotonic() < deadline, "something that was begun never ends"
            self.collect(0.5)
