"""The device of a login under MAS: which ids are taken, and what becomes of sessions on it."""

from __future__ import annotations

import itertools
import json
import os
import random
from typing import TYPE_CHECKING

import pytest
import requests

from tests.servers.mas.records import API_SCOPE, DEVICE_SCOPE
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from tests.harness.accounts import Account
    from tests.harness.deployment import Attempt
    from tests.harness.mas_deployment import MasDeployment

GRAMMAR = "ABCXYZabcxyz0189._~!$&'()*+,;=:@/-"

CASES = int(os.environ.get("MAS_DEVICE_CASES", "40"))
"""How many hostile device ids are sent over HTTP; the core's own tests try thousands."""


def log_in(homeserver: MasDeployment, account: Account, device_id: object) -> Attempt:
    return homeserver.log_in(account.user_id, account.token_hash, device_id=device_id)


def check_refused(attempt: Attempt) -> None:
    assert attempt.response.status_code == 400, attempt.response.text
    assert attempt.response.json()["errcode"] == "M_INVALID_PARAM"
    assert (attempt.outcome, attempt.line.level) == ("bad_request", "WARNING")


def localpart(user_id: str) -> str:
    return user_id[1:].removesuffix(f":{SERVER_NAME}")


@pytest.mark.parametrize("device_id", [GRAMMAR, "0123456789", "-" * 10, "a" * 255, "AAAAA/BBBBB"])
def test_ids_of_the_grammar(under_mas: MasDeployment, device_id: str) -> None:
    account = under_mas.new_account()
    attempt = log_in(under_mas, account, device_id)
    attempt.check_accepted(account.user_id)
    assert attempt.response.json()["device_id"] == device_id
    found = under_mas.whoami(attempt.response.json()["access_token"])
    assert found.json()["device_id"] == device_id


@pytest.mark.parametrize(
    "device_id",
    [
        *("", "A", "short", "a" * 9, "a" * 256, "a" * 5000),
        *("with space", "AAAAAAAAAA urn:synapse:admin:*", "AAAAAAAAAA urn:mas:admin"),
        *("AAAAAAAAAA\turn:mas:admin", "AAAAAAAAAA\nB", "AAAAAAAAAA\0", "AAAAAAAAAA\x7f"),
        *("AAAAAAAAA\u00fc", "AAAAAAAAAA\u2003B", "AAAAAAAAAA\ud800", "AAAAAAAAAA%20B"),
        *(
            'AAAAAAAAAA"',
            "AAAAAAAAAA\\",
            "AAAAAAAAAA#",
            "AAAAAAAAAA?",
            "AAAAAAAAAA[",
            "AAAAAAAAAA|",
        ),
        *(5, True, [], {}, ["AAAAAAAAAA"]),
    ],
    ids=lambda device_id: ascii(device_id)[:40],
)
def test_ids_that_are_none(under_mas: MasDeployment, device_id: object) -> None:
    account = under_mas.new_account()
    check_refused(log_in(under_mas, account, device_id))
    assert under_mas.sessions(account.user_id, is_active=None) == []
    assert under_mas.devices(account.user_id) == set()


def test_no_byte_of_a_client_s_adds_a_scope(under_mas: MasDeployment) -> None:
    """Try hostile ids and names; whatever is let in has the scope that it must have."""
    account = under_mas.new_account()
    dice = random.Random(18)
    pieces = [
        *("urn:synapse:admin:*", "urn:mas:admin", DEVICE_SCOPE, API_SCOPE, "AAAAAAAAAA", "*", ":"),
        *(" ", "\t", "\n", "\r", "\0", "\x0b", "\x0c", "\x1f", "\x85", "\xa0", "\u2028", "\u3000"),
        *("%20", "+", "&", "=", '"', "\\", "\\u0020", ",", ";", "\ud800", "\ufeff", "ü"),
    ]

    def hostile() -> str:
        return "".join(dice.choices(pieces, k=dice.randint(1, 5)))

    for _ in range(CASES):
        attempt = under_mas.log_in(
            account.user_id,
            account.token_hash,
            device_id="AAAAAAAAAA" + hostile(),
            initial_device_display_name=hostile(),
        )
        assert attempt.response.status_code in (200, 400), attempt.response.text
    sessions = under_mas.sessions(account.user_id, is_active=None)
    for session in sessions:
        [api, device] = sorted(session.scope.split(" "))
        assert api == API_SCOPE
        assert device.startswith(DEVICE_SCOPE)
        assert set(device.removeprefix(DEVICE_SCOPE)) <= set(GRAMMAR) | set(_alphanumeric())


def _alphanumeric() -> str:
    return "".join(map(chr, range(128))).translate(
        {code: None for code in range(128) if not chr(code).isalnum()}
    )


def test_a_short_id_that_synapse_has(under_mas: MasDeployment) -> None:
    account, other = under_mas.new_account(), under_mas.new_account()
    under_mas.mas.homeserver.upsert_device(localpart(account.user_id), "KEPT")
    # Brought along from before MAS; `syn2mas` makes a compat session of it.
    user = under_mas.mas.user(localpart(account.user_id))
    compat = under_mas.mas.compat.add_session(user, "KEPT")
    attempt = log_in(under_mas, account, "KEPT")
    attempt.check_accepted(account.user_id)
    assert attempt.response.json()["device_id"] == "KEPT"
    assert compat.finished_at is not None
    check_refused(log_in(under_mas, other, "KEPT"))


def test_short_ids_are_no_oracle_of_devices(under_mas: MasDeployment) -> None:
    account = under_mas.new_account()
    under_mas.mas.homeserver.upsert_device(localpart(account.user_id), "KNOWN")
    for device_id in ("KNOWN", "UNKNOWN"):
        under_mas.log_in(account.user_id, "0" * 64, device_id=device_id).check_refused("bad_hash")


def test_a_device_of_a_person_s_oauth_session_is_not_taken(under_mas: MasDeployment) -> None:
    account = under_mas.new_account()
    user = under_mas.mas.user(localpart(account.user_id))
    session = under_mas.mas.add_oauth2_session(user, "PERSONDEVICE")
    check_refused(log_in(under_mas, account, "PERSONDEVICE"))
    assert under_mas.whoami(session.token).status_code == 200
    session.finished_at = under_mas.mas.clock.now()
    log_in(under_mas, account, "PERSONDEVICE").check_accepted(account.user_id)


def test_earlier_sessions_on_the_device_end_once_the_new_one_exists(
    under_mas: MasDeployment,
) -> None:
    account = under_mas.new_account()
    user = under_mas.mas.user(localpart(account.user_id))
    compat = under_mas.mas.compat.add_session(user, "SHAREDDEVICE")
    elsewhere = log_in(under_mas, account, "OTHERDEVICE").response.json()["access_token"]
    tokens = [
        log_in(under_mas, account, "SHAREDDEVICE").response.json()["access_token"] for _ in range(2)
    ]
    active = under_mas.sessions(account.user_id)
    assert [session.token for session in active] == [elsewhere, tokens[1]]
    assert compat.finished_at is not None
    under_mas.mas.jobs.wait()
    assert under_mas.devices(account.user_id) == {"SHAREDDEVICE", "OTHERDEVICE"}
    assert under_mas.whoami(tokens[1]).status_code == 200


def test_a_device_of_another_client_s_personal_session_is_not_taken(
    under_mas: MasDeployment,
) -> None:
    account, other = under_mas.new_account(), under_mas.new_account()
    stranger = under_mas.mas.add_client()
    session = personal_session(under_mas, account, "SHAREDDEVICE", stranger)
    others = log_in(under_mas, other, "SHAREDDEVICE").response.json()["access_token"]
    check_refused(log_in(under_mas, account, "SHAREDDEVICE"))
    assert under_mas.whoami(session["access_token"]).status_code == 200
    assert under_mas.whoami(others).status_code == 200


def personal_session(
    homeserver: MasDeployment,
    account: Account,
    device_id: str,
    client: object = None,
    **more: object,
) -> dict[str, str]:
    """Open a session as a client of the admin API does; return its attributes."""
    mas = homeserver.mas
    client = client or mas.client
    token = requests.post(
        f"{mas.url}/oauth2/token",
        auth=(client.id, client.secret),  # type: ignore[attr-defined]
        data={"grant_type": "client_credentials", "scope": "urn:mas:admin"},
        timeout=60,
    ).json()["access_token"]
    body = {
        "actor_user_id": mas.user(localpart(account.user_id)).id,
        "human_name": "somebody else's",
        "scope": f"{API_SCOPE} {DEVICE_SCOPE}{device_id}",
        **more,
    }
    answer = requests.post(
        f"{mas.url}/api/admin/v1/personal-sessions",
        headers={"Authorization": f"Bearer {token}"},
        json=body,
        timeout=60,
    )
    assert answer.status_code == 201, answer.text
    found: dict[str, str] = answer.json()["data"]["attributes"]
    return found


def test_kept_tokens_are_never_swept(under_mas: MasDeployment) -> None:
    account = under_mas.new_account()
    log_in(under_mas, account, "KEPTDEVICE").check_accepted(account.user_id)
    [opened] = under_mas.sessions(account.user_id)
    kept = personal_session(
        under_mas,
        account,
        "KEPTDEVICE",
        human_name=opened.human_name.replace("vault-login-", "vault-kept-"),
    )
    log_in(under_mas, account, "KEPTDEVICE").check_accepted(account.user_id)
    assert opened.finished_at is not None
    assert under_mas.whoami(kept["access_token"]).status_code == 200


def test_expired_sessions_are_swept_except_on_the_device_just_used(
    under_mas: MasDeployment,
) -> None:
    account = under_mas.new_account()
    for device_id in ("EXPIREDONE", "EXPIREDTWO", "LIVINGDEVICE"):
        log_in(under_mas, account, device_id).check_accepted(account.user_id)
    one, two, living = under_mas.sessions(account.user_id)
    past = under_mas.mas.clock.now().replace(year=2020)
    one.expires_at = two.expires_at = past
    log_in(under_mas, account, "EXPIREDTWO").check_accepted(account.user_id)
    under_mas.mas.jobs.wait()
    assert one.finished_at is not None
    assert living.finished_at is None
    assert "EXPIREDTWO" in under_mas.devices(account.user_id)
    assert "LIVINGDEVICE" in under_mas.devices(account.user_id)


def test_none_sent_is_a_new_one_each_time(under_mas: MasDeployment) -> None:
    account = under_mas.new_account()
    found = [log_in(under_mas, account, None).response.json()["device_id"] for _ in range(3)]
    assert len({*found}) == 3
    assert under_mas.devices(account.user_id) == {*found}
    assert all(len(device_id) >= 10 for device_id in found)


def test_the_name_of_a_device_that_has_one_stays(under_mas: MasDeployment) -> None:
    account = under_mas.new_account()
    names = itertools.count(1)
    for _ in range(2):
        under_mas.log_in(
            account.user_id,
            account.token_hash,
            device_id="NAMEDDEVICE",
            initial_device_display_name=f"name {next(names)}",
        ).check_accepted(account.user_id)
    with under_mas.synapse.database() as database:
        query = "SELECT display_name FROM devices WHERE user_id = ?"
        assert database.execute(query, (account.user_id,)).fetchall() == [("name 1",)]


def test_messages_can_be_sent_with_the_first_request(under_mas: MasDeployment) -> None:
    account = under_mas.new_account()
    body = log_in(under_mas, account, None).response.json()
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    url = f"{under_mas.synapse.url}/_matrix/client/v3"
    room = requests.post(f"{url}/createRoom", headers=headers, json={}, timeout=60)
    assert room.status_code == 200, room.text
    sent = requests.put(
        f"{url}/rooms/{room.json()['room_id']}/send/m.room.message/1",
        headers=headers,
        data=json.dumps({"msgtype": "m.text", "body": "hello"}),
        timeout=60,
    )
    assert sent.status_code == 200, sent.text
