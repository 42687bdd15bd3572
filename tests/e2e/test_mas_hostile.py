"""Whatever a client sends to the module's login under MAS, it is answered and never logged."""

from __future__ import annotations

import json
import os
import random
import secrets
import socket
from typing import TYPE_CHECKING, Any

import pytest
import requests
from hypothesis import HealthCheck, event, given, settings

from tests.harness.accounts import Account
from tests.harness.mas_deployment import LOGIN
from tests.servers.mas.records import API_SCOPE, DEVICE_SCOPE

from .test_wrong_doors import CORPUS, bodies

if TYPE_CHECKING:
    from tests.harness.deployment import Attempt
    from tests.harness.mas_deployment import MasDeployment

CASES = int(os.environ.get("WRONG_DOORS_CASES", "0"))
"""How many logins to make up, others each time; as they come, these are few and always the same."""

STATUSES = {200, 400, 403, 413}


def check_answered(attempt: Attempt) -> None:
    response = attempt.response
    assert response.status_code in STATUSES, response.text
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    body = response.json()
    assert isinstance(body, dict)
    if response.status_code != 200:
        assert body["errcode"].startswith("M_")
    for record in attempt.records:
        assert "Traceback" not in record.message
        assert record.level not in ("ERROR", "CRITICAL")
    assert attempt.line.level in ("INFO", "WARNING")


@settings(
    max_examples=CASES or 100,
    derandomize=not CASES,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(body=bodies())
def test_made_up_logins(under_mas: MasDeployment, body: Any) -> None:
    attempt = under_mas.post_bytes(json.dumps(body).encode())
    event(f"{attempt.response.status_code} {attempt.outcome}")
    check_answered(attempt)
    assert attempt.response.status_code != 200


def test_the_corpus(under_mas: MasDeployment) -> None:
    for path in sorted(CORPUS.iterdir()):
        check_answered(under_mas.post_bytes(path.read_bytes()))


NESTED = ("[" * 30_000, '{"a":' * 12_000, '{"a":' * 5_000 + "1" + "}" * 5_000)
MORE = (
    '{"type":"io.t2bot.vault","type":"m.login.password"}',
    '{"type":"io.t2bot.vault","user":"\\ud800","token_hash":"\\udfff"}',
    '{"type":"io.t2bot.vault","user":"a\\u0000b","token_hash":"x"}',
    '{"type":"io.t2bot.vault","user":"a","token_hash":NaN}',
    '{"type":"io.t2bot.vault","user":"a","token_hash":1e999999}',
    '{"type":"io.t2bot.vault","user":"a","token_hash":' + "9" * 60_000 + "}",
    '{"type":"io.t2bot.vault","user":"a","token_hash":' + "[" * 500 + "]" * 500 + "}",
    '{"type":"io.t2bot.vault","user":"' + "a" * 60_000 + '","token_hash":"x"}',
    '{"type":"io.t2bot.vault","identifier":{"type":"m.id.user","user":{"$ne":null}}}',
    '"text"',
    "null",
    "\ufeff{}",
    "{'type': 'io.t2bot.vault'}",
)


@pytest.mark.parametrize("body", [*NESTED, *MORE], ids=range(len(NESTED) + len(MORE)))
def test_odd_json(under_mas: MasDeployment, body: str) -> None:
    check_answered(under_mas.post_bytes(body.encode("utf-8", "surrogatepass")))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1"])
def test_other_encodings(under_mas: MasDeployment, encoding: str) -> None:
    body = json.dumps(
        {"type": "io.t2bot.vault", "user": "ü", "token_hash": "x"}, ensure_ascii=False
    )
    attempt = under_mas.post_bytes(body.encode(encoding))
    check_answered(attempt)
    assert attempt.response.json()["errcode"] == "M_NOT_JSON"


@pytest.mark.parametrize(
    "content_type",
    [
        *("application/x-www-form-urlencoded", "multipart/form-data; boundary=x"),
        *("multipart/form-data", "text/plain", "application/json; charset=utf-16", "nonsense", ""),
    ],
)
@pytest.mark.parametrize("is_json", [True, False])
def test_other_content_types(under_mas: MasDeployment, content_type: str, is_json: bool) -> None:
    """What Twisted itself makes of a body is in no log, either."""
    account = under_mas.new_account()
    body = {"type": "io.t2bot.vault", "user": account.user_id, "token_hash": account.token_hash}
    raw = json.dumps(body).encode() if is_json else b"--x\r\n" + account.token_hash.encode()
    since = under_mas.synapse.log_size()
    response = requests.post(
        under_mas.synapse.url + LOGIN,
        data=raw,
        headers={"Content-Type": content_type},
        timeout=60,
    )
    # Synapse itself takes no forms of several parts.
    assert response.status_code in (200, 400, 415)
    for record in under_mas.synapse.log_records(since):
        assert account.token_hash not in record.message


def test_no_body_is_in_the_log(under_mas: MasDeployment) -> None:
    """Bodies that hold secrets, broken in every way; the whole log is searched."""
    account = under_mas.new_account()
    since = under_mas.synapse.log_size()
    dice = random.Random(2)
    marks = []
    for _ in range(60):
        mark = under_mas.confidential.add(secrets.token_hex(16))
        marks.append(mark)
        body = {
            "type": dice.choice(["io.t2bot.vault", "m.login.password", "m.login.token", mark]),
            "token_hash": dice.choice([account.token_hash, mark, 5]),
            "password": mark,
            "token": mark,
            "identifier": dice.choice([{"type": "m.id.user", "user": "somebody"}, mark, None]),
            mark: mark,
        }
        raw = json.dumps(body).encode()
        cut = dice.choice([len(raw), len(raw) - 1, dice.randrange(len(raw))])
        under_mas.post_bytes(raw[:cut] + dice.choice([b"", b"}", b"\xff", b"\0"]))
    written = "\n".join(record.message for record in under_mas.synapse.log_records(since))
    assert not [mark for mark in marks if mark in written]
    assert account.token_hash not in written


def test_who_sends_half_a_body_and_hangs_up(under_mas: MasDeployment) -> None:
    host, port = "127.0.0.1", int(under_mas.synapse.port)
    for sent in (
        b"POST " + LOGIN.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
        b"POST " + LOGIN.encode() + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5",
        b"POST " + LOGIN.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n{}",
    ):
        with socket.create_connection((host, port)) as connection:
            connection.sendall(sent)
    account = under_mas.new_account()
    under_mas.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)


def test_whatever_was_let_in_has_the_scope_that_it_must_have(under_mas: MasDeployment) -> None:
    """Hostile texts at every place of a login whose hash is right."""
    account = Account.with_a_secret_of_its_own(under_mas.new_user())
    under_mas.put_secret(account.user_id, account.login_secret)
    bad = " urn:synapse:admin:* urn:mas:admin"
    for more in (
        {"scope": bad},
        {"device_id": "AAAAAAAAAA", "scope": f"{API_SCOPE}{bad}"},
        {"initial_device_display_name": bad},
        {"initial_device_display_name": f"{bad}\n{bad}", "admin": True, "expires_in": 0},
        {"device_id": f"AAAAAAAAAA{bad}"},
    ):
        under_mas.log_in(account.user_id, account.token_hash, **more)
    sessions = under_mas.sessions(account.user_id, is_active=None)
    assert len(sessions) == 4
    for session in sessions:
        [api, device] = sorted(session.scope.split())
        assert (api, device[: len(DEVICE_SCOPE)]) == (API_SCOPE, DEVICE_SCOPE)
