"""Logging out of sessions that were opened at the module's login under MAS."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import requests

from tests.harness.mas_deployment import LOGOUT
from tests.harness.waiting import wait_until
from tests.servers.mas.http_types import Answer
from tests.servers.synapse import SERVER_NAME

from .test_mas_devices import personal_session

if TYPE_CHECKING:
    from tests.harness.accounts import Account
    from tests.harness.mas_deployment import MasDeployment


def open_session(homeserver: MasDeployment, account: Account, device_id: str) -> str:
    attempt = homeserver.log_in(account.user_id, account.token_hash, device_id=device_id)
    attempt.check_accepted(account.user_id)
    token: str = attempt.response.json()["access_token"]
    return token


def active(homeserver: MasDeployment, account: Account) -> list[str]:
    return [session.token for session in homeserver.sessions(account.user_id)]


def check_unknown(response: requests.Response) -> None:
    assert response.status_code == 401
    assert response.json()["errcode"] == "M_UNKNOWN_TOKEN"
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_a_logout_ends_the_session_and_no_other(under_mas: MasDeployment) -> None:
    account, other = under_mas.new_account(), under_mas.new_account()
    token = open_session(under_mas, account, "FIRSTDEVICE")
    second = open_session(under_mas, account, "SECONDDEVICE")
    others = open_session(under_mas, other, "FIRSTDEVICE")
    response = under_mas.log_out(token)
    assert (response.status_code, response.json()) == (200, {})
    assert active(under_mas, account) == [second]
    assert active(under_mas, other) == [others]
    under_mas.mas.jobs.wait()
    # MAS removed the device, by which Synapse forgets the token.
    assert under_mas.whoami(token).status_code == 401
    assert under_mas.devices(account.user_id) == {"SECONDDEVICE"}
    check_unknown(under_mas.log_out(token))


def test_a_logout_ends_all_of_ours_on_that_device(under_mas: MasDeployment) -> None:
    account = under_mas.new_account()
    token = open_session(under_mas, account, "SHAREDDEVICE")
    # A second session of ours there, as while a kept token is replaced.
    personal_session(under_mas, account, "SHAREDDEVICE")
    assert len(active(under_mas, account)) == 2
    assert under_mas.log_out(token).status_code == 200
    assert active(under_mas, account) == []


def test_a_logout_leaves_what_is_somebody_s_else_on_that_device(under_mas: MasDeployment) -> None:
    account = under_mas.new_account()
    token = open_session(under_mas, account, "SHAREDDEVICE")
    theirs = personal_session(under_mas, account, "SHAREDDEVICE", under_mas.mas.add_client())
    assert under_mas.log_out(token).status_code == 200
    under_mas.mas.jobs.wait()
    assert active(under_mas, account) == [theirs["access_token"]]
    # The device stays, as another session holds it.
    assert under_mas.devices(account.user_id) == {"SHAREDDEVICE"}
    assert under_mas.whoami(theirs["access_token"]).status_code == 200


def test_everywhere(under_mas: MasDeployment) -> None:
    account, other = under_mas.new_account(), under_mas.new_account()
    tokens = [open_session(under_mas, account, f"NUMBEREDDEVICE{n}") for n in range(12)]
    others = open_session(under_mas, other, "OTHERDEVICE")
    theirs = personal_session(under_mas, account, "THEIRDEVICE", under_mas.mas.add_client())
    response = under_mas.log_out(tokens[5], everywhere=True)
    assert (response.status_code, response.json()) == (200, {})
    assert active(under_mas, account) == [theirs["access_token"]]
    assert active(under_mas, other) == [others]


def test_what_is_no_token_of_ours(under_mas: MasDeployment) -> None:
    account = under_mas.new_account()
    theirs = personal_session(under_mas, account, "THEIRDEVICE", under_mas.mas.add_client())
    compat = under_mas.mas.compat.add_session(
        under_mas.mas.user(account.user_id[1:].removesuffix(f":{SERVER_NAME}")), "COMPATDEVICE"
    )
    asked = under_mas.mas.count("POST", "/oauth2/introspect")
    for everywhere in (False, True):
        for token in (
            *("mpt_unknown", "mpt_", "x", "syt_abc", "mpt_ü", "mpt_a b", "mpt_" + "x" * 5000),
            theirs["access_token"],
            compat.token,
        ):
            response = requests.post(
                under_mas.synapse.url + LOGOUT + ("/all" if everywhere else ""),
                headers={"Authorization": f"Bearer {token}".encode()},
                timeout=60,
            )
            assert response.status_code == 401, (token, response.text)
    assert active(under_mas, account) == [theirs["access_token"]]
    assert compat.finished_at is None
    # Only what may be one of ours is sent anywhere.
    sent = [
        one.form["token"]
        for one in under_mas.mas.requests
        if one.path == "/oauth2/introspect" and "client_id" not in one.form
        if "basic" in one.headers.get("authorization", "").lower()
    ]
    assert all(token.startswith("mpt_") for token in sent)
    assert under_mas.mas.count("POST", "/oauth2/introspect") > asked


def test_no_token_and_two_tokens(under_mas: MasDeployment) -> None:
    url = under_mas.synapse.url + LOGOUT
    for headers, parameters in (
        ({}, {}),
        ({"Authorization": "Basic abc"}, {}),
        ({"Authorization": "Bearer a"}, {"access_token": "b"}),
    ):
        response = requests.post(url, headers=headers, params=parameters, timeout=60)
        assert (response.status_code, response.json()["errcode"]) == (401, "M_MISSING_TOKEN")


def test_a_token_in_the_query(under_mas: MasDeployment) -> None:
    account = under_mas.new_account()
    token = open_session(under_mas, account, "QUERYDEVICE")
    url = under_mas.synapse.url + LOGOUT
    assert requests.post(url, params={"access_token": token}, timeout=60).status_code == 200
    assert active(under_mas, account) == []


def test_what_ended_meanwhile_is_no_error(under_mas: MasDeployment) -> None:
    account = under_mas.new_account()
    token = open_session(under_mas, account, "ENDEDDEVICE")
    already = Answer(409, b'{"errors":[{"title":"is already revoked"}]}')
    under_mas.mas.faults.replace_answer("POST", "/revoke$", already)
    assert under_mas.log_out(token).status_code == 200


@pytest.mark.parametrize("path", ["/oauth2/introspect$", "/personal-sessions$", "/revoke$"])
def test_a_mas_that_fails_is_a_502(under_mas: MasDeployment, path: str) -> None:
    account = under_mas.new_account()
    token = open_session(under_mas, account, "FAILINGDEVICE")
    under_mas.mas.faults.answer("*", path, Answer(500, b"", None), times=None)
    response = under_mas.log_out(token)
    assert (response.status_code, response.json()["errcode"]) == (502, "M_UNKNOWN")
    under_mas.mas.recover()
    # What could not be revoked is ended in the background, perhaps before it is asked for again.
    assert under_mas.log_out(token).status_code in (200, 401)
    wait_until("the session has ended", lambda: active(under_mas, account) == [])


def test_of_several_pages_all_end(under_mas: MasDeployment) -> None:
    account = under_mas.new_account()
    for number in range(25):
        personal_session(under_mas, account, f"PAGEDDEVICE{number}")
    token = open_session(under_mas, account, "LASTDEVICE")
    assert under_mas.log_out(token, everywhere=True).status_code == 200
    assert active(under_mas, account) == []


@pytest.mark.nightly
def test_how_long_a_token_works_after_its_end(under_mas: MasDeployment) -> None:
    """Synapse remembers for two minutes what MAS said, unless the device goes."""
    account = under_mas.new_account()
    token = open_session(under_mas, account, "SHAREDDEVICE")
    personal_session(under_mas, account, "SHAREDDEVICE", under_mas.mas.add_client())
    assert under_mas.whoami(token).status_code == 200
    ended = time.monotonic()
    assert under_mas.log_out(token).status_code == 200
    while under_mas.whoami(token).status_code == 200:
        assert time.monotonic() - ended < 130
        time.sleep(1)
    assert time.monotonic() - ended > 60
