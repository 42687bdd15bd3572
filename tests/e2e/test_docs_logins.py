"""What the manual tells authors of clients: its logins run, and its answers are what comes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.documents import Block, blocks
from tests.harness.accounts import token_hash
from tests.harness.deployment import LOGIN_TYPE
from tests.harness.documented import run_example, try_example
from tests.harness.synapse_admin import as_admin
from tests.pythons import ROOT
from tests.sections import code, rows
from tests.servers.synapse import SYNAPSE_VERSION

from .test_login import whoami

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.harness.accounts import Account
    from tests.harness.deployment import Deployment
    from tests.harness.stack import Stack

PAGE = ROOT / "docs" / "protocol.md"

HOMESERVER = "https://matrix.example.org"
USER_ID = "@alice:example.org"
LOGIN_SECRET = "TheLoginSecret"

EXAMPLES = [
    block
    for page in (ROOT / "README.md", PAGE)
    for block in blocks(page)
    if block.language in ("sh", "python", "js", "go")
    and HOMESERVER in block.text
    and "token_hash" in block.text
]


def test_there_are_examples_in_these_languages() -> None:
    assert {block.language for block in EXAMPLES} == {"sh", "python", "js", "go"}


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_logs_in(modules: Deployment, tmp_path: Path, example: Block) -> None:
    account = modules.new_account()
    replaced = {HOMESERVER: modules.synapse.url, USER_ID: account.user_id}
    if LOGIN_SECRET in example.text:
        replaced[LOGIN_SECRET] = account.login_secret
    since = modules.synapse.log_size()
    printed = run_example(example, modules.openbao, tmp_path, replaced).strip()
    # The README's shows the whole answer.
    access_token = json.loads(printed)["access_token"] if printed.startswith("{") else printed
    assert whoami(modules, access_token) == account.user_id
    lines = [record.message for record in modules.synapse.log_records(since)]
    assert any(line.startswith(f"Login of '{account.user_id}': ok: ") for line in lines)


@pytest.mark.parametrize(
    "example", [example for example in EXAMPLES if LOGIN_SECRET not in example.text], ids=str
)
def test_an_example_that_gets_no_secret_sends_nothing(
    modules: Deployment, tmp_path: Path, example: Block
) -> None:
    user_id = modules.new_user()
    replaced = {HOMESERVER: modules.synapse.url, USER_ID: user_id}
    since = modules.synapse.log_size()
    # As in a terminal: without options of the shell that would stop it anyway.
    ended = try_example(example, modules.openbao, tmp_path, replaced, options=())
    assert ended.returncode != 0
    assert ended.stdout == ""
    messages = [record.message for record in modules.synapse.log_records(since)]
    assert not any("/_matrix/client/v3/login" in message for message in messages)


@pytest.mark.parametrize(
    "example", [example for example in EXAMPLES if "errcode" in example.text], ids=str
)
def test_an_example_shows_why_it_was_refused(
    modules: Deployment, tmp_path: Path, example: Block
) -> None:
    account = modules.new_account()
    as_admin(modules, "POST", f"v1/deactivate/{account.user_id}", {})
    replaced = {HOMESERVER: modules.synapse.url, USER_ID: account.user_id}
    if LOGIN_SECRET in example.text:
        replaced[LOGIN_SECRET] = account.login_secret
    ended = try_example(example, modules.openbao, tmp_path, replaced)
    assert ended.returncode != 0
    assert "M_USER_DEACTIVATED" in ended.stderr


def shown(section: str) -> list[Any]:
    """Return the JSON in a section of the page."""
    before, heading, below = PAGE.read_text().partition(f"\n## {section}\n")
    assert heading
    first = before.count("\n") + 1
    last = first + below.partition("\n## ")[0].count("\n")
    return [
        json.loads(block.text)
        for block in blocks(PAGE)
        if block.language == "json" and first < block.line <= last
    ]


def test_the_request_on_the_page_is_answered_as_on_the_page(modules: Deployment) -> None:
    flows, request = shown("The request")
    assert {flow["type"] for flow in flows["flows"]} <= set(modules.synapse.login_flows())
    (answer,) = shown("The answers")
    account = modules.new_account()
    request["identifier"]["user"] = account.user_id
    attempt = modules.post_login({**request, "token_hash": account.token_hash})
    attempt.check_accepted(account.user_id)
    assert set(attempt.response.json()) == set(answer)
    assert attempt.response.json()["device_id"] == request["device_id"] == answer["device_id"]


def test_reauthentication_goes_as_on_the_page(modules: Deployment) -> None:
    challenge, request = shown("Re-authentication")
    account = modules.new_account()
    login = modules.log_in(account.user_id, account.token_hash).response.json()
    url = f"{modules.synapse.url}/_matrix/client/v3/delete_devices"
    headers = {"Authorization": f"Bearer {login['access_token']}"}
    asked = requests.post(url, json={"devices": request["devices"]}, headers=headers, timeout=60)
    assert asked.status_code == 401
    assert set(asked.json()) == set(challenge)
    assert challenge["flows"][0] in asked.json()["flows"]
    request["auth"]["session"] = asked.json()["session"]
    request["auth"]["identifier"]["user"] = account.user_id
    for presented, status in (("0" * 64, 401), (account.token_hash, 200)):
        request["auth"]["token_hash"] = presented
        answer = requests.post(url, json=request, headers=headers, timeout=60)
        assert answer.status_code == status
        assert answer.json().get("errcode") == ("M_FORBIDDEN" if status == 401 else None)


def accepted(it: Deployment) -> list[requests.Response]:
    account = it.new_account()
    return [it.log_in(account.user_id, account.token_hash).response]


def unknown(it: Deployment) -> list[requests.Response]:
    identifier = {"type": "m.id.user", "user": "alice"}
    return [
        it.post_login(body).response
        for body in (
            {"type": LOGIN_TYPE, "identifier": identifier},
            {"identifier": identifier, "token_hash": "0" * 64},
            {"type": "io.t2bot.none", "identifier": identifier, "token_hash": "0" * 64},
        )
    ]


def not_json(it: Deployment) -> list[requests.Response]:
    url = f"{it.synapse.url}/_matrix/client/v3/login"
    return [requests.post(url, data="{", timeout=60)]


def locked(it: Deployment) -> list[requests.Response]:
    account = it.new_account()
    as_admin(it, "PUT", f"v2/users/{account.user_id}", {"locked": True})
    return [it.log_in(account.user_id, account.token_hash).response]


def deactivated(it: Deployment) -> list[requests.Response]:
    account = it.new_account()
    as_admin(it, "POST", f"v1/deactivate/{account.user_id}", {})
    return [it.log_in(account.user_id, account.token_hash).response]


SCENARIOS: dict[tuple[str, str], Callable[[Deployment], list[requests.Response]]] = {
    ("200", ""): accepted,
    ("400", "M_UNKNOWN"): unknown,
    ("400", "M_INVALID_PARAM"): lambda it: [
        it.post_login({"type": LOGIN_TYPE, "token_hash": "0" * 64}).response
    ],
    ("400", "M_NOT_JSON"): not_json,
    ("401", "M_USER_LOCKED"): locked,
    ("403", "M_FORBIDDEN"): lambda it: [it.log_in(it.new_user(), "0" * 64).response],
    ("403", "M_USER_DEACTIVATED"): deactivated,
}

ELSEWHERE = {("429", "M_LIMIT_EXCEEDED")}
"""What only a homeserver with limits answers; see below."""


def documented_answers() -> list[tuple[str, str]]:
    return [
        (row["Status"], "".join(code(row["`errcode`"]))) for row in rows(PAGE.name, "The answers")
    ]


SINCE = {("401", "M_USER_LOCKED"): (1, 134)}
"""Answers that Synapse gives only from a version on."""


def test_every_answer_on_the_page_is_tried() -> None:
    assert set(documented_answers()) == set(SCENARIOS) | ELSEWHERE


@pytest.mark.parametrize(("status", "errcode"), SCENARIOS)
def test_the_answer_is_what_the_page_says(modules: Deployment, status: str, errcode: str) -> None:
    if SINCE.get((status, errcode), (0,)) > SYNAPSE_VERSION:
        pytest.skip("this Synapse does not answer so yet")
    for answer in SCENARIOS[status, errcode](modules):
        assert answer.status_code == int(status)
        assert answer.json().get("errcode", "") == errcode


def test_the_limits_are_those_that_the_page_tells(
    start_homeserver: Callable[..., Deployment],
) -> None:
    synapse = start_homeserver("limited", homeserver_yaml={"rc_login": {}}).synapse
    user_id = synapse.register("limited")
    wrong = token_hash("a guess", user_id)
    answers = [synapse.login(user_id, wrong) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [403, 403, 403, 429]
    assert answers[-1].json()["errcode"] == "M_LIMIT_EXCEEDED"
    assert answers[-1].json()["retry_after_ms"] <= 1000 / 0.17
    assert "Retry-After" in answers[-1].headers or SYNAPSE_VERSION < (1, 103)
    # A fifth from the address, whoever the user is, and then none for minutes.
    assert synapse.login("somebody", wrong).status_code == 403
    refused = synapse.login("somebody", wrong)
    assert refused.status_code == 429
    assert 60_000 < refused.json()["retry_after_ms"] <= 1000 / 0.003


@pytest.fixture(scope="module")
def strict(file_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Return a homeserver that wants approval of accounts and consent of their users."""
    directory = tmp_path_factory.mktemp("strict")
    settings = {
        "public_baseurl": HOMESERVER,
        "experimental_features": {
            "msc3866": {"enabled": True, "require_approval_for_new_accounts": True}
        },
        "user_consent": {
            "template_dir": str(directory),
            "version": "1.0",
            "block_events_error": "agree at %(consent_uri)s",
        },
    }
    return file_stack.start_homeserver("strict", homeserver_yaml=settings)


def later_requests(it: Deployment, account: Account) -> dict[str, requests.Response]:
    """Log in, and return what the session is answered."""
    attempt = it.log_in(account.user_id, account.token_hash)
    attempt.check_accepted(account.user_id)
    headers = {"Authorization": f"Bearer {attempt.response.json()['access_token']}"}
    client = f"{it.synapse.url}/_matrix/client/v3"
    name = f"{client}/profile/{account.user_id}/displayname"
    return {
        "room": requests.post(f"{client}/createRoom", json={}, headers=headers, timeout=60),
        "name": requests.put(name, json={"displayname": "A"}, headers=headers, timeout=60),
    }


def test_an_account_without_consent_logs_in_and_makes_no_room(strict: Deployment) -> None:
    account = strict.new_account()
    answer = later_requests(strict, account)["room"]
    assert (answer.status_code, answer.json()["errcode"]) == (403, "M_CONSENT_NOT_GIVEN")
    assert answer.json()["consent_uri"]
    as_admin(strict, "PUT", f"v2/users/{account.user_id}", {"user_type": "bot"})
    assert later_requests(strict, account)["room"].ok


def test_a_suspended_account_logs_in_and_keeps_its_profile(modules: Deployment) -> None:
    account = modules.new_account()
    assert later_requests(modules, account)["name"].ok
    try:
        as_admin(modules, "PUT", f"v1/suspend/{account.user_id}", {"suspend": True})
    except requests.HTTPError as error:
        if error.response.status_code != 404:
            raise
        pytest.skip("this Synapse suspends nobody")
    answer = later_requests(modules, account)["name"]
    assert (answer.status_code, answer.json()["errcode"]) == (403, "M_USER_SUSPENDED")


def test_an_account_that_awaits_approval_is_refused_after_a_right_hash(strict: Deployment) -> None:
    account = strict.new_account()
    as_admin(strict, "PUT", f"v2/users/{account.user_id}", {"approved": False})
    attempt = strict.log_in(account.user_id, account.token_hash)
    errcode = "ORG.MATRIX.MSC3866_USER_AWAITING_APPROVAL"
    assert (attempt.response.status_code, attempt.response.json()["errcode"]) == (403, errcode)
    assert attempt.outcome == "ok"


def test_a_device_id_that_is_too_long_is_refused_after_a_right_hash(modules: Deployment) -> None:
    account = modules.new_account()
    attempt = modules.log_in(account.user_id, account.token_hash, device_id="D" * 513)
    errcode = "M_INVALID_PARAM"
    assert (attempt.response.status_code, attempt.response.json()["errcode"]) == (400, errcode)
    assert attempt.outcome == "ok"


def test_a_full_homeserver_refuses_after_a_right_hash(
    start_homeserver: Callable[..., Deployment],
) -> None:
    limit = {"limit_usage_by_mau": True, "max_mau_value": 0}
    full = start_homeserver("full", homeserver_yaml=limit)
    account = full.new_account()
    attempt = full.log_in(account.user_id, account.token_hash)
    errcode = "M_RESOURCE_LIMIT_EXCEEDED"
    assert (attempt.response.status_code, attempt.response.json()["errcode"]) == (403, errcode)
    assert attempt.outcome == "ok"
