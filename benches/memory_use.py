"""What the module adds to the memory of a homeserver, and what a secret kept in memory takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers import Synapse

from . import remembering
from .crowd import gather
from .figures import Figure, Goal, Result
from .rounds import in_turn
from .smaps import resident
from .stage import CONFIG, UNHURRIED

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stage import Stage, User

ROOT = Path(__file__).parents[1]

LOCALPART = "memory"
PASSWORD = "a password"

WITH = "with the module"
WITHOUT = "without"


def run(stage: Stage) -> Result:
    """Start homeservers with and without the module; fill caches with and without a cache."""
    at_rest = homeservers_at_rest(stage)
    added = tuple(a - b for a, b in zip(at_rest[WITH], at_rest[WITHOUT], strict=True))
    return Result(
        "Memory",
        (
            Figure("what the module adds to Synapse at rest", added, "MB", Goal.at_most(10)),
            Figure(
                "each secret kept in memory, of 43 characters",
                bytes_per_secret(stage),
                "bytes",
                Goal.at_most(450),
            ),
        ),
    )


def homeservers_at_rest(stage: Stage) -> dict[str, tuple[float, ...]]:
    """Start a homeserver with the module and one without, by turns."""
    user = stage.user(LOCALPART)
    modules: dict[str, dict[str, object] | None] = {WITH: stage.module_config(), WITHOUT: None}
    started = {
        name: Synapse(stage.directory / f"memory-{number}", config, log_level="WARNING")
        for number, (name, config) in enumerate(modules.items())
    }
    return in_turn(
        stage.scale(7, 1),
        {name: started_once(started[name], user, name == WITH) for name in started},
    )


def started_once(synapse: Synapse, user: User, has_module: bool) -> Callable[[], float]:
    """Return what starts a homeserver, logs in once, and measures its memory, in MB.

    Both take a password, so that what they differ by is the module and its connections.
    """
    credentials = [{"type": "m.login.password", "password": PASSWORD}]
    if has_module:
        credentials.append({"type": "io.t2bot.vault", "token_hash": user.token_hash})

    def measure() -> float:
        synapse.start()
        try:
            synapse.register(LOCALPART, PASSWORD)
            for one in credentials:
                login = {"identifier": {"type": "m.id.user", "user": user.user_id}, **one}
                synapse.post_login(login).raise_for_status()
            return resident(synapse.pid) / 1e6
        finally:
            synapse.stop()

    return measure


def bytes_per_secret(stage: Stage) -> tuple[float, ...]:
    """Compare how much processes grow by the same logins, with a cache and without."""
    users = stage.scale(20_000, 1000)
    gather(stage.openbao, range(remembering.WARM_UP + users))
    cache = {"ttl": "1h", "max_entries": remembering.WARM_UP + users}

    def growth(config: dict[str, object]) -> float:
        command = [sys.executable, "-m", remembering.__name__, str(users)]
        environment = {**os.environ, CONFIG: json.dumps(config)}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE
        )
        return float(done.stdout)

    grown = in_turn(
        stage.scale(3, 1),
        {
            WITH: lambda: growth(stage.module_config(**UNHURRIED, cache=cache)),
            WITHOUT: lambda: growth(stage.module_config(**UNHURRIED)),
        },
    )
    return tuple((a - b) / users for a, b in zip(grown[WITH], grown[WITHOUT], strict=True))
