"""Vault is asked while Synapse looks for the account in its database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.harness.accounts import PATH_ROOT, token_hash
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from tests.harness.deployment import Deployment
    from tests.harness.stack import Stack
    from tests.servers import OpenBao


@pytest.fixture(scope="module")
def homeserver(file_stack: Stack) -> Deployment:
    return file_stack.start_homeserver("ahead", has_metrics=True)


def reads(openbao: OpenBao, user_id: str, since: int) -> int:
    """Count the reads of a user's entry that Vault has answered."""
    return len(openbao.audited(f"secret/data/{PATH_ROOT}/{user_id}", since))


def test_one_read_decides_with_and_without_an_account(
    homeserver: Deployment, openbao: OpenBao
) -> None:
    account = homeserver.new_account()
    nobody = f"@nobody-{account.user_id[1:]}"
    since = openbao.audit_size()
    homeserver.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)
    homeserver.log_in(nobody, "0" * 64).check_refused("unknown_user")
    # What is sent in capitals takes as many.
    shouted = account.user_id.partition(":")[0].upper() + ":example.org"
    homeserver.log_in(shouted, account.token_hash).check_accepted(account.user_id)
    homeserver.log_in("@NOBODY-AT-ALL:example.org", "0" * 64).check_refused("unknown_user")
    assert reads(openbao, account.user_id, since) == 2
    assert reads(openbao, nobody, since) == 1
    assert reads(openbao, shouted, since) == 0
    assert reads(openbao, "@nobody-at-all:example.org", since) == 1


def test_an_account_with_capitals_is_decided_by_its_own_entry(
    homeserver: Deployment, openbao: OpenBao
) -> None:
    account = homeserver.historic_account("@Ahead-Of-Old:example.org")
    lower = account.user_id.lower()
    other = homeserver.put_secret(lower, "the secret of an entry that is nobody's")
    since = openbao.audit_size()
    homeserver.log_in(lower, account.token_hash).check_accepted(account.user_id)
    # What was read first counts for nothing, whosever hash it is.
    for user_id in (lower, account.user_id):
        wrong = token_hash(other.login_secret, user_id)
        homeserver.log_in(lower, wrong).check_refused("bad_hash")
    assert reads(openbao, account.user_id, since) == 3
    assert reads(openbao, lower, since) <= 3


def test_a_database_that_fails_costs_vault_one_request_and_leaves_nothing_behind(
    homeserver: Deployment, openbao: OpenBao
) -> None:
    account = homeserver.new_account()
    since = openbao.audit_size()
    rename(homeserver, "users", "users_elsewhere")
    try:
        response = homeserver.post_login(
            {
                "type": "io.t2bot.vault",
                "identifier": {"type": "m.id.user", "user": account.user_id},
                "token_hash": account.token_hash,
            }
        ).response
    finally:
        rename(homeserver, "users_elsewhere", "users")
    assert response.status_code != 200
    assert reads(openbao, account.user_id, since) <= 1
    wait_until(
        "no lookup is in flight",
        lambda: homeserver.synapse.metrics().value("lookups_in_flight") == 0,
    )
    homeserver.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)


def rename(homeserver: Deployment, name: str, to: str) -> None:
    path = homeserver.synapse.directory / "synapse.db"
    with closing(sqlite3.connect(path, timeout=30)) as database:
        database.execute("PRAGMA legacy_alter_table=ON")
        database.execute(f"ALTER TABLE {name} RENAME TO {to}")
        database.commit()
