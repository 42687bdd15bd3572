"""What the entry in Vault must be like to open an account."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.harness.deployment import Deployment


def kv(deployment: Deployment, command: str, user_id: str, *options: str) -> None:
    """Run a command of `bao kv` on a user's entry."""
    deployment.openbao.cli(
        "kv", *command.split(), "-mount=secret", *options, f"matrix/users/{user_id}"
    )


@pytest.mark.parametrize(
    "secret",
    [
        " ",
        "0",
        "null",
        "with a newline\n",
        "\ttab and NUL\0",
        "64 bytes and more are hashed first " * 9,
        "unicode ü 日本 🔑 e\u0301",
        '{"login_secret": "nested"}',
        "k" * 500_000,
    ],
    ids=lambda secret: ascii(secret[:20]),
)
def test_a_secret_may_be_any_text_and_counts_to_the_letter(
    deployment: Deployment, secret: str
) -> None:
    account = deployment.new_account(secret)
    deployment.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)
    trimmed = deployment.token_hash(secret.strip(), account.user_id)
    if trimmed != account.token_hash:
        deployment.log_in(account.user_id, trimmed).check_refused("bad_hash")


@pytest.mark.parametrize(
    "data",
    [
        {"login_secret": ""},
        {},
        {"login_secrets": "x"},
        {"Login_Secret": "x"},
        {"login_secret": None},
        {"login_secret": 5},
        {"login_secret": 1.5},
        {"login_secret": True},
        {"login_secret": False},
        {"login_secret": []},
        {"login_secret": ["x"]},
        {"login_secret": {}},
        {"login_secret": {"login_secret": "x"}},
        {"data": {"login_secret": "x"}},
    ],
    ids=json.dumps,
)
def test_an_entry_without_a_text_as_secret_lets_nobody_in(
    deployment: Deployment, data: dict[str, Any]
) -> None:
    user_id = deployment.new_user()
    deployment.put(user_id, data)
    value = data.get("login_secret", "")
    for key in ("", "x", str(value), json.dumps(value), repr(value)):
        attempt = deployment.log_in(user_id, deployment.token_hash(key, user_id))
        attempt.check_refused("unusable_secret")


def test_fields_beside_the_secret_change_nothing(deployment: Deployment) -> None:
    account = deployment.account(deployment.new_user())
    data: dict[str, Any] = {
        "display_name": "Ünï",
        "": None,
        "n": 1e300,
        "list": [[]],
        "secret": "",
        "data": {},
    }
    deployment.put(account.user_id, {**data, "login_secret": account.login_secret})
    deployment.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)


def test_metadata_and_an_expiry_to_come_change_nothing(deployment: Deployment) -> None:
    account = deployment.new_account()
    kv(
        deployment,
        "metadata put",
        account.user_id,
        "-custom-metadata=owner=me",
        "-delete-version-after=24h",
    )
    deployment.put(account.user_id, {"login_secret": account.login_secret})
    deployment.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)


def test_a_user_without_an_entry_is_refused(deployment: Deployment) -> None:
    user_id = deployment.new_user()
    for key in ("", "x"):
        token_hash = deployment.token_hash(key, user_id)
        deployment.log_in(user_id, token_hash).check_refused("no_secret")


def test_a_folder_of_the_users_name_is_no_entry(deployment: Deployment) -> None:
    user_id = deployment.new_user()
    deployment.openbao.write(f"matrix/users/{user_id}/below", {"login_secret": "x"})
    attempt = deployment.log_in(user_id, deployment.token_hash("x", user_id))
    attempt.check_refused("no_secret")


def test_a_new_secret_replaces_the_old_one_at_once(deployment: Deployment) -> None:
    old = deployment.new_account()
    deployment.log_in(old.user_id, old.token_hash).check_accepted(old.user_id)
    new = deployment.put_secret(old.user_id, old.login_secret + " rotated")
    deployment.log_in(old.user_id, old.token_hash).check_refused("bad_hash")
    deployment.log_in(new.user_id, new.token_hash).check_accepted(new.user_id)
    deployment.put(old.user_id, {"login_secret": ""})
    for account in (old, new):
        deployment.log_in(account.user_id, account.token_hash).check_refused("unusable_secret")


def test_a_deleted_secret_opens_nothing_until_it_is_undeleted(deployment: Deployment) -> None:
    account = deployment.new_account()
    kv(deployment, "delete", account.user_id)
    deployment.log_in(account.user_id, account.token_hash).check_refused("no_secret")
    empty = deployment.token_hash("", account.user_id)
    deployment.log_in(account.user_id, empty).check_refused("no_secret")
    kv(deployment, "undelete", account.user_id, "-versions=1")
    deployment.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)


def test_a_deleted_secret_does_not_bring_back_the_one_before(deployment: Deployment) -> None:
    old = deployment.new_account()
    new = deployment.put_secret(old.user_id, old.login_secret + " rotated")
    kv(deployment, "delete", old.user_id)
    for account in (old, new):
        deployment.log_in(account.user_id, account.token_hash).check_refused("no_secret")


def test_a_destroyed_secret_opens_nothing(deployment: Deployment) -> None:
    account = deployment.new_account()
    kv(deployment, "destroy", account.user_id, "-versions=1")
    deployment.log_in(account.user_id, account.token_hash).check_refused("no_secret")
    empty = deployment.token_hash("", account.user_id)
    deployment.log_in(account.user_id, empty).check_refused("no_secret")
    again = deployment.put_secret(account.user_id)
    deployment.log_in(again.user_id, again.token_hash).check_accepted(again.user_id)


def test_a_destroyed_older_version_does_not_matter(deployment: Deployment) -> None:
    old = deployment.new_account()
    new = deployment.put_secret(old.user_id, old.login_secret + " rotated")
    kv(deployment, "destroy", old.user_id, "-versions=1")
    deployment.log_in(new.user_id, new.token_hash).check_accepted(new.user_id)


def test_an_entry_removed_with_all_its_versions_opens_nothing(deployment: Deployment) -> None:
    account = deployment.new_account()
    kv(deployment, "metadata delete", account.user_id)
    deployment.log_in(account.user_id, account.token_hash).check_refused("no_secret")
    again = deployment.put_secret(account.user_id)
    deployment.log_in(again.user_id, again.token_hash).check_accepted(again.user_id)
