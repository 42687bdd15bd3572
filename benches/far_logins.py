"""What a login takes where Vault and the homeserver's database are in other places.

Both are 3 ms away, as in another building. A module that asks one after the other waits for both.
"""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

from .connection import Connection, vault_login
from .far_server import FarServer
from .figures import RATIO, Bars, Figure, Goal, Result
from .homeservers import WRONG_HASH, Provider, homeserver
from .rounds import in_turn, ratios

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.servers import Synapse

    from .stage import Stage

AWAY = 0.003
"""How far away each is, in seconds."""

COMPARED = (
    Provider.OURS,
    Provider.HVAC_IN_THREAD_POOL,
    Provider.HVAC_ON_REACTOR,
    Provider.DATABASE,
)

OURS = Provider.OURS.refused
HVAC = Provider.HVAC_IN_THREAD_POOL.refused
DATABASE = Provider.DATABASE.refused


def run(stage: Stage) -> Result:
    """Refuse logins, one after the other."""
    user = stage.users[0]
    wrong = vault_login(user.user_id, WRONG_HASH)
    times = stage.scale(60, 10)
    with ExitStack() as stack:
        homeservers = started(stage, stack)
        things = {
            provider.refused: timed(stack.enter_context(Connection(synapse.port)), wrong, times)
            for provider, synapse in homeservers.items()
        }
        in_turn(1, things)
        rounds = in_turn(stage.scale(15, 3), things)
    return Result(
        f"A login, Vault and the database {1000 * AWAY:.0f} ms away each",
        (
            Figure(
                "refused by this module, to hvac in Synapse's thread pool",
                ratios(rounds[OURS], rounds[HVAC]),
                RATIO,
                Goal.at_most(
                    0.6,
                    "No module that asks the database for the account can do better than one that"
                    " asks nothing else.",
                ),
                statistics.median(ratios(rounds[DATABASE], rounds[HVAC])),
            ),
            *(Figure(f"{name}, median", values, "ms") for name, values in rounds.items()),
        ),
        (
            Bars(
                "far_logins",
                f"A refused login, Vault and the database {1000 * AWAY:.0f} ms away",
                "ms",
                rounds,
            ),
        ),
    )


def started(stage: Stage, stack: ExitStack) -> Mapping[Provider, Synapse]:
    """Start homeservers that are far from both."""
    way = FarServer(stage.directory / "3-ms", stage.openbao.port, AWAY, "/v1/sys/health")
    stack.callback(way.stop)
    config = {**stage.module_config(), "vault_url": way.start().url}
    homeservers = {
        provider: homeserver(
            stage.directory / f"{provider.name.lower()}_3_ms",
            provider,
            config,
            database_delay=AWAY,
        )
        for provider in COMPARED
    }
    for synapse in homeservers.values():
        stack.callback(synapse.stop)
    with ThreadPoolExecutor(len(homeservers)) as pool:
        list(pool.map(lambda synapse: synapse.start(), homeservers.values()))
    for synapse in homeservers.values():
        synapse.insert_user(stage.users[0].user_id)
    return homeservers


def timed(connection: Connection, login: bytes, times: int) -> Callable[[], float]:
    """Return what measures a login's median, in milliseconds."""

    def milliseconds() -> float:
        taken = []
        for _ in range(times):
            started = time.perf_counter()
            connection.ask(login, 403)
            taken.append(time.perf_counter() - started)
        return statistics.median(taken) * 1e3

    return milliseconds
