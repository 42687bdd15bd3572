"""What a lease of the secrets engine costs beside the login that it makes."""

from __future__ import annotations

import os
import statistics
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from synapse_vault_auth_provider import token_hash

from tests.harness.secrets_engine import MODULE_POLICY, MOUNT, Engine
from tests.servers.pki import Authority
from tests.servers.plugin import PLUGIN, plugin_directory, register
from tests.servers.synapse import SERVER_NAME, Synapse

from .figures import RATIO, Bars, Figure, Goal, Result
from .rounds import in_turn, ratios
from .smaps import resident
from .stage import LOGIN_SECRET
from .wrk import Wrk

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import OpenBao

    from .stage import Stage

RELEASED = Path(__file__).parents[1] / "dist" / PLUGIN
"""What `make engine` builds."""

READERS = 64

LOCALPART = "leasing"

USER_ID = f"@{LOCALPART}:{SERVER_NAME}"

LEASE = "a lease"
LOGIN = "the login alone"
BY_ENGINE = "the engine's login/"
BY_KV = "a KV engine of version 1"

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
        self.synapse.register(LOCALPART)
        self.engine.write(
            f"config/homeserver/{SERVER_NAME}", {"cs_url": self.synapse.url, "request_timeout": 60}
        )
        self.engine.write(
            f"config/user/{LOCALPART}/{SERVER_NAME}", {"login_secret": LOGIN_SECRET, "ttl": "1h"}
        )
        self.openbao.cli("secrets", "enable", "-path=one", "-version=1", "kv")
        self.openbao.cli("kv", "put", "-mount=one", "entry", f"login_secret={LOGIN_SECRET}")
        self._hash = token_hash(LOGIN_SECRET, USER_ID)
        self._sessions = threading.local()

    def lease(self) -> None:
        """Read a lease."""
        self._client.get(
            f"{self.openbao.url}/v1/{MOUNT}/user/{LOCALPART}/{SERVER_NAME}",
            headers={"X-Vault-Token": self.openbao.root_token},
            timeout=120,
        ).raise_for_status()

    def log_in(self) -> None:
        """Do what the engine does for it at the homeserver."""
        body = {
            "type": "io.t2bot.vault",
            "identifier": {"type": "m.id.user", "user": USER_ID},
            "token_hash": self._hash,
        }
        self._client.post(
            f"{self.synapse.url}/_matrix/client/v3/login", json=body, timeout=120
        ).raise_for_status()

    @property
    def _client(self) -> requests.Session:
        """Return a client of this thread's own, which keeps its connections."""
        if not hasattr(self._sessions, "client"):
            self._sessions.client = requests.Session()
        client: requests.Session = self._sessions.client
        return client

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


def run(stage: Stage) -> Result:
    """Measure leases and logins in turn, secrets beside those of a KV engine, and the process."""
    site = Site(stage)
    try:
        return _run(stage, site)
    finally:
        site.synapse.stop()


def _run(stage: Stage, site: Site) -> Result:
    rounds, count = stage.scale(15, 2), stage.scale(60, 5)
    one = in_turn(
        rounds,
        {LEASE: lambda: median(site.lease, count), LOGIN: lambda: median(site.log_in, count)},
    )
    many = in_turn(
        stage.scale(9, 2),
        {
            LEASE: lambda: rate(site.lease, stage.scale(640, READERS)),
            LOGIN: lambda: rate(site.log_in, stage.scale(640, READERS)),
        },
    )
    secrets = secret_reads(stage, site)
    leases = stage.scale(10_000, 200)
    rate(site.lease, leases)
    added = tuple(a - b for a, b in zip(one[LEASE], one[LOGIN], strict=True))
    return Result(
        "Leases of the secrets engine",
        (
            Figure("reading a lease, median", one[LEASE], "ms"),
            Figure("what the engine adds to the login", added, "ms", Goal.at_most(5)),
            Figure(
                "a lease, to the login", ratios(one[LEASE], one[LOGIN]), RATIO, Goal.at_most(1.3)
            ),
            Figure(
                f"{READERS} readers at once, to as many logins",
                ratios(many[LEASE], many[LOGIN]),
                RATIO,
                Goal.at_least(0.8),
            ),
            Figure(
                "the module's read of a secret, to that of a KV engine of version 1",
                ratios(secrets[BY_ENGINE], secrets[BY_KV]),
                RATIO,
                Goal.at_most(3),
            ),
            Figure(
                f"memory of the plugin with {leases} leases",
                (resident(site.plugin()) / 1e6,),
                "MB",
                Goal.at_most(20),
            ),
            Figure("the binary", (RELEASED.stat().st_size / 1e6,), "MB", Goal.at_most(10)),
            Figure(
                "from its start to the handshake",
                tuple(handshake(stage.directory) for _ in range(stage.scale(25, 3))),
                "ms",
                Goal.at_most(20),
            ),
        ),
        (Bars("secrets_engine", "A lease and the login that it makes: median", "ms", one),),
    )


def median(do: Callable[[], None], count: int) -> float:
    """Return how long something takes, in milliseconds."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        do()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e3


def rate(do: Callable[[], None], count: int) -> float:
    """Return how often a second something is done by `READERS` at once."""
    started = time.perf_counter()
    with ThreadPoolExecutor(READERS) as pool:
        list(pool.map(lambda _: do(), range(count)))
    return count / (time.perf_counter() - started)


def secret_reads(stage: Stage, site: Site) -> dict[str, tuple[float, ...]]:
    """Read the same secret from both engines, one read at a time, in microseconds."""
    headers = {"X-Vault-Token": site.openbao.root_token}
    base, seconds = f"{site.openbao.url}/v1", stage.scale(2, 1)
    clients = {
        BY_ENGINE: Wrk(f"{base}/{MOUNT}/login/{USER_ID}", headers, connections=1),
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
