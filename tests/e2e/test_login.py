"""Who gets in, and with what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.harness.deployment import LOGIN_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.deployment import Deployment


def whoami(deployment: Deployment, access_token: str) -> str:
    response = requests.get(
        f"{deployment.synapse.url}/_matrix/client/v3/account/whoami",
        headers={"Authorization": f"Bearer {access_token}"},
        timeout=60,
    )
    user_id: str = response.json()["user_id"]
    return user_id


@pytest.mark.parametrize("version", ["r0", "v3"])
def test_the_login_type_is_offered(deployment: Deployment, version: str) -> None:
    assert deployment.synapse.login_flows(version).count(LOGIN_TYPE) == 1


@pytest.mark.parametrize(
    "spelling",
    [
        lambda account: account.user_id,
        lambda account: account.localpart,
        lambda account: account.user_id.replace(account.localpart, account.localpart.upper()),
        lambda account: account.localpart.upper(),
        lambda account: account.localpart.title(),
    ],
    ids=["id", "localpart", "ID", "LOCALPART", "Localpart"],
)
def test_the_right_hash_logs_in_as_the_canonical_user(
    deployment: Deployment, spelling: Callable[[Any], str]
) -> None:
    account = deployment.new_account()
    attempt = deployment.log_in(spelling(account), account.token_hash)
    attempt.check_accepted(account.user_id)
    assert whoami(deployment, attempt.response.json()["access_token"]) == account.user_id


@pytest.mark.parametrize("version", ["r0", "v3"])
def test_both_versions_of_the_api_log_in(deployment: Deployment, version: str) -> None:
    account = deployment.new_account()
    body = {
        "type": LOGIN_TYPE,
        "identifier": {"type": "m.id.user", "user": account.localpart},
        "token_hash": account.token_hash,
    }
    deployment.post_login(body, version).check_accepted(account.user_id)


def test_the_user_field_of_2018_still_works(deployment: Deployment) -> None:
    account = deployment.new_account()
    body = {"type": LOGIN_TYPE, "user": account.localpart, "token_hash": account.token_hash}
    deployment.post_login(body).check_accepted(account.user_id)


def test_the_hash_may_be_in_upper_case(deployment: Deployment) -> None:
    account = deployment.new_account()
    for token_hash in (account.token_hash.upper(), account.token_hash.title()):
        assert token_hash != account.token_hash
        deployment.log_in(account.user_id, token_hash).check_accepted(account.user_id)


def test_a_hash_logs_in_more_than_once_and_keeps_the_devices_apart(deployment: Deployment) -> None:
    account = deployment.new_account()
    devices = []
    for device_id in ("ONE", "TWO", "ONE"):
        attempt = deployment.log_in(account.user_id, account.token_hash, device_id=device_id)
        attempt.check_accepted(account.user_id)
        devices.append(attempt.response.json()["device_id"])
    assert devices == ["ONE", "TWO", "ONE"]


def test_fields_that_others_use_change_nothing(deployment: Deployment) -> None:
    account = deployment.new_account()
    fields: dict[str, Any] = {"password": "x", "token": None, "login_secret": [], "": {"a": "b"}}
    deployment.log_in(account.user_id, account.token_hash, **fields).check_accepted(account.user_id)
    deployment.log_in(account.user_id, "0" * 64, **fields).check_refused("bad_hash")


def test_a_hash_with_another_secret_is_refused(deployment: Deployment) -> None:
    account = deployment.new_account()
    for secret in ("another", account.login_secret.upper(), account.login_secret + "\n", " "):
        wrong = deployment.token_hash(secret, account.user_id)
        deployment.log_in(account.user_id, wrong).check_refused("bad_hash")


def test_a_hash_with_one_wrong_digit_is_refused(deployment: Deployment) -> None:
    account = deployment.new_account()
    right = account.token_hash
    for at in (0, 31, 32, 63):
        digit = "0" if right[at] != "0" else "1"
        wrong = deployment.confidential.add(right[:at] + digit + right[at + 1 :])
        deployment.log_in(account.user_id, wrong).check_refused("bad_hash")


def test_a_hash_with_the_empty_key_is_refused(deployment: Deployment) -> None:
    account = deployment.new_account()
    empty = deployment.token_hash("", account.user_id)
    deployment.log_in(account.user_id, empty).check_refused("bad_hash")


def test_a_user_with_the_same_secret_cannot_use_anothers_hash(deployment: Deployment) -> None:
    one = deployment.new_account("a secret that two users share")
    other = deployment.new_account("a secret that two users share")
    deployment.log_in(one.user_id, other.token_hash).check_refused("bad_hash")
    deployment.log_in(other.user_id, one.token_hash).check_refused("bad_hash")
    deployment.log_in(one.user_id, one.token_hash).check_accepted(one.user_id)


def test_a_hash_of_anything_but_the_canonical_id_is_refused(deployment: Deployment) -> None:
    account = deployment.new_account()
    shouted = account.user_id.replace(account.localpart, account.localpart.upper())
    for user in (account.localpart, shouted, account.user_id[1:], account.user_id + "\n", ""):
        wrong = deployment.token_hash(account.login_secret, user)
        deployment.log_in(account.user_id, wrong).check_refused("bad_hash")
        deployment.log_in(shouted, wrong).check_refused("bad_hash")


MALFORMED: dict[str, Callable[[str], object]] = {
    "null": lambda _: None,
    "true": lambda _: True,
    "false": lambda _: False,
    "zero": lambda _: 0,
    "five": lambda _: 5,
    "fraction": lambda _: 1.5,
    "number with the digits": lambda right: int(right, 16),
    "empty list": lambda _: [],
    "list": lambda right: [right],
    "list of digits": list,
    "list of bytes": lambda right: list(bytes.fromhex(right)),
    "empty mapping": lambda _: {},
    "mapping": lambda right: {"token_hash": right},
    "empty": lambda _: "",
    "63 digits": lambda right: right[1:],
    "65 digits": lambda right: right + "0",
    "twice": lambda right: right * 2,
    "not hex": lambda right: right[:-1] + "g",
    "0x": lambda right: "0x" + right[2:],
    "sign": lambda right: "+" + right[1:],
    "newline after it": lambda right: right + "\n",
    "newline before it": lambda right: "\n" + right,
    "newline for a digit": lambda right: right[:-1] + "\n",
    "space around it": lambda right: f" {right} ",
    "space in it": lambda right: right[:32] + " " + right[32:],
    "NUL after it": lambda right: right + "\0",
    "full-width digits": lambda right: "".join(chr(ord(c) + 0xFEE0) for c in right),
    "Arabic digits": lambda _: "\u0660" * 64,
    "64 bytes of letters": lambda _: "é" * 32,
    "lone surrogate": lambda right: right[:-1] + "\ud800",
    "base64": lambda _: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "a megabyte": lambda right: right * 16384,
}


@pytest.mark.parametrize("form", MALFORMED)
def test_what_is_no_string_of_64_hex_digits_is_refused(deployment: Deployment, form: str) -> None:
    account = deployment.new_account()
    token_hash = MALFORMED[form](account.token_hash)
    deployment.log_in(account.user_id, token_hash).check_refused("malformed_hash")


def test_without_a_hash_the_homeserver_itself_refuses(deployment: Deployment) -> None:
    account = deployment.new_account()
    identifier = {"type": "m.id.user", "user": account.user_id}
    attempt = deployment.post_login({"type": LOGIN_TYPE, "identifier": identifier})
    assert attempt.response.status_code == 400
    assert attempt.lines == []


def test_an_unknown_user_is_refused_though_there_is_a_secret(deployment: Deployment) -> None:
    account = deployment.put_secret(f"@nobody-{deployment.name}:example.org")
    deployment.log_in(account.user_id, account.token_hash).check_refused("unknown_user")
    deployment.log_in(account.localpart, account.token_hash).check_refused("unknown_user")


@pytest.mark.parametrize(
    "server",
    ["evil.org", "example.org.evil.org", "example.org:8448", "EXAMPLE.ORG", "x:example.org", " "],
)
def test_users_of_other_servers_are_refused(deployment: Deployment, server: str) -> None:
    local = deployment.new_account()
    foreign = deployment.historic_account(f"@{local.localpart}:{server}", local.login_secret)
    deployment.log_in(foreign.user_id, foreign.token_hash).check_refused("foreign_user")
    deployment.log_in(foreign.user_id, local.token_hash).check_refused("foreign_user")


def test_of_two_users_that_differ_in_case_each_gets_in_as_themselves(
    deployment: Deployment,
) -> None:
    name = deployment.name
    upper = deployment.historic_account(f"@{name}-Bob:example.org")
    lower = deployment.historic_account(f"@{name}-bob:example.org")
    for account, other in ((upper, lower), (lower, upper)):
        deployment.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)
        deployment.log_in(account.localpart, account.token_hash).check_accepted(account.user_id)
        deployment.log_in(account.user_id, other.token_hash).check_refused("bad_hash")
        crossed = deployment.token_hash(other.login_secret, account.user_id)
        deployment.log_in(account.user_id, crossed).check_refused("bad_hash")


def test_an_id_that_could_be_either_of_two_users_is_refused(deployment: Deployment) -> None:
    name = deployment.name
    upper = deployment.historic_account(f"@{name}-Eve:example.org")
    lower = deployment.historic_account(f"@{name}-eve:example.org")
    for account in (upper, lower, deployment.put_secret(f"@{name}-EVE:example.org")):
        attempt = deployment.log_in(f"@{name}-EVE:example.org", account.token_hash)
        attempt.check_refused("unknown_user")
