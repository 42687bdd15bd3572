"""What a lease of the secrets engine costs beside the login that it makes."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from contextlib import ExitStack
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

from synapse_vault_auth_provider import token_hash

from tests.harness.secrets_engine import MODULE_POLICY, MOUNT, Engine
from tests.servers.pki import Authority
from tests.servers.plugin import PLUGIN, plugin_directory, register
from tests.servers.synapse import SERVER_NAME, Synapse

from .connection import Connection, ask_over_and_over, get, post
from .figures import RATIO, Bars, Figure, Goal, Result
from .rounds import in_turn, ratios
from .smaps import resident
from .stage import LOGIN_SECRET
from .wrk import Wrk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.servers import OpenBao

    from .stage import Stage

RELEASED = Path(__file__).parents[1] / "dist" / PLUGIN
"""What `make engine` builds."""

READERS = 64
"""How many read at the same time where many do. Each reads the lease of a user of its own."""

LEASE = "a lease"
LOGIN = "the login alone"
BY_ENGINE = "the engine's login/"
BY_KV = "a KV engine of version 1"

ONE_LEASE = (
    "Before the login the plugin has OpenBao write down what it is about to open, and after it"
    " OpenBao stores the lease. Neither can wait, or a session might be left behind."
)
MANY_LEASES = (
    "All processors are busy then. What OpenBao and the plugin compute for a lease is not there for"
    " the homeserver."
)
READS = (
    "OpenBao asks the plugin's process over gRPC, and the plugin asks OpenBao for what is stored in"
    " the same way. Its own engines are part of it."
)

START = (
    "Most of it is the library for TLS (aws-lc). Before its first key it gathers randomness from"
    " the timing of the processor, besides that of the system. It can be built without, and is not:"
    " a fast start is worth less than a second source."
)

COOKIE = {
    "VAULT_BACKEND_PLUGIN": "6669da05-b1c8-4f49-97d9-c8e5bed98e20",
    "PLUGIN_PROTOCOL_VERSIONS": "5",
}


class Site:
    """OpenBao with the engine as released, and a homeserver whose module reads from it."""

    def __init__(self, stage: Stage) -> None:
        plugins = plugin_directory(stage.directory / "plugins", RELEASED)
        self.openbao: OpenBao = stage.stack.start_openbao("leases", audited=False, plugins=plugins)
        register(self.openbao)
        self.engine = Engine.enable(self.openbao, stage.stack.confidential)
        config = {
            "vault_url": self.openbao.url,
            "vault_token": self.openbao.create_token("module", MODULE_POLICY),
            "vault_kv_mount_point": MOUNT,
            "vault_kv_version": 1,
            "vault_path_root": "login",
        }
        self.synapse = Synapse(stage.directory / "leases-synapse", config, log_level="WARNING")
        self.synapse.start()
        self.engine.write(
            f"config/homeserver/{SERVER_NAME}", {"cs_url": self.synapse.url, "request_timeout": 60}
        )
        self.localparts = [f"leasing{number}" for number in range(READERS)]
        for localpart in self.localparts:
            self.synapse.insert_user(f"@{localpart}:{SERVER_NAME}")
            self.engine.write(
                f"config/user/{localpart}/{SERVER_NAME}",
                {"login_secret": LOGIN_SECRET, "ttl": "1h"},
            )
        self.openbao.cli("secrets", "enable", "-path=one", "-version=1", "kv")
        self.openbao.cli("kv", "put", "-mount=one", "entry", f"login_secret={LOGIN_SECRET}")
        self.leases = Asked(
            int(self.openbao.port),
            [
                get(
                    f"/v1/{MOUNT}/user/{localpart}/{SERVER_NAME}",
                    X_Vault_Token=self.openbao.root_token,
                )
                for localpart in self.localparts
            ],
        )
        self.logins = Asked(int(self.synapse.port), list(map(bare_login, self.localparts)))

    def stop(self) -> None:
        """Stop what this has started itself."""
        for asked in (self.leases, self.logins):
            asked.close()
        self.synapse.stop()

    def open_leases(self) -> int:
        """Return how many leases there are that have not ended, as OpenBao has them."""
        return sum(
            len(self.openbao.api("LIST", f"sys/leases/lookup/{path}")["data"]["keys"])
            for localpart in self.localparts
            for path in [f"{MOUNT}/user/{localpart}/{SERVER_NAME}"]
        )

    def plugin(self) -> int:
        """Return the id of the plugin's process."""
        children = Path(f"/proc/{self.openbao.pid}/task/{self.openbao.pid}/children")
        names = {
            int(child): Path(f"/proc/{child}/comm").read_text().strip()
            for task in children.parent.parent.iterdir()
            for child in (task / "children").read_text().split()
        }
        (found,) = [child for child, name in names.items() if name == PLUGIN[:15]]
        return found


def bare_login(localpart: str) -> bytes:
    """Write the login that the engine makes for a lease."""
    user_id = f"@{localpart}:{SERVER_NAME}"
    body = {
        "type": "io.t2bot.vault",
        "identifier": {"type": "m.id.user", "user": user_id},
        "token_hash": token_hash(LOGIN_SECRET, user_id),
        "initial_device_display_name": "a lease",
    }
    return post("/_matrix/client/v3/login", body)


class Asked:
    """A server that is asked the same for each of several users, over connections that stay."""

    def __init__(self, port: int, requests: Sequence[bytes]) -> None:
        self.times = 0
        """How often it was asked."""
        self._requests = requests
        self._open = ExitStack()
        self._connections = [self._open.enter_context(Connection(port)) for _ in requests]

    def close(self) -> None:
        """Close the connections."""
        self._open.close()

    def median(self, count: int) -> float:
        """Ask so often, one after the other; return how long an answer takes, in milliseconds."""
        times = []
        for request in islice(cycle(self._requests), count):
            started = time.perf_counter()
            self._connections[0].ask(request)
            times.append(time.perf_counter() - started)
        self.times += count
        return statistics.median(times) * 1e3

    def rate(self, count: int) -> float:
        """Ask so often, over all connections at once; return how many answers come a second."""
        started = time.perf_counter()
        ask_over_and_over(self._connections, self._requests, 200, count)
        self.times += count
        return count / (time.perf_counter() - started)


def run(stage: Stage) -> Result:
    """Measure leases and logins in turn, secrets beside those of a KV engine, and the process."""
    site = Site(stage)
    try:
        return measured(stage, site)
    finally:
        site.stop()


def measured(stage: Stage, site: Site) -> Result:
    """Measure what runs."""
    count, together = stage.scale(40, 5), stage.scale(320, READERS)
    things = {LEASE: site.leases, LOGIN: site.logins}
    for asked in things.values():
        # Connections open, and everybody's login/ is known.
        asked.rate(READERS)
    one = in_turn(
        stage.scale(15, 2), {name: partial(it.median, count) for name, it in things.items()}
    )
    many = in_turn(
        stage.scale(9, 2), {name: partial(it.rate, together) for name, it in things.items()}
    )
    secrets = secret_reads(stage, site)
    leases = stage.scale(10_000, 300)
    site.leases.rate(leases - site.leases.times)
    if site.open_leases() != leases:
        raise RuntimeError(f"{site.open_leases()} leases instead of {leases}")
    added = tuple(a - b for a, b in zip(one[LEASE], one[LOGIN], strict=True))
    return Result(
        "Leases of the secrets engine",
        (
            Figure("reading a lease, median", one[LEASE], "ms"),
            Figure("the login that it makes alone, median", one[LOGIN], "ms"),
            Figure("what the engine adds to the login", added, "ms", Goal.at_most(5, ONE_LEASE)),
            Figure(
                "a lease, to the login",
                ratios(one[LEASE], one[LOGIN]),
                RATIO,
                Goal.at_most(1.3, ONE_LEASE),
            ),
            Figure(f"{READERS} readers at once: leases", many[LEASE], "/s"),
            Figure(f"{READERS} at once: logins alone", many[LOGIN], "/s"),
            Figure(
                f"{READERS} readers at once, to as many logins",
                ratios(many[LEASE], many[LOGIN]),
                RATIO,
                Goal.at_least(0.8, MANY_LEASES),
            ),
            Figure(
                "the module's read of a secret, to that of a KV engine of version 1",
                ratios(secrets[BY_ENGINE], secrets[BY_KV]),
                RATIO,
                Goal.at_most(3, READS),
            ),
            Figure(
                f"memory of the plugin with {leases:,} leases",
                (resident(site.plugin()) / 1e6,),
                "MB",
                Goal.at_most(20),
            ),
            Figure("the binary", (RELEASED.stat().st_size / 1e6,), "MB", Goal.at_most(10)),
            Figure(
                "from its start to the handshake",
                tuple(handshake(stage.directory) for _ in range(stage.scale(25, 3))),
                "ms",
                Goal.at_most(20, START),
            ),
        ),
        (Bars("secrets_engine", "A lease and the login that it makes: median", "ms", one),),
    )


def secret_reads(stage: Stage, site: Site) -> dict[str, tuple[float, ...]]:
    """Read the same secret from both engines, one read at a time, in microseconds."""
    headers = {"X-Vault-Token": site.openbao.root_token}
    user_id = f"@{site.localparts[0]}:{SERVER_NAME}"
    base, seconds = f"{site.openbao.url}/v1", stage.scale(2, 1)
    clients = {
        BY_ENGINE: Wrk(f"{base}/{MOUNT}/login/{user_id}", headers, connections=1),
        BY_KV: Wrk(f"{base}/one/entry", headers, connections=1),
    }
    return in_turn(
        stage.scale(9, 2),
        {
            name: partial(lambda client: client.run(seconds).median_latency, client)
            for name, client in clients.items()
        },
    )


def handshake(directory: Path) -> float:
    """Start the plugin as a host does, and return when it says where it listens, in ms."""
    certificate = Authority("host").certificate
    environment = {**COOKIE, "PLUGIN_CLIENT_CERT": certificate, "PATH": os.environ["PATH"]}
    started = time.perf_counter()
    with subprocess.Popen(
        [RELEASED], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=directory
    ) as process:
        line = process.stdout.readline() if process.stdout else b""
        took = time.perf_counter() - started
        process.kill()
    if not line.startswith(b"1|5|unix|"):
        raise RuntimeError(f"the plugin says {line!r}")
    return took * 1e3
