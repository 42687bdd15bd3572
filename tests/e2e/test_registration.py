"""Accounts that their first login creates."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.harness.accounts import Account
from tests.harness.deployment import LOGGER, Deployment
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.deployment import Attempt

PASSWORD = "m.login.password"

_numbers = itertools.count(1)


@pytest.fixture(params=["equipped", "passwordless"])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Return homeservers that register, and name the module in either way."""
    found: Deployment = request.getfixturevalue(request.param)
    return found


def newcomer(deployment: Deployment, **fields: Any) -> Account:
    """Give somebody a secret who has no account; `fields` go beside it."""
    account = deployment.account(f"@newcomer-{next(_numbers)}:{SERVER_NAME}")
    deployment.put(account.user_id, {"login_secret": account.login_secret, **fields})
    return account


def check_registered(attempt: Attempt, account: Account) -> None:
    """Fail unless the login created the account and opened it."""
    assert attempt.response.status_code == 200, f"{attempt.response.text}: {attempt.lines}"
    assert attempt.response.json()["user_id"] == account.user_id
    assert (attempt.outcome, attempt.line.level) == ("registered", "INFO")


def profile(deployment: Deployment, user_id: str) -> requests.Response:
    return requests.get(f"{deployment.synapse.url}/_matrix/client/v3/profile/{user_id}", timeout=60)


def exists(deployment: Deployment, user_id: str) -> bool:
    return profile(deployment, user_id).status_code == 200


def test_the_first_login_registers_and_the_next_does_not(deployment: Deployment) -> None:
    account = newcomer(deployment)
    assert not exists(deployment, account.user_id)
    check_registered(deployment.log_in(account.user_id, account.token_hash), account)
    assert profile(deployment, account.user_id).json() == {"displayname": account.localpart}
    deployment.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)


def test_the_localpart_alone_and_a_password_do_so_too(deployment: Deployment) -> None:
    account = newcomer(deployment)
    check_registered(deployment.log_in(account.localpart, account.token_hash), account)
    account = newcomer(deployment)
    identifier = {"type": "m.id.user", "user": account.user_id}
    attempt = deployment.post_login(
        {"type": PASSWORD, "identifier": identifier, "password": account.token_hash}
    )
    check_registered(attempt, account)


@pytest.mark.parametrize(
    ("display_name", "shown"),
    [
        ("Alice in Wonderland", "Alice in Wonderland"),
        ("  Älice\n\0 🐇 ", "Älice 🐇"),
        ("x" * 300, "x" * 256),
        ("", None),
        (5, None),
        (["Alice"], None),
        (None, None),
    ],
    ids=lambda value: str(value)[:12],
)
def test_the_entry_says_what_the_account_is_called(
    equipped: Deployment, display_name: object, shown: str | None
) -> None:
    account = newcomer(equipped, display_name=display_name)
    check_registered(equipped.log_in(account.user_id, account.token_hash), account)
    name = profile(equipped, account.user_id).json()["displayname"]
    assert name == (shown or account.localpart)


def test_whoever_does_not_know_the_secret_registers_nobody(deployment: Deployment) -> None:
    account = newcomer(deployment)
    for wrong in ("0" * 64, newcomer(deployment).token_hash):
        deployment.log_in(account.user_id, wrong).check_refused("unknown_user")
    empty = deployment.token_hash("", account.user_id)
    for entry in ({"login_secret": ""}, {"login_secret": 5}, {"display_name": "Alice"}):
        deployment.put(account.user_id, entry)
        deployment.log_in(account.user_id, empty).check_refused("unknown_user")
        deployment.log_in(account.user_id, account.token_hash).check_refused("unknown_user")
    nobody = deployment.account(f"@newcomer-without-an-entry:{SERVER_NAME}")
    deployment.log_in(nobody.user_id, nobody.token_hash).check_refused("unknown_user")
    assert not exists(deployment, account.user_id)
    assert not exists(deployment, nobody.user_id)


def test_nobody_of_another_server_is_registered(deployment: Deployment) -> None:
    account = deployment.put_secret("@newcomer:evil.org")
    deployment.log_in(account.user_id, account.token_hash).check_refused("foreign_user")


@pytest.mark.parametrize(
    ("localpart", "reason"),
    [
        ("Newcomer", "letters a to z"),
        ("new comer", "letters a to z"),
        ("newcömer", "letters a to z"),
        ("_newcomer", "M_INVALID_USERNAME"),
        ("12345", "M_INVALID_USERNAME"),
        ("bridge_newcomer", "M_EXCLUSIVE"),
    ],
)
def test_what_the_homeserver_does_not_want_is_refused_as_such(
    equipped: Deployment, localpart: str, reason: str
) -> None:
    account = equipped.put_secret(f"@{localpart}:{SERVER_NAME}")
    attempt = equipped.log_in(account.user_id, account.token_hash)
    attempt.check_refused("registration_refused")
    assert attempt.line.level == "WARNING"
    assert reason in attempt.line.message
    assert f"secret/matrix/users/{account.user_id}" in attempt.line.message
    assert not exists(equipped, account.user_id)


def test_of_a_name_in_two_cases_a_third_is_not_made(equipped: Deployment) -> None:
    equipped.synapse.insert_user(f"@Case-newcomer:{SERVER_NAME}")
    equipped.synapse.insert_user(f"@CASE-newcomer:{SERVER_NAME}")
    account = equipped.put_secret(f"@case-newcomer:{SERVER_NAME}")
    attempt = equipped.log_in(account.user_id, account.token_hash)
    attempt.check_refused("registration_refused")
    assert "M_USER_IN_USE" in attempt.line.message


def test_beyond_the_homeservers_limit_of_users_nobody_is_registered(
    start_homeserver: Callable[..., Deployment],
) -> None:
    full = start_homeserver(
        "full",
        allow_registration=True,
        homeserver_yaml={"limit_usage_by_mau": True, "max_mau_value": 0},
    )
    account = newcomer(full)
    attempt = full.log_in(account.user_id, account.token_hash)
    attempt.check_refused("registration_refused")
    assert "M_RESOURCE_LIMIT_EXCEEDED" in attempt.line.message


def test_unless_configured_nobody_is_registered(modules: Deployment) -> None:
    account = newcomer(modules)
    modules.log_in(account.user_id, account.token_hash).check_refused("unknown_user")
    assert not exists(modules, account.user_id)


def outcomes(lines: list[Any], user_id: str) -> list[str]:
    """Return how the logins of a user ended, in alphabetical order."""
    begin = f"Login of {user_id!r}: "
    messages = [
        line.message.removeprefix(begin)
        for line in lines
        if line.logger == LOGGER and line.message.startswith(begin)
    ]
    return sorted(message.split(":")[0] for message in messages)


def test_of_eight_first_logins_at_once_all_succeed(deployment: Deployment) -> None:
    for _ in range(3):
        account = newcomer(deployment)
        since = deployment.synapse.log_size()
        with ThreadPoolExecutor(8) as pool:
            logins = [
                pool.submit(deployment.synapse.login, account.user_id, account.token_hash)
                for _ in range(8)
            ]
            statuses = [login.result().status_code for login in logins]
        assert statuses == [200] * 8
        lines = deployment.synapse.log_records(since)
        assert outcomes(lines, account.user_id) == ["ok"] * 7 + ["registered"]
