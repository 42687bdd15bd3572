"""What logins cost where Matrix Authentication Service (MAS) has the accounts.

There the module answers the request itself, asks MAS for a session, and MAS asks the homeserver for
a device. All that the homeserver's reactor computes for it is compared with all that it computes
for a login without MAS. Then MAS is 200 ms away and many log in at once, as with a slow Vault in
`slow_vault`, and others' waits are compared.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from .connection import Connection, post, vault_login
from .far_server import FarServer
from .figures import RATIO, Figure, Goal, Result
from .homeservers import Provider, homeserver
from .mas_stand_in import MasStandIn
from .rounds import in_turn, ratios
from .slow_vault import Crowd
from .stage import FAR

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.servers import Synapse

    from .stage import Stage

WITHOUT = "this module without MAS"
UNDER = "this module under MAS"

VAULT_FAR = "this module, Vault 200 ms away"
MAS_FAR = "this module, MAS 200 ms away"

PATH = "/_synapse/client/vault_auth/login"


def run(stage: Stage) -> Result:
    """Log users in with and without MAS."""
    with ExitStack() as servers:
        near = _under_mas(stage, servers, is_far=False)
        far = _under_mas(stage, servers, is_far=True)
        return _measure(stage, near, far)


def _measure(stage: Stage, near: Synapse, far: Synapse) -> Result:
    plain = stage.homeservers(Provider.OURS)[Provider.OURS]
    vault_far = stage.homeservers(Provider.OURS, is_vault_far=True)[Provider.OURS]
    without = [vault_login(user.user_id, user.token_hash) for user in stage.users]
    under = [
        post(
            PATH,
            {
                "type": "io.t2bot.vault",
                "identifier": {"type": "m.id.user", "user": user.user_id},
                "token_hash": user.token_hash,
            },
        )
        for user in stage.users
    ]
    with Connection(plain.port) as to_plain, Connection(near.port) as to_near:
        things = {
            WITHOUT: _reactor_time(plain, to_plain, without),
            UNDER: _reactor_time(near, to_near, under),
        }
        in_turn(1, things)
        times = in_turn(stage.scale(15, 3), things)

    crowds = {VAULT_FAR: Crowd(vault_far, without, 200), MAS_FAR: Crowd(far, under, 200)}
    in_turn(1, {name: crowd.seconds for name, crowd in crowds.items()})
    for crowd in crowds.values():
        crowd.waits.clear()
    taken = in_turn(stage.scale(7, 2), {name: crowd.seconds for name, crowd in crowds.items()})
    waits = {name: tuple(wait * 1000 for wait in crowd.waits) for name, crowd in crowds.items()}
    return Result(
        "Logins under Matrix Authentication Service",
        (
            Figure(
                "the reactor's time for an accepted login: under MAS, to one without",
                ratios(times[UNDER], times[WITHOUT]),
                RATIO,
                Goal.at_most(1.5),
            ),
            *(
                Figure(f"the reactor's time: {name}", values, "ms")
                for name, values in times.items()
            ),
            Figure(
                f"{len(under)} logins at once, what others wait (p99): MAS 200 ms away, to Vault"
                " 200 ms away",
                ratios(waits[MAS_FAR], waits[VAULT_FAR]),
                RATIO,
                Goal.at_most(1.3),
            ),
            *(
                Figure(f"what others wait (p99): {name}", values, "ms")
                for name, values in waits.items()
            ),
            *(
                Figure(f"until all are accepted: {name}", values, "s")
                for name, values in taken.items()
            ),
        ),
    )


def _under_mas(stage: Stage, servers: ExitStack, *, is_far: bool) -> Synapse:
    """Start a homeserver that leaves its users to MAS."""
    directory = stage.directory / f"under_mas{'_far' * is_far}"
    mas = MasStandIn()
    servers.callback(mas.stop)
    settings = dict(mas.settings)
    if is_far:
        way = FarServer(directory / "far", mas.port, FAR, "/health")
        servers.callback(way.stop)
        way.start()
        settings |= {"admin_api": way.url, "token_endpoint": f"{way.url}/oauth2/token"}
    config = stage.module_config(mas=settings, login_timeout="1m")
    synapse = homeserver(directory, Provider.OURS, config, settings=mas.homeserver_yaml)
    servers.callback(synapse.stop)
    synapse.start()
    mas.introduce(synapse, [user.user_id[1:].partition(":")[0] for user in stage.users])
    return synapse


def _reactor_time(
    synapse: Synapse, connection: Connection, logins: Sequence[bytes]
) -> Callable[[], float]:
    def milliseconds() -> float:
        before = _computed(synapse.pid)
        for login in logins:
            connection.ask(login)
        return (_computed(synapse.pid) - before) / len(logins) / 1e6

    return milliseconds


def _computed(process: int) -> int:
    """Return how long a process's first thread has computed, in nanoseconds.

    Documentation: https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat
    """
    return int(Path(f"/proc/{process}/task/{process}/schedstat").read_text().split()[0])
