"""The module's logins on a reactor of their own: ``python -m benches.soak.logins``.

It is the module's way from `ReactorLogins` on, without a homeserver before it: Twisted's reactor,
the login service, Vault. The first line of its input is a `Plan`; each one after it begins a number
of logins, and is answered by the tally of all of them so far when these have ended.
"""

from __future__ import annotations

import json
import logging
import random
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from tests.harness.login_service import decide, login_service

if TYPE_CHECKING:
    from synapse_vault_auth_provider._core import LoginService, Outcome
    from synapse_vault_auth_provider.reactor import ReactorLogins

TICK = 0.02
"""How often logins are begun that are due, in seconds."""

MOST_IN_FLIGHT = 512
"""How many logins may be under way at the same time. More are late."""

MOSTLY_RIGHT = 20
"""One of so many logins has a wrong hash."""

WRONG_HASH = "0" * 64


@dataclass(frozen=True)
class Plan:
    """What is to log in, and where the secrets lie."""

    config: dict[str, Any]
    """The module's, as it is in YAML."""
    token_hashes: dict[str, str]
    """The right one of each user id."""
    per_second: float
    """How many logins begin."""


class LoginProcess:
    """That program, and what it has counted."""

    def __init__(self, plan: Plan) -> None:
        """Start it; no login begins yet."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._send(asdict(plan))

    def __enter__(self) -> LoginProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        if self._process.returncode != 0:
            raise RuntimeError(f"the logins ended with {self._process.returncode}")

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def begin(self, logins: int) -> None:
        """Begin so many logins, one after the other at the plan's pace."""
        self._send(logins)

    def tally(self) -> dict[str, int]:
        """Wait until the logins have ended and return what became of all so far.

        The keys are such as ``right: ok`` and ``wrong: bad_hash`` for a hash and its outcome, and
        ``cache: hit`` for what the core counts.
        """
        if self._process.stdout is None or not (line := self._process.stdout.readline()):
            raise RuntimeError("the logins have ended early")
        tally: dict[str, int] = json.loads(line)
        return tally

    def _send(self, value: object) -> None:
        if self._process.stdin is None:
            raise RuntimeError("the logins have no input")
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()


class Paced:
    """Begins logins at a pace, and counts what becomes of them."""

    def __init__(self, plan: Plan, logins: ReactorLogins, service: LoginService) -> None:
        from twisted.internet.task import LoopingCall

        self._plan = plan
        self._users = list(plan.token_hashes.items())
        self._chance = random.Random(1)
        self._logins = logins
        self._service = service
        self._tally: Counter[str] = Counter()
        self._owed = 0
        self._due = 0.0
        self._in_flight = 0
        self._loop = LoopingCall.withCount(self._begin_due)

    def begin(self, logins: int) -> None:
        """Begin so many from now on."""
        self._owed = logins
        self._loop.start(TICK)

    def _begin_due(self, ticks: int) -> None:
        # What had to wait while too many were under way is made up for, and at once.
        self._due = min(self._due + self._plan.per_second * TICK * ticks, MOST_IN_FLIGHT)
        for _ in range(min(int(self._due), self._owed, MOST_IN_FLIGHT - self._in_flight)):
            self._owed -= 1
            self._due -= 1
            self._begin_one()
        if self._owed == 0 and self._in_flight == 0:
            self._loop.stop()
            self._report()

    def _begin_one(self) -> None:
        user_id, token_hash = self._chance.choice(self._users)
        is_right = self._chance.randrange(MOSTLY_RIGHT) > 0
        self._in_flight += 1
        login = decide(self._logins, user_id, token_hash if is_right else WRONG_HASH)
        hash_was = "right" if is_right else "wrong"
        if isinstance(login, Deferred):
            login.addCallback(self._end, hash_was)
        else:
            self._end(login, hash_was)

    def _end(self, outcome: Outcome, hash_was: str) -> None:
        self._in_flight -= 1
        self._tally[f"{hash_was}: {outcome.code}"] += 1

    def _report(self) -> None:
        counts = self._service.counts()
        cache = {f"cache: {result}": count for result, count in counts.cache.items()}
        say({**self._tally, **cache, "vault: retries": counts.vault_retries})


def say(value: object) -> None:
    """Answer whoever started the program."""
    print(json.dumps(value), flush=True)


def main() -> None:
    """Run the reactor until the input ends."""
    from synapse_vault_auth_provider.reactor import ReactorLogins
    from twisted.internet import reactor, stdio
    from twisted.protocols.basic import LineOnlyReceiver

    running: Any = reactor

    def prepared(plan: Plan) -> Paced:
        service = login_service(plan.config)
        return Paced(plan, ReactorLogins(service, running), service)

    class Input(LineOnlyReceiver):
        delimiter = b"\n"
        MAX_LENGTH = 1 << 24
        paced: Paced | None = None

        def lineReceived(self, line: bytes) -> None:  # noqa: N802 (Twisted's name)
            if self.paced is None:
                self.paced = prepared(Plan(**json.loads(line)))
            else:
                self.paced.begin(json.loads(line))

        def connectionLost(self, reason: object = None) -> None:  # noqa: ARG002, N802 (the same)
            running.stop()

    # That Vault comes and goes is what it is about, and no news.
    logging.getLogger("synapse_vault_auth_provider").addHandler(logging.NullHandler())
    stdio.StandardIO(Input())  # type: ignore[no-untyped-call]
    running.run()


if __name__ == "__main__":
    main()
