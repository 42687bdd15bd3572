"""Logins of many users decided by the core, on a reactor of Twisted's as in a homeserver.

`benches.lookup` runs it in a process of its own, as a reactor runs only once. It takes the module's
configuration from the variable `CONFIG`, user ids as its argument, both in JSON, and then commands
from standard input: ``one COUNT`` decides logins one after the other and answers with their median
time in microseconds; ``many COUNT IN_FLIGHT`` keeps some under way and answers with logins a
second.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

from synapse_vault_auth_provider import token_hash
from synapse_vault_auth_provider.reactor import ReactorLogins
from twisted.internet.defer import Deferred, succeed

from tests.harness.login_service import decide, login_service

from .stage import CONFIG, LOGIN_SECRET, User

if TYPE_CHECKING:
    from collections.abc import Callable

    from synapse_vault_auth_provider._core import Outcome


class Loop:
    """Logins one after the other, a new one as soon as one is decided."""

    def __init__(self, logins: ReactorLogins, users: list[User], done: Callable[[], None]) -> None:
        """Log these users in, one at a time each."""
        self._logins = logins
        self._users = users
        self._done = done
        self._left = 0
        self._under_way = 0
        self.times: list[float] = []

    def start(self, count: int, in_flight: int) -> None:
        """Decide so many logins; ``done`` is called after the last."""
        self._left = count
        for user in self._users[:in_flight]:
            self._next(user)

    def _next(self, user: User) -> None:
        self._left -= 1
        self._under_way += 1
        started = time.perf_counter()
        # It is no deferred if Vault answers before the core is told that there is an account.
        decided = decide(self._logins, user.user_id, user.token_hash)
        deciding = decided if isinstance(decided, Deferred) else succeed(decided)
        deciding.addCallback(self._decided, user, started).addErrback(fail)

    def _decided(self, outcome: Outcome, user: User, started: float) -> None:
        self.times.append(time.perf_counter() - started)
        if outcome.code != "ok":
            raise RuntimeError(f"a login ended with {outcome!r}")
        self._under_way -= 1
        if self._left > 0:
            self._next(user)
        elif self._under_way == 0:
            self._done()


def fail(failure: Any) -> None:
    """End the program: a reactor would go on without what failed, and be waited for."""
    failure.printTraceback(file=sys.stderr)
    sys.stderr.flush()
    os._exit(1)


def measure(logins: ReactorLogins, users: list[User], reactor: Any) -> None:
    """Take the next command; stop after the last."""
    words = sys.stdin.readline().split()
    if not words:
        reactor.stop()
        return
    count, in_flight = int(words[1]), int(words[2]) if words[0] == "many" else 1
    started = time.perf_counter()

    def done() -> None:
        elapsed = time.perf_counter() - started
        many = words[0] == "many"
        print(count / elapsed if many else statistics.median(loop.times) * 1e6, flush=True)
        reactor.callLater(0, measure, logins, users, reactor)

    loop = Loop(logins, users, done)
    loop.start(count, in_flight)


def main() -> None:
    """Run the reactor until the commands end."""
    from twisted.internet import reactor as installed

    # Its module says nothing of what it will be.
    reactor: Any = installed

    config = json.loads(os.environ[CONFIG])
    user_ids = json.loads(sys.argv[1])
    users = [User(user_id, token_hash(LOGIN_SECRET, user_id)) for user_id in user_ids]
    logins = ReactorLogins(login_service(config), reactor)
    reactor.callWhenRunning(measure, logins, users, reactor)
    reactor.run()


if __name__ == "__main__":
    main()
