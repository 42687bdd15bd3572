"""Provisioning in a process of its own, which is killed at a request of the test's choice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from tests.servers import Relay
from tests.servers.relay import Reset

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.relay import Reply, Request, Silence

    from .provisioning import Means, Site

PROGRAM = """
import json, sys
from synapse_vault_auth_provider.provisioning import Provisioner

settings, verb, user_id, arguments = json.load(sys.stdin)
with Provisioner(**settings) as provisioner:
    getattr(provisioner, verb)(user_id, **arguments)
"""

KILLED = -9
"""How a process ends that was killed."""


class Scaffold:
    """Stands between a process and both servers, and kills it at its n-th request.

    Its requests come one after the other, so that they can be counted.
    """

    def __init__(self, site: Site, *, homeserver: str | None = None) -> None:
        self.site = site
        self.requests: list[Request] = []
        """What the last process wanted."""
        self._kill_at: Callable[[Request], bool] | None = None
        self._is_answered_first = False
        self._process: subprocess.Popen[str] | None = None
        self._started = threading.Event()
        self._homeserver = _Relay(self, homeserver or site.synapse.url)
        self._vault = _Relay(self, site.openbao.url)

    def __enter__(self) -> Scaffold:
        self._homeserver.listen()
        self._vault.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self._homeserver.close()
        self._vault.close()

    def kill_at(
        self,
        number: int,
        *,
        answered: bool,
        means: Means | None,
        user_id: str,
        verb: str = "provision_user",
        **arguments: Any,
    ) -> bool:
        """Call a verb; tell whether it came to so many requests, and was killed.

        Args:
            number: At which request the process is killed, counted from one.
            answered: Whether the server has done by then what it is asked to.
            means: What lets it create accounts.
            user_id: Whose account.
            verb: The verb, which is to provision unless it is named.
            arguments: More arguments of the verb.
        """
        self._is_answered_first = answered
        self._kill_at = lambda _: len(self.requests) == number
        return self._run(means, user_id, arguments, verb) == KILLED

    def addresses(self) -> dict[str, str]:
        """Return the settings that lead here."""
        return {"homeserver": self._homeserver.url, "vault_url": self._vault.url}

    def kill_at_creation(
        self, *, answered: bool, means: Means | None = None, user_id: str, **more: Any
    ) -> None:
        """Provision, and kill it at the request that creates the account."""
        self._is_answered_first = answered
        self._kill_at = is_creation
        assert self._run(means, user_id, more) == KILLED

    def _run(
        self,
        means: Means | None,
        user_id: str,
        arguments: dict[str, Any],
        verb: str = "provision_user",
    ) -> int:
        self.requests = []
        settings = self.site.settings(means, **self.addresses())
        self._started.clear()
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": os.environ["PATH"]},
        )
        self._started.set()
        _, written = self._process.communicate(
            json.dumps([settings, verb, user_id, arguments]), 120
        )
        self.site.confidential.check_text(written)
        code = self._process.returncode
        assert code in (0, KILLED), written
        return code

    def treat(
        self, request: Request, hand_on: Callable[[], Reply | Reset | Silence]
    ) -> Reply | Reset | Silence:
        """Hand a request on, if the process is to live as long."""
        self.requests.append(request)
        is_the_last = self._kill_at is not None and self._kill_at(request)
        if not is_the_last:
            return hand_on()
        self._started.wait()
        assert self._process is not None
        answer = hand_on() if self._is_answered_first else None
        self._process.kill()
        self._process.wait()
        assert answer is not None or not self._is_answered_first
        return answer or Reset()


class _Relay(Relay):
    def __init__(self, scaffold: Scaffold, target: str) -> None:
        super().__init__(target)
        self._scaffold = scaffold

    def answer(self, request: Request, body: bytes) -> Reply | Reset | Silence:
        return self._scaffold.treat(request, lambda: super(_Relay, self).answer(request, body))


def is_creation(request: Request) -> bool:
    """Tell whether a request may create an account."""
    posts = ("/_synapse/admin/v1/register", "/api/admin/v1/users")
    return (request.method == "POST" and request.path in posts) or (
        request.method == "PUT" and request.path.startswith("/_synapse/admin/v2/users/")
    )
