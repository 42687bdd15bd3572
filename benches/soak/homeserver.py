"""Logins to a real Synapse, as many as one client makes that waits for each."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import requests

from .logins import MOSTLY_RIGHT, WRONG_HASH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.harness.accounts import Account
    from tests.servers import Synapse

TIMEOUT = 300
"""How long an answer may take, in seconds."""


class Client:
    """Logs in on a thread of its own, one login after the other."""

    def __init__(self, synapse: Synapse, accounts: Sequence[Account], per_second: float) -> None:
        """Begin nothing yet.

        Args:
            synapse: The homeserver.
            accounts: Users that it has, each with one device.
            per_second: The most logins that begin in a second.
        """
        self._url = f"{synapse.url}/_matrix/client/v3/login"
        self._users = itertools.cycle(accounts)
        self._pause = 1 / per_second
        self._chance = random.Random(2)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None
        self.tally: Counter[str] = Counter()
        """How many answers there were, with keys such as ``right: 200``."""

    def log_in(self, count: int) -> None:
        """Log in so many times, as fast as answers come."""
        with requests.Session() as session:
            for _ in range(count):
                self._log_in_once(session)

    def start(self) -> None:
        """Begin to log in, until stopped."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="homeserver's client")
        self._thread.start()

    def stop(self) -> None:
        """Wait for the answer that is due, and end. Raises what kept logins from being sent."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            with requests.Session() as session:
                while not self._stopping.is_set():
                    begun = time.monotonic()
                    self._log_in_once(session)
                    self._stopping.wait(max(0, begun + self._pause - time.monotonic()))
        except (requests.RequestException, RuntimeError) as error:
            self._failure = error

    def _log_in_once(self, session: requests.Session) -> None:
        account = next(self._users)
        is_right = self._chance.randrange(MOSTLY_RIGHT) > 0
        body = {
            "type": "io.t2bot.vault",
            "identifier": {"type": "m.id.user", "user": account.user_id},
            "token_hash": account.token_hash if is_right else WRONG_HASH,
            # The same one again and again, whose access tokens replace each other.
            "device_id": "SOAK",
        }
        answer = session.post(self._url, json=body, timeout=TIMEOUT)
        if answer.status_code == 200 and answer.json()["user_id"] != account.user_id:
            raise RuntimeError("a login opened another user's account")
        self.tally[f"{'right' if is_right else 'wrong'}: {answer.status_code}"] += 1
