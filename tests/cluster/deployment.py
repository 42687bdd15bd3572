"""A homeserver with two workers, and a Vault of three nodes, as in production."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tests.harness.accounts import PATH_ROOT
from tests.harness.stack import Stack
from tests.servers import RaftCluster, Valkey, Worker
from tests.servers.nginx import Nginx
from tests.servers.pki import Authority
from tests.servers.postgres import Postgres
from tests.servers.synapse import SERVER_NAME
from tests.servers.worker import MainProcess

from .users import User

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from typing_extensions import Self

    from tests.harness.confidential import Confidential
    from tests.servers.network import Network

TOKEN_TTL = "60s"
"""How long the module's Vault tokens live."""

DISK = 64
"""Size of the disk that a Vault node has its data on, in megabytes."""

_AT_ONCE = 8
"""How many requests prepare the users at once."""

_T = TypeVar("_T")


class Deployment:
    """Starts everything in `__enter__`, and ends it in `__exit__`.

    The module logs in to Vault with AppRole, with a secret id from a file.
    """

    vault: RaftCluster
    main: MainProcess
    workers: list[Worker]
    front: Nginx | None = None

    def __init__(
        self,
        directory: Path,
        confidential: Confidential,
        *,
        users: int,
        rotation_grace: float,
        from_debian: bool,
        network: Network | None = None,
        module_settings: Mapping[str, Any] | None = None,
        log_level: str = "INFO",
    ) -> None:
        """Prepare.

        Args:
            directory: For all files.
            confidential: Where all secrets are remembered.
            users: How many have accounts.
            rotation_grace: Of the module, in seconds.
            from_debian: Whether there are PostgreSQL, Redis and nginx. Without these there are
                SQLite and Valkey, and nothing in front.
            network: Where each Vault node gets a machine and a disk of its own. Without it they
                share loopback and the directory.
            module_settings: More of the module's configuration.
            log_level: Of Synapse.
        """
        self.directory = directory
        self.confidential = confidential
        self.rotation_grace = rotation_grace
        self.users = [
            User(f"@user-{number}:{SERVER_NAME}", rotation_grace, is_slow=number % 2 == 0)
            for number in range(users)
        ]
        self._from_debian = from_debian
        self._network = network
        self._module_settings = module_settings or {}
        self._log_level = log_level
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            servers = stack.enter_context(Stack(self.directory, self.confidential))
            self._start_vault(servers)
            for _ in range(3):
                # Users present the first one, which no grace covers, as an old one.
                self.rotate()
            self._start_homeserver(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *details: Any) -> None:
        self._stack.__exit__(*details)

    @property
    def urls(self) -> list[str]:
        """Where users log in."""
        return [self.front.url] if self.front else [worker.url for worker in self.workers]

    def rotate(self) -> None:
        """Give all users new secrets."""
        active = self.vault.active()

        def give(user: User) -> None:
            secret = self.confidential.add(user.new_secret())
            active.write(f"{PATH_ROOT}/{user.user_id}", {"login_secret": secret})
            user.adopt(secret)

        _for_all(give, self.users)

    def check_logs(self) -> None:
        """Fail if one of the homeserver's processes wrote what is confidential."""
        for process in (self.main, *self.workers):
            self.confidential.check(process)

    def _start_vault(self, servers: Stack) -> None:
        names = ("one", "two", "three")
        self.vault = servers.start_raft(
            "vault",
            machines=[self._network.add(name) for name in names] if self._network else None,
            authority=Authority("the authority of the tests"),
            disk=DISK if self._network else None,
        )

    def _approle(self) -> dict[str, str]:
        role = "auth/approle/role/homeserver"
        self.vault.cli("write", role, "token_policies=read-users", f"token_ttl={TOKEN_TTL}")
        secret_id = self.vault.cli("write", "-f", "-field=secret_id", f"{role}/secret-id").strip()
        path = self.directory / "secret-id"
        path.write_text(self.confidential.add(secret_id))
        return {
            "method": "approle",
            "role_id": self.vault.cli("read", "-field=role_id", f"{role}/role-id").strip(),
            "secret_id_file": str(path),
        }

    def _start_homeserver(self, stack: ExitStack) -> None:
        settings = {}
        redis = Valkey(self.directory / "redis", self._redis_command())
        stack.callback(redis.stop)
        redis.start()
        if self._from_debian:
            postgres = Postgres(self.directory / "postgres")
            stack.callback(postgres.stop)
            settings["database"] = postgres.start().synapse_database
        module = {
            "vault_url": self.vault.urls,
            "vault_tls": {"ca_cert": str(self.vault.nodes[0].ca_cert)},
            "vault_auth": self._approle(),
            "vault_path_root": PATH_ROOT,
            "rotation_grace": self.rotation_grace,
            **self._module_settings,
        }
        self.main = MainProcess(
            self.directory / "synapse", module, redis, settings=settings, log_level=self._log_level
        )
        self.workers = [Worker(name, self.main) for name in ("worker-1", "worker-2")]
        for process in (self.main, *self.workers):
            stack.callback(process.stop)
        self.main.start()
        _for_all(Worker.start, self.workers)
        _for_all(lambda user: self.main.register(user.user_id[1:].partition(":")[0]), self.users)
        if self._from_debian:
            self.front = Nginx(self.directory / "nginx", self.main, self.workers)
            stack.callback(self.front.stop)
            self.front.start()

    def _redis_command(self) -> Path | None:
        found = shutil.which("redis-server") if self._from_debian else None
        return Path(found) if found else None


def _for_all(do: Callable[[_T], object], those: Iterable[_T]) -> None:
    """Do something for several at once; fail if one of it fails."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(do, those))
