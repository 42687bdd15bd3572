"""What the manual tells administrators to do, and what it says that follows."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.documents import Block, blocks
from tests.harness.accounts import PATH_ROOT
from tests.harness.deployment import LOGIN_TYPE
from tests.harness.documented import run_example
from tests.harness.synapse_admin import admin_token
from tests.pythons import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.accounts import Account
    from tests.harness.deployment import Deployment


def examples(page: str, *contents: str) -> list[Block]:
    """Return the page's examples in shell with all of these in them."""
    return [
        block
        for block in blocks(ROOT / "docs" / page)
        if block.language == "sh" and all(content in block.text for content in contents)
    ]


def log_in(deployment: Deployment, account: Account) -> dict[str, str]:
    response = deployment.log_in(account.user_id, account.token_hash).response
    assert response.status_code == 200
    return {"Authorization": f"Bearer {response.json()['access_token']}"}


def is_logged_in(deployment: Deployment, headers: dict[str, str]) -> bool:
    url = f"{deployment.synapse.url}/_matrix/client/v3/account/whoami"
    return requests.get(url, headers=headers, timeout=60).ok


def password_login(deployment: Deployment, account: Account, password: str) -> int:
    identifier = {"type": "m.id.user", "user": account.user_id}
    body = {"type": "m.login.password", "identifier": identifier, "password": password}
    return deployment.synapse.post_login(body).status_code


def set_password(deployment: Deployment, account: Account, password: str) -> int:
    """Set a local password as somebody can who has the token hash, and nothing else."""
    url = f"{deployment.synapse.url}/_matrix/client/v3/account/password"
    headers = log_in(deployment, account)
    body: dict[str, Any] = {"new_password": password, "logout_devices": False}
    asked = requests.post(url, json=body, headers=headers, timeout=60)
    assert asked.status_code == 401
    body["auth"] = {
        "type": LOGIN_TYPE,
        "session": asked.json()["session"],
        "identifier": {"type": "m.id.user", "user": account.user_id},
        "token_hash": account.token_hash,
    }
    return requests.post(url, json=body, headers=headers, timeout=60).status_code


def test_rotation_goes_as_on_the_page_and_ends_no_session(
    modules: Deployment, tmp_path: Path
) -> None:
    (rotate,) = examples("operations.md", "kv put")
    (destroy,) = examples("operations.md", "kv destroy")
    account = modules.new_account()
    headers = log_in(modules, account)
    user = {"@alice:example.org": account.user_id}
    run_example(rotate, modules.openbao, tmp_path, user)
    modules.log_in(account.user_id, account.token_hash).check_refused("bad_hash")
    path = f"secret/data/{PATH_ROOT}/{account.user_id}"
    secret = modules.openbao.api("GET", path)["data"]["data"]["login_secret"]
    modules.confidential.add(secret)
    assert re.fullmatch(r"[\w-]{43}", secret)
    right = modules.token_hash(secret, account.user_id)
    modules.log_in(account.user_id, right).check_accepted(account.user_id)
    assert is_logged_in(modules, headers)
    run_example(destroy, modules.openbao, tmp_path, {**user, "-versions=3": "-versions=1"})
    metadata = modules.openbao.api("GET", path.replace("data", "metadata", 1))["data"]["versions"]
    assert [metadata[number]["destroyed"] for number in ("1", "2")] == [True, False]
    modules.log_in(account.user_id, right).check_accepted(account.user_id)


def test_a_password_that_a_token_hash_set_outlives_the_secret_until_it_is_reset(
    modules: Deployment, tmp_path: Path
) -> None:
    (reset,) = examples("operations.md", "reset_password")
    account = modules.new_account()
    assert set_password(modules, account, "ThePasswordOfTheThief") == 200
    headers = log_in(modules, account)
    modules.put_secret(account.user_id, f"the secret of {account.user_id} after its rotation")
    assert password_login(modules, account, "ThePasswordOfTheThief") == 200
    assert is_logged_in(modules, headers)
    run_reset(reset, modules, account, tmp_path)
    assert password_login(modules, account, "ThePasswordOfTheThief") == 403
    assert not is_logged_in(modules, headers)


def test_taking_a_bots_password_away_keeps_its_sessions(
    modules: Deployment, tmp_path: Path
) -> None:
    (reset,) = examples("migration.md", "reset_password")
    account = modules.new_account()
    assert set_password(modules, account, "ThePasswordOfTheBot") == 200
    headers = log_in(modules, account)
    run_reset(reset, modules, account, tmp_path)
    assert password_login(modules, account, "ThePasswordOfTheBot") == 403
    assert is_logged_in(modules, headers)
    log_in(modules, account)


def run_reset(example: Block, deployment: Deployment, account: Account, directory: Path) -> None:
    header = f"Authorization: Bearer {admin_token(deployment)}"
    (directory / "admin-header").write_text(header)
    (user_id,) = set(re.findall(r"@\w+:example\.org", example.text))
    replaced = {"http://localhost:8008": deployment.synapse.url, user_id: account.user_id}
    assert run_example(example, deployment.openbao, directory, replaced) == "{}"


def test_the_homeservers_database_holds_no_secret_and_no_hash(modules: Deployment) -> None:
    account = modules.new_account()
    assert set_password(modules, account, "ThePasswordOfTheUser") == 200
    with closing(sqlite3.connect(modules.synapse.directory / "synapse.db", timeout=30)) as database:
        content = "\n".join(database.iterdump())
    assert account.user_id in content
    assert account.token_hash not in content
    assert account.login_secret not in content


@pytest.mark.parametrize("page", ["operations.md", "migration.md"])
def test_no_example_that_changes_something_is_untried(page: str) -> None:
    tried = [*examples(page, "kv put"), *examples(page, "kv destroy"), *examples(page, "reset_p")]
    # What is left only asks.
    left = [block for block in examples(page) if block not in tried]
    assert all(re.fullmatch(r"curl --silent --show-error \S+\n", block.text) for block in left)
