"""Logins that are not the module's go on to MAS' compatibility layer, where that is wanted."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.harness.mas_deployment import LOGIN, LOGOUT, MasDeployment
from tests.servers.mas.compat import PasswordLimit
from tests.servers.mas.http_types import Answer, Request
from tests.servers.port import ReservedPort
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.stack import Stack

LAYER_LOGIN = "/_matrix/client/v3/login"
PASSWORD = "a long password of a person"

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def proxied_port() -> ReservedPort:
    return ReservedPort()


@pytest.fixture(scope="module")
def shared_passing(file_stack: Stack, proxied_port: ReservedPort) -> MasDeployment:
    mas = file_stack.start_mas()
    mas.compat.limit.burst = 1e9
    # Four logins of the module's own types a client, so that others are seen not to be charged.
    limits = {"per_second": 0.001, "burst_count": 4}
    many = {"per_second": 10_000, "burst_count": 10_000}
    return file_stack.start_homeserver_under_mas(
        "passing",
        mas,
        mas_settings={"pass_other_logins": True},
        m_login_password_support_enabled=True,
        request_timeout="8s",
        listeners=[
            {
                "port": proxied_port,
                "type": "http",
                "x_forwarded": True,
                "bind_addresses": ["127.0.0.1"],
                "resources": [{"names": ["client"]}],
            }
        ],
        homeserver_yaml={"rc_login": {"address": limits, "account": many, "failed_attempts": many}},
    )


@pytest.fixture
def passing(shared_passing: MasDeployment) -> Iterator[MasDeployment]:
    yield shared_passing
    shared_passing.mas.recover()


def person(homeserver: MasDeployment) -> str:
    """Make somebody who has a password; return the id."""
    user = homeserver.mas.add_user(f"person-{next(_numbers)}")
    user.password = homeserver.confidential.add(f"{PASSWORD} {next(_numbers)}")
    return f"@{user.username}:{SERVER_NAME}"


def password_login(homeserver: MasDeployment, user_id: str, **more: Any) -> dict[str, Any]:
    localpart = user_id[1:].partition(":")[0]
    return {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user_id},
        "password": homeserver.mas.user(localpart).password,
        **more,
    }


def post(homeserver: MasDeployment, body: Any, **headers: str) -> requests.Response:
    return requests.post(
        homeserver.synapse.url + LOGIN,
        json=body,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        timeout=60,
    )


def last(homeserver: MasDeployment, path: str = LAYER_LOGIN) -> Request:
    return [one for one in homeserver.mas.requests if one.path == path][-1]


def test_a_password_login_goes_on_and_comes_back(passing: MasDeployment) -> None:
    user_id = person(passing)
    answer = post(passing, password_login(passing, user_id, device_id="PERSONDEVICE"))
    assert answer.status_code == 200, answer.text
    assert answer.json()["user_id"] == user_id
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    found = passing.whoami(answer.json()["access_token"]).json()
    assert found["device_id"] == "PERSONDEVICE"


def test_what_goes_along(passing: MasDeployment) -> None:
    user_id = person(passing)
    post(
        passing,
        password_login(passing, user_id),
        Authorization="Bearer something",
        User_Agent="A client/1.0",
        X_Forwarded_For="203.0.113.9, 198.51.100.7",
        Forwarded="for=203.0.113.9",
        X_Real_IP="203.0.113.9",
        Cookie="a=b",
    )
    sent = last(passing)
    names = [name for name, _ in sent.all_headers]
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["authorization"] == "Bearer something"
    assert sent.headers["user-agent"] == "A client/1.0"
    # The address that Synapse sees, which trusts no header here; and no other header.
    assert [value for name, value in sent.all_headers if name == "x-forwarded-for"] == ["127.0.0.1"]
    assert not {"forwarded", "x-real-ip", "cookie"} & set(names)
    allowed = {"host", "content-length", "accept", "accept-encoding", "connection"}
    assert set(names) <= allowed | {
        *("content-type", "authorization", "user-agent", "x-forwarded-for")
    }


def test_behind_a_proxy_the_address_is_that_of_its_header(
    passing: MasDeployment, proxied_port: ReservedPort
) -> None:
    body = password_login(passing, person(passing))
    url = f"http://127.0.0.1:{proxied_port}{LOGIN}"
    for header, address in (
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.10 , 198.51.100.7", "203.0.113.10"),
        ("2001:db8::1", "2001:db8::1"),
    ):
        headers = {"X-Forwarded-For": header, "X-Forwarded-Proto": "https"}
        assert requests.post(url, json=body, headers=headers, timeout=60).status_code == 200
        sent = last(passing)
        assert [value for name, value in sent.all_headers if name == "x-forwarded-for"] == [address]
        assert passing.mas.compat.address(sent) == address


def test_a_client_s_own_header_gives_it_no_more_passwords_to_try(passing: MasDeployment) -> None:
    body = {**password_login(passing, person(passing)), "password": "wrong"}
    passing.mas.compat.limit = PasswordLimit(burst=3)
    try:
        statuses = [
            post(passing, body, X_Forwarded_For=f"203.0.113.{number}").status_code
            for number in range(5)
        ]
    finally:
        passing.mas.compat.limit = PasswordLimit(burst=1e9)
    assert statuses == [403, 403, 403, 429, 429]


def test_refusals_of_mas_come_back_as_they_are(passing: MasDeployment) -> None:
    user_id = person(passing)
    answer = post(passing, {**password_login(passing, user_id), "password": "wrong"})
    assert answer.status_code == 403
    assert answer.json() == {"errcode": "M_FORBIDDEN", "error": "Invalid username/password"}
    passing.mas.faults.answer(
        "POST", LAYER_LOGIN, Answer(429, b"slow down", "text/plain", {"Retry-After": "17"})
    )
    answer = post(passing, password_login(passing, user_id))
    assert (answer.status_code, answer.text) == (429, "slow down")
    assert answer.headers["Retry-After"] == "17"
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_a_type_that_nobody_knows_is_for_mas_to_refuse(passing: MasDeployment) -> None:
    answer = post(passing, {"type": "org.example.unknown"})
    assert answer.status_code == 400
    assert answer.json() == {"errcode": "M_UNKNOWN", "error": "Invalid login type"}


def test_they_are_not_charged_to_our_limits(passing: MasDeployment) -> None:
    user_id = person(passing)
    statuses = {post(passing, password_login(passing, user_id)).status_code for _ in range(10)}
    assert statuses == {200}


def test_the_flows_are_those_of_both(passing: MasDeployment) -> None:
    answer = requests.get(passing.synapse.url + LOGIN, timeout=60)
    types = [flow["type"] for flow in answer.json()["flows"]]
    assert types[0] == "io.t2bot.vault"
    assert sorted(types) == sorted({*types})
    assert {"m.login.password", "m.login.sso", "m.login.token"} <= {*types}


def test_a_mas_that_hangs_ends_in_a_502_and_holds_nobody_up(passing: MasDeployment) -> None:
    user_id = person(passing)
    released = threading.Event()
    passing.mas.faults.hold("POST", LAYER_LOGIN, released)
    body = password_login(passing, user_id)
    try:
        with ThreadPoolExecutor(40) as pool:
            started = time.monotonic()
            hanging = [pool.submit(post, passing, body) for _ in range(40)]
            slowest = 0.0
            while not all(one.done() for one in hanging):
                begun = time.monotonic()
                versions = f"{passing.synapse.url}/_matrix/client/versions"
                assert requests.get(versions, timeout=60).status_code == 200
                slowest = max(slowest, time.monotonic() - begun)
            answers = [one.result() for one in hanging]
    finally:
        released.set()
    assert {answer.status_code for answer in answers} == {502}
    assert {answer.json()["errcode"] for answer in answers} == {"M_UNKNOWN"}
    assert {answer.headers["Access-Control-Allow-Origin"] for answer in answers} == {"*"}
    assert time.monotonic() - started < 30
    assert slowest < 1


def test_a_mas_that_is_away_ends_in_a_502(passing: MasDeployment) -> None:
    user_id = person(passing)
    body = password_login(passing, user_id)
    passing.mas.refuse_connections()
    since = passing.synapse.log_size()
    assert post(passing, body).status_code == 502
    assert requests.get(passing.synapse.url + LOGIN, timeout=60).status_code == 502
    lines = [record for record in passing.notices(since) if record.level == "ERROR"]
    assert len(lines) == 1
    assert "could not be passed on" in lines[0].message


def test_a_token_that_is_not_ours_is_logged_out_at_mas(passing: MasDeployment) -> None:
    user_id = person(passing)
    for everywhere in (False, True):
        answer = post(passing, password_login(passing, user_id))
        assert answer.status_code == 200, answer.text
        token = answer.json()["access_token"]
        response = requests.post(
            passing.synapse.url + LOGOUT + ("/all" if everywhere else ""),
            headers={"Authorization": f"Bearer {token}"},
            json={"io.element.only_compat_is_fine": True},
            timeout=60,
        )
        assert (response.status_code, response.json()) == (200, {})
        passing.mas.jobs.wait()
        assert passing.whoami(token).status_code == 401
    response = passing.log_out(token)
    assert (response.status_code, response.json()["errcode"]) == (401, "M_UNKNOWN_TOKEN")


def test_a_token_in_the_query_is_passed_on_in_the_header(passing: MasDeployment) -> None:
    user_id = person(passing)
    token = post(passing, password_login(passing, user_id)).json()["access_token"]
    url = passing.synapse.url + LOGOUT
    response = requests.post(url, params={"access_token": token}, timeout=60)
    assert (response.status_code, response.json()) == (200, {})


def test_what_is_no_json_stays_here(passing: MasDeployment) -> None:
    before = passing.mas.count("POST", LAYER_LOGIN)
    for body, errcode in ((b"{", "M_NOT_JSON"), (b"[]", "M_BAD_JSON"), (b"{}", "M_MISSING_PARAM")):
        attempt = passing.post_bytes(body)
        assert attempt.response.status_code == 400
        assert attempt.response.json()["errcode"] == errcode
    assert passing.mas.count("POST", LAYER_LOGIN) == before


def test_a_person_whose_password_looks_like_a_token_hash_gets_in(passing: MasDeployment) -> None:
    user = passing.mas.add_user(f"person-{next(_numbers)}")
    user.password = passing.confidential.add("5" * 64)
    body = password_login(passing, f"@{user.username}:{SERVER_NAME}")
    # It is not charged to the limits of the module's own logins.
    for _ in range(6):
        answer = post(passing, body)
        assert answer.status_code == 200, answer.text
    by_mail = {"type": "m.id.thirdparty", "medium": "email", "address": "a@example.org"}
    before = passing.mas.count("POST", LAYER_LOGIN)
    post(passing, {**body, "identifier": by_mail})
    assert passing.mas.count("POST", LAYER_LOGIN) == before + 1


def test_without_the_setting_nothing_is_passed_on(under_mas: MasDeployment) -> None:
    user_id = person(under_mas)
    before = under_mas.mas.count("POST", LAYER_LOGIN)
    answer = post(under_mas, password_login(under_mas, user_id))
    assert answer.status_code == 400
    assert answer.json() == {"errcode": "M_UNKNOWN", "error": "Unknown login type"}
    types = requests.get(under_mas.synapse.url + LOGIN, timeout=60).json()
    assert types == {"flows": [{"type": "io.t2bot.vault"}, {"type": "m.login.password"}]}
    assert under_mas.mas.count("POST", LAYER_LOGIN) == before
    assert under_mas.mas.count("GET", LAYER_LOGIN) == 0
