"""The login that the module serves where MAS decides who users are: each rule and each answer."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests

from tests.harness.accounts import Account
from tests.harness.mas_deployment import LOGIN, LOGOUT, MasDeployment
from tests.harness.waiting import wait_until
from tests.servers.mas.http_types import Answer
from tests.servers.port import ReservedPort
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from tests.harness.stack import Stack

FORBIDDEN = {"errcode": "M_FORBIDDEN", "error": "Invalid username or password"}


def localpart(user_id: str) -> str:
    return user_id[1:].removesuffix(f":{SERVER_NAME}")


def errcode(response: requests.Response) -> tuple[int, str]:
    return response.status_code, response.json()["errcode"]


def test_a_login(under_mas: MasDeployment) -> None:
    account = under_mas.new_account()
    attempt = under_mas.log_in(account.user_id, account.token_hash)
    attempt.check_accepted(account.user_id)
    body = attempt.response.json()
    assert set(body) == {"user_id", "access_token", "device_id", "home_server"}
    assert body["home_server"] == SERVER_NAME
    assert body["access_token"].startswith("mpt_")
    assert under_mas.whoami(body["access_token"]).json() == {
        "user_id": account.user_id,
        "device_id": body["device_id"],
        "is_guest": False,
    }
    [session] = under_mas.sessions(account.user_id)
    assert sorted(session.scope.split()) == [
        "urn:matrix:client:api:*",
        f"urn:matrix:client:device:{body['device_id']}",
    ]
    assert session.owner_client_id == under_mas.mas.client.id
    assert len(body["device_id"]) >= 10


def test_the_localpart_alone_and_the_deprecated_user(under_mas: MasDeployment) -> None:
    account = under_mas.new_account()
    under_mas.log_in(localpart(account.user_id), account.token_hash).check_accepted(account.user_id)
    body = {"type": "io.t2bot.vault", "user": account.user_id, "token_hash": account.token_hash}
    under_mas.post_login(body).check_accepted(account.user_id)


def test_a_token_hash_as_password(under_mas: MasDeployment) -> None:
    account = under_mas.new_account()
    body = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": account.user_id},
        "password": account.token_hash.upper(),
    }
    attempt = under_mas.post_login(body)
    attempt.check_accepted(account.user_id)
    assert "as a password" in attempt.line.message
    refused = under_mas.post_login({**body, "password": "0" * 64})
    assert errcode(refused.response) == (403, "M_FORBIDDEN")
    other = under_mas.post_login({**body, "password": "hunter2"})
    assert errcode(other.response) == (400, "M_UNKNOWN")


def test_what_is_wrong_with_secret_user_or_hash_is_answered_alike(
    under_mas: MasDeployment,
) -> None:
    account = under_mas.new_account()
    no_secret = under_mas.new_user()
    at_synapse_alone = under_mas.put_secret(
        under_mas.synapse.insert_user(f"@not-at-mas:{SERVER_NAME}")
    )
    for user, token_hash, outcome in (
        (account.user_id, "0" * 64, "bad_hash"),
        (account.user_id, "no hash", "malformed_hash"),
        (account.user_id, 5, "malformed_hash"),
        (no_secret, "0" * 64, "no_secret"),
        (f"@nobody:{SERVER_NAME}", "0" * 64, "unknown_user"),
        ("@alice:elsewhere.org", "0" * 64, "foreign_user"),
        ("a/../b", "0" * 64, "unsafe_user_id"),
        (at_synapse_alone.user_id, at_synapse_alone.token_hash, "unknown_user"),
    ):
        attempt = under_mas.log_in(user, token_hash)
        attempt.check_refused(outcome)
        assert attempt.line.level == "WARNING"
    assert under_mas.sessions(account.user_id) == []


def test_nothing_is_asked_of_mas_before_the_secret_has_matched(under_mas: MasDeployment) -> None:
    account = under_mas.new_account()
    before = len(under_mas.mas.requests)
    under_mas.log_in(account.user_id, "0" * 64).check_refused("bad_hash")
    under_mas.log_in(account.user_id, "0" * 64, device_id="SHORT").check_refused("bad_hash")
    assert len(under_mas.mas.requests) == before


def test_a_name_that_mas_spells_otherwise_is_not_at_mas(under_mas: MasDeployment) -> None:
    # MAS ignores case when it looks for a name; the homeserver's spelling decides.
    account = under_mas.put_secret(under_mas.synapse.insert_user(f"@Spelt-Otherwise:{SERVER_NAME}"))
    under_mas.mas.add_user("spelt-otherwise", at_homeserver=False)
    under_mas.log_in(account.user_id, account.token_hash).check_refused("unknown_user")
    assert under_mas.mas.personal_sessions("spelt-otherwise") == []


def test_the_spelling_of_the_homeserver_decides_the_secret(under_mas: MasDeployment) -> None:
    account = under_mas.new_account()
    shouted = account.user_id.upper().replace(SERVER_NAME.upper(), SERVER_NAME)
    under_mas.log_in(shouted, account.token_hash).check_accepted(account.user_id)


@pytest.mark.parametrize("name", ["with/slash", "with=equals", "with+plus", "with.dots_and-so"])
def test_names_with_odd_characters(under_mas: MasDeployment, name: str) -> None:
    user = under_mas.mas.add_user(name)
    account = under_mas.put_secret(f"@{user.username}:{SERVER_NAME}")
    attempt = under_mas.log_in(account.user_id, account.token_hash)
    attempt.check_accepted(account.user_id)


def test_locked_and_deactivated_at_mas(under_mas: MasDeployment) -> None:
    mas = under_mas.mas
    locked, deactivated = under_mas.new_account(), under_mas.new_account()
    # MAS has not told Synapse, or could not.
    mas.user(localpart(locked.user_id)).locked_at = mas.clock.now()
    mas.user(localpart(deactivated.user_id)).deactivated_at = mas.clock.now()
    check_locked(under_mas, locked)
    check_deactivated(under_mas, deactivated)
    mas.user(localpart(locked.user_id)).locked_at = None
    under_mas.log_in(locked.user_id, locked.token_hash).check_accepted(locked.user_id)


def check_locked(homeserver: MasDeployment, account: Account) -> None:
    attempt = homeserver.log_in(account.user_id, account.token_hash)
    assert errcode(attempt.response) == (401, "M_USER_LOCKED")
    assert attempt.outcome == "user_locked"
    assert homeserver.sessions(account.user_id) == []
    # Who does not know the secret learns nothing of it.
    homeserver.log_in(account.user_id, "0" * 64).check_refused("bad_hash")


def check_deactivated(homeserver: MasDeployment, account: Account) -> None:
    attempt = homeserver.log_in(account.user_id, account.token_hash)
    assert errcode(attempt.response) == (403, "M_USER_DEACTIVATED")
    assert attempt.outcome == "user_deactivated"
    assert homeserver.sessions(account.user_id) == []
    homeserver.log_in(account.user_id, "0" * 64).check_refused("bad_hash")


def test_locked_and_deactivated_at_the_homeserver_alone(under_mas: MasDeployment) -> None:
    locked, deactivated = under_mas.new_account(), under_mas.new_account()
    with under_mas.synapse.database() as database:
        database.execute("UPDATE users SET locked = 1 WHERE name = ?", (locked.user_id,))
        database.commit()
    under_mas.mas.homeserver.delete_user(localpart(deactivated.user_id), erase=False)
    check_locked(under_mas, locked)
    check_deactivated(under_mas, deactivated)


def test_deactivated_between_being_looked_up_and_having_a_session(
    under_mas: MasDeployment,
) -> None:
    account = under_mas.new_account()
    gone = Answer(410, b'{"errors":[{"title":"User is not active"}]}')
    under_mas.mas.faults.answer("POST", "/personal-sessions$", gone)
    check_deactivated(under_mas, account)


def test_a_suspended_user_logs_in(under_mas: MasDeployment) -> None:
    account = under_mas.new_account()
    with under_mas.synapse.database() as database:
        database.execute("UPDATE users SET suspended = 1 WHERE name = ?", (account.user_id,))
        database.commit()
    under_mas.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)


def test_one_log_line_and_one_metric(under_mas: MasDeployment) -> None:
    account = under_mas.new_account()
    before = under_mas.synapse.metrics()
    attempt = under_mas.log_in(account.user_id, account.token_hash)
    assert attempt.line.message.startswith(f"Login of '{account.user_id}': ok: ")
    under_mas.log_in(account.user_id, "0" * 64)
    under_mas.post_bytes(b"{")
    after = under_mas.synapse.metrics()

    counted = {
        outcome: number - before.logins().get(outcome, 0)
        for outcome, number in after.logins().items()
    }
    assert {outcome: number for outcome, number in counted.items() if number} == {
        "ok": 1,
        "bad_hash": 1,
        "bad_request": 1,
    }


def test_the_display_name(under_mas: MasDeployment) -> None:
    account = under_mas.new_account()
    for sent, expected in (
        ("A bot", "A bot"),
        ("a\nb\0c\x7fd\u0085e", "abcde"),
        ("ü" * 150, "ü" * 100),
    ):
        attempt = under_mas.log_in(
            account.user_id, account.token_hash, initial_device_display_name=sent
        )
        attempt.check_accepted(account.user_id)
        device_id = attempt.response.json()["device_id"]
        assert device_name(under_mas, account.user_id, device_id) == expected
        session = under_mas.sessions(account.user_id)[-1]
        assert expected in session.human_name


def device_name(homeserver: MasDeployment, user_id: str, device_id: str) -> str | None:
    with homeserver.synapse.database() as database:
        query = "SELECT display_name FROM devices WHERE user_id = ? AND device_id = ?"
        name: str | None = database.execute(query, (user_id, device_id)).fetchone()[0]
        return name


def test_every_session_has_a_mark_of_its_own(under_mas: MasDeployment) -> None:
    account = under_mas.new_account()
    for _ in range(3):
        under_mas.log_in(
            account.user_id, account.token_hash, initial_device_display_name="bot"
        ).check_accepted(account.user_id)
    names = [session.human_name for session in under_mas.sessions(account.user_id)]
    assert len({*names}) == 3


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b"{", (400, "M_NOT_JSON")),
        (b"", (400, "M_NOT_JSON")),
        (b"[]", (400, "M_BAD_JSON")),
        (b"{}", (400, "M_MISSING_PARAM")),
        (b'{"type": 5}', (400, "M_INVALID_PARAM")),
        (b'{"type": "io.t2bot.vault"}', (400, "M_MISSING_PARAM")),
        (b'{"type": "io.t2bot.vault", "token_hash": ""}', (400, "M_MISSING_PARAM")),
        (b'{"type": "io.t2bot.vault", "token_hash": "", "user": 5}', (400, "M_INVALID_PARAM")),
        (b'{"type": "m.login.token"}', (400, "M_UNKNOWN")),
        (b'{"type": "m.login.password", "password": "x"}', (400, "M_UNKNOWN")),
        (b" " * (64 * 1024 + 1), (413, "M_TOO_LARGE")),
        (b" " * (3 << 20), (413, "M_TOO_LARGE")),
    ],
    ids=range(12),
)
def test_bodies_that_are_no_login(
    under_mas: MasDeployment, body: bytes, answer: tuple[int, str]
) -> None:
    attempt = under_mas.post_bytes(body)
    assert errcode(attempt.response) == answer
    assert attempt.response.headers["Access-Control-Allow-Origin"] == "*"
    assert (attempt.outcome, attempt.line.level) == ("bad_request", "WARNING")


def test_the_flows(under_mas: MasDeployment) -> None:
    answer = requests.get(under_mas.synapse.url + LOGIN, timeout=60)
    assert answer.status_code == 200
    assert answer.json() == {"flows": [{"type": "io.t2bot.vault"}, {"type": "m.login.password"}]}


@pytest.mark.parametrize("path", [LOGIN, LOGOUT, f"{LOGOUT}/all"])
def test_browsers_may_ask(under_mas: MasDeployment, path: str) -> None:
    url = under_mas.synapse.url + path
    preflight = requests.options(
        url,
        headers={
            "Origin": "https://app.example.org",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type, authorization",
        },
        timeout=60,
    )
    theirs = requests.options(f"{under_mas.synapse.url}/_matrix/client/versions", timeout=60)
    assert preflight.status_code == theirs.status_code
    refused = requests.post(url, data=b"{", timeout=60)
    assert refused.status_code >= 400
    wrong_method = requests.put(url, timeout=60)
    assert wrong_method.status_code == 405
    for answer in (preflight, refused, wrong_method):
        for name in ("Origin", "Methods", "Headers"):
            header = f"Access-Control-Allow-{name}"
            assert answer.headers[header] == theirs.headers[header]


@pytest.mark.parametrize("path", [f"{LOGIN}/", f"{LOGIN}/sso/redirect", f"{LOGOUT}/none"])
def test_paths_that_are_none(under_mas: MasDeployment, path: str) -> None:
    for method in ("GET", "POST"):
        response = requests.request(method, under_mas.synapse.url + path, timeout=60)
        assert errcode(response) == (404, "M_UNRECOGNIZED")
        assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.fixture(scope="module")
def federation_port() -> ReservedPort:
    return ReservedPort()


@pytest.fixture(scope="module")
def other(file_stack: Stack, federation_port: ReservedPort) -> MasDeployment:
    """Return a homeserver that makes administrators, whose sessions end, and that registers."""
    return file_stack.start_homeserver_under_mas(
        "other",
        file_stack.start_mas(auth_method="client_secret_post"),
        mas_settings={"admin_scope": True, "session_lifetime": "1h"},
        allow_registration=True,
        listeners=[
            {
                "port": federation_port,
                "type": "http",
                "bind_addresses": ["127.0.0.1"],
                "resources": [{"names": ["federation"]}],
            }
        ],
    )


def test_a_session_that_ends(other: MasDeployment) -> None:
    account = other.new_account()
    body = other.log_in(account.user_id, account.token_hash).response.json()
    assert 3_590_000 < body["expires_in_ms"] <= 3_600_000
    [session] = other.sessions(account.user_id)
    assert session.expires_at is not None


def test_the_scope_of_administrators_is_given_to_administrators_alone(
    other: MasDeployment, under_mas: MasDeployment
) -> None:
    for homeserver in (other, under_mas):
        for is_admin in (False, True):
            account = homeserver.new_account()
            homeserver.mas.user(localpart(account.user_id)).is_admin = is_admin
            attempt = homeserver.log_in(account.user_id, account.token_hash)
            attempt.check_accepted(account.user_id)
            [session] = homeserver.sessions(account.user_id)
            has_scope = "urn:synapse:admin:*" in session.scope.split()
            assert has_scope == (is_admin and homeserver is other)
            answer = requests.get(
                f"{homeserver.synapse.url}/_synapse/admin/v2/users?guests=false",
                headers={"Authorization": f"Bearer {session.token}"},
                timeout=60,
            )
            assert answer.status_code == (200 if has_scope else 403)


def test_registration_at_mas(other: MasDeployment) -> None:
    account = other.put_secret(f"@registered-at-mas:{SERVER_NAME}")
    other.put(account.user_id, {"login_secret": account.login_secret, "display_name": "A new bot"})
    other.log_in(account.user_id, "0" * 64).check_refused("unknown_user")
    attempt = other.log_in(account.user_id, account.token_hash)
    assert attempt.response.status_code == 200, attempt.response.text
    assert (attempt.outcome, attempt.line.level) == ("registered", "INFO")
    assert other.whoami(attempt.response.json()["access_token"]).status_code == 200
    assert other.mas.user("registered-at-mas").is_active
    found = other.mas.homeserver.query_user("registered-at-mas")
    assert found["display_name"] == "A new bot"
    other.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)


def test_registration_at_a_mas_that_knows_no_display_names(other: MasDeployment) -> None:
    account = other.put_secret(f"@registered-at-old-mas:{SERVER_NAME}")
    other.put(account.user_id, {"login_secret": account.login_secret, "display_name": "A new bot"})
    other.mas.users.takes_displayname = False
    try:
        attempt = other.log_in(account.user_id, account.token_hash)
    finally:
        other.mas.users.takes_displayname = True
    assert attempt.outcome == "registered"
    found = other.mas.homeserver.query_user("registered-at-old-mas")
    assert found["display_name"] == "A new bot"


def test_registration_that_mas_refuses(other: MasDeployment) -> None:
    for name in ("12345", "_odd"):
        account = other.put_secret(f"@{name}:{SERVER_NAME}")
        attempt = other.log_in(account.user_id, account.token_hash)
        attempt.check_refused("registration_refused")
    # One that the homeserver has and MAS has not can never be used.
    account = other.put_secret(other.synapse.insert_user(f"@homeserver-alone:{SERVER_NAME}"))
    other.log_in(account.user_id, account.token_hash).check_refused("unknown_user")


def test_first_logins_at_once(other: MasDeployment) -> None:
    account = other.put_secret(f"@registered-at-once:{SERVER_NAME}")
    with ThreadPoolExecutor(8) as pool:
        attempts = list(
            pool.map(lambda _: other.log_in(account.user_id, account.token_hash), range(8))
        )
    assert [attempt.response.status_code for attempt in attempts] == [200] * 8
    assert len({attempt.response.json()["access_token"] for attempt in attempts}) == 8
    assert len(other.sessions(account.user_id)) == 8


def test_listeners_for_others_serve_no_login(
    other: MasDeployment, federation_port: ReservedPort
) -> None:
    account = other.new_account()
    body = {"type": "io.t2bot.vault", "user": account.user_id, "token_hash": account.token_hash}
    for path in (LOGIN, LOGOUT):
        url = f"http://127.0.0.1:{federation_port}{path}"
        response = requests.post(url, data=json.dumps(body), timeout=60)
        assert errcode(response) == (404, "M_UNRECOGNIZED")
    assert other.sessions(account.user_id) == []


def test_health_and_metrics_tell_of_mas(under_mas: MasDeployment) -> None:
    account = under_mas.new_account()
    before = under_mas.synapse.metrics()
    under_mas.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)
    after = under_mas.synapse.metrics()
    name = "mas_request_seconds_count"
    opened, opened_before = (
        metrics.value(name, operation="open_session", server_name=SERVER_NAME) or 0
        for metrics in (after, before)
    )
    assert opened == opened_before + 1
    url = f"{under_mas.synapse.url}/_synapse/client/vault_auth/health"
    well = {
        "healthy": True,
        "vault_reachable": True,
        "token_valid": True,
        "kv_readable": True,
        "mas_reachable": True,
        "mas_client_valid": True,
    }
    wait_until("a check", lambda: requests.get(url, timeout=60).json() == well)
    under_mas.mas.refuse_connections()
    away = {**well, "healthy": False, "mas_reachable": False, "mas_client_valid": None}
    wait_until("another check", lambda: requests.get(url, timeout=60).json() == away)
    assert requests.get(url, timeout=60).status_code == 503
    under_mas.mas.listen()
    under_mas.mas.forget_tokens()
    right, under_mas.mas.client.secret = under_mas.mas.client.secret, "another"
    refused = {**well, "healthy": False, "mas_client_valid": False}
    try:
        wait_until("a third check", lambda: requests.get(url, timeout=60).json() == refused)
    finally:
        under_mas.mas.client.secret = right
    wait_until("a fourth check", lambda: requests.get(url, timeout=60).json() == well)
