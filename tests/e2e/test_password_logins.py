"""Clients that only know passwords, and present a token hash as one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import nio
import pytest
import requests

from tests.harness.accounts import PATH_ROOT
from tests.harness.deployment import LOGIN_TYPE
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from tests.harness.accounts import Account
    from tests.harness.deployment import Attempt, Deployment

PASSWORD = "m.login.password"


@pytest.fixture(params=["equipped", "passwordless"])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Return a homeserver with passwords of its own, and one without."""
    found: Deployment = request.getfixturevalue(request.param)
    return found


def log_in(deployment: Deployment, user: str, password: object) -> Attempt:
    identifier = {"type": "m.id.user", "user": user}
    return deployment.post_login({"type": PASSWORD, "identifier": identifier, "password": password})


def check_ignored(attempt: Attempt) -> None:
    """Fail unless the homeserver alone refused the login, and we said nothing."""
    assert attempt.response.status_code == 403
    assert attempt.lines == []


def test_both_types_are_offered_once(deployment: Deployment) -> None:
    flows = deployment.synapse.login_flows()
    assert (flows.count(LOGIN_TYPE), flows.count(PASSWORD)) == (1, 1)


def test_the_right_hash_is_a_password(deployment: Deployment) -> None:
    account = deployment.new_account()
    for user in (account.user_id, account.localpart, account.localpart.upper()):
        for password in (account.token_hash, account.token_hash.upper()):
            attempt = log_in(deployment, user, password)
            attempt.check_accepted(account.user_id)
            assert attempt.line.message.endswith(", as a password]")
    deployment.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)


def test_a_wrong_hash_is_refused_and_logged(deployment: Deployment) -> None:
    account = deployment.new_account()
    for user, outcome in (
        (account.user_id, "bad_hash"),
        (deployment.new_user(), "no_secret"),
        ("@alice:evil.org", "foreign_user"),
        ("@a/../b:example.org", "unsafe_user_id"),
    ):
        log_in(deployment, user, "0" * 64).check_refused(outcome)


def test_what_is_no_hash_is_none_of_our_business(deployment: Deployment) -> None:
    account = deployment.new_account()
    since = deployment.openbao.audit_size()
    for password in (
        account.login_secret,
        "correct horse",
        account.token_hash[1:],
        account.token_hash + "0",
        account.token_hash + "\n",
        account.token_hash[:-1] + "g",
        "\uff10" * 64,
    ):
        check_ignored(log_in(deployment, account.user_id, password))
    path = f"secret/data/{PATH_ROOT}/{account.user_id}"
    assert deployment.openbao.audited(path, since) == []


@pytest.mark.parametrize("password", [None, 5, [], {}], ids=str)
def test_what_is_no_string_is_the_homeservers_to_refuse(
    deployment: Deployment, password: object
) -> None:
    attempt = log_in(deployment, deployment.new_user(), password)
    assert attempt.response.status_code == 400
    assert attempt.lines == []


def test_a_password_of_the_homeserver_works_beside_the_hash(equipped: Deployment) -> None:
    account = equipped.account(f"@equipped-of-two-worlds:{SERVER_NAME}")
    equipped.synapse.register(account.localpart, "correct horse")
    equipped.put_secret(account.user_id)
    attempt = log_in(equipped, account.user_id, "correct horse")
    assert attempt.response.status_code == 200
    assert attempt.lines == []
    log_in(equipped, account.user_id, account.token_hash).check_accepted(account.user_id)
    check_ignored(log_in(equipped, account.user_id, "wrong horse"))


def test_a_password_of_the_homeserver_may_look_like_a_hash(equipped: Deployment) -> None:
    password = equipped.confidential.add("f00d" * 16)
    user_id = equipped.synapse.register("equipped-hexadecimal", password)
    attempt = log_in(equipped, user_id, password)
    assert attempt.response.status_code == 200
    assert attempt.outcome == "no_secret"


def test_without_passwords_of_its_own_the_homeserver_takes_the_hash_alone(
    passwordless: Deployment,
) -> None:
    user_id = passwordless.synapse.register("passwordless-of-two-worlds", "correct horse")
    check_ignored(log_in(passwordless, user_id, "correct horse"))
    account = passwordless.put_secret(user_id)
    log_in(passwordless, user_id, account.token_hash).check_accepted(user_id)


def test_unless_configured_a_hash_is_no_password(modules: Deployment) -> None:
    account = modules.new_account()
    check_ignored(log_in(modules, account.user_id, account.token_hash))


def delete_device(
    deployment: Deployment, access_token: str, auth: dict[str, Any] | None
) -> requests.Response:
    return requests.post(
        f"{deployment.synapse.url}/_matrix/client/v3/delete_devices",
        json={"devices": ["DOOMED"], **({"auth": auth} if auth else {})},
        headers={"Authorization": f"Bearer {access_token}"},
        timeout=60,
    )


def authenticate_again(deployment: Deployment, account: Account, password: str) -> int:
    """Log in with the hash, prove it again with a password, and return the status of that."""
    logged_in = log_in(deployment, account.user_id, account.token_hash).response.json()
    asked = delete_device(deployment, logged_in["access_token"], None)
    assert asked.status_code == 401
    assert {"stages": [PASSWORD]} in asked.json()["flows"]
    auth = {
        "type": PASSWORD,
        "session": asked.json()["session"],
        "identifier": {"type": "m.id.user", "user": account.user_id},
        "password": password,
    }
    return delete_device(deployment, logged_in["access_token"], auth).status_code


def test_the_hash_proves_who_one_is_where_a_password_is_asked_for_again(
    deployment: Deployment,
) -> None:
    account, other = deployment.new_account(), deployment.new_account()
    assert authenticate_again(deployment, account, account.token_hash) == 200
    for wrong in ("0" * 64, account.login_secret, other.token_hash, ""):
        assert authenticate_again(deployment, account, wrong) == 401


def test_a_client_that_knows_nothing_of_the_module_logs_in(deployment: Deployment) -> None:
    account = deployment.new_account()

    async def use() -> None:
        client = nio.AsyncClient(deployment.synapse.url, account.user_id)
        try:
            login = await client.login(account.token_hash)
            assert isinstance(login, nio.LoginResponse), login
            assert isinstance(await client.sync(timeout=0), nio.SyncResponse)
        finally:
            await client.close()

    asyncio.run(use())
