"""Secrets in memory that open their accounts without Vault being asked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.harness.accounts import PATH_ROOT, token_hash
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.accounts import Account
    from tests.harness.core import Core
    from tests.servers import OpenBao, Relay


@pytest.fixture
def core(start_core: Callable[..., Core]) -> Core:
    return start_core(cache={"ttl": "1h"})


@pytest.fixture
def known(core: Core) -> Account:
    """Return an account whose secret is in memory."""
    account = core.new_account()
    check(core, account, "ok")
    return account


def check(core: Core, account: Account, outcome: str) -> None:
    assert core.log_in(account.user_id, account.token_hash).code == outcome


def delete(openbao: OpenBao, user_id: str) -> None:
    openbao.cli("kv", "delete", "-mount=secret", f"{PATH_ROOT}/{user_id}")


def test_unless_configured_every_login_is_a_read(
    start_core: Callable[..., Core], relay: Relay
) -> None:
    core = start_core()
    account = core.new_account()
    for reads in range(1, 4):
        check(core, account, "ok")
        assert relay.reads(account.user_id) == reads


def test_a_secret_in_memory_opens_without_a_request(
    core: Core, known: Account, relay: Relay
) -> None:
    relay.close()
    for _ in range(3):
        check(core, known, "ok")
    assert relay.reads(known.user_id) == 1


def test_a_secret_leaves_memory_with_its_time(
    start_core: Callable[..., Core], relay: Relay
) -> None:
    core = start_core(cache={"ttl": "200ms"})
    account = core.new_account()
    for reads in range(1, 3):
        check(core, account, "ok")
        assert relay.reads(account.user_id) == reads
        time.sleep(0.3)


def test_every_mismatch_is_decided_by_a_read(core: Core, known: Account, relay: Relay) -> None:
    for reads in range(2, 5):
        assert core.log_in(known.user_id, "0" * 64).code == "bad_hash"
        assert relay.reads(known.user_id) == reads
    check(core, known, "ok")
    assert relay.reads(known.user_id) == 4


def test_a_rotated_secret_works_at_once(core: Core, known: Account) -> None:
    rotated = core.put_secret(known.user_id, "the secret that took its place")
    check(core, rotated, "ok")


def test_the_secret_before_a_rotation_opens_until_the_new_one_is_read(
    core: Core, known: Account
) -> None:
    rotated = core.put_secret(known.user_id, "the secret that took its place")
    check(core, known, "ok")
    check(core, rotated, "ok")
    check(core, known, "bad_hash")


def test_a_deleted_secret_opens_until_its_absence_is_read(
    core: Core, known: Account, openbao: OpenBao
) -> None:
    delete(openbao, known.user_id)
    check(core, known, "ok")
    assert core.log_in(known.user_id, "0" * 64).code == "no_secret"
    check(core, known, "no_secret")


def test_a_secret_that_became_unusable_opens_until_that_is_read(
    core: Core, known: Account, openbao: OpenBao
) -> None:
    openbao.write(f"{PATH_ROOT}/{known.user_id}", {"login_secret": ""})
    check(core, known, "ok")
    assert core.log_in(known.user_id, "0" * 64).code == "unusable_secret"
    check(core, known, "unusable_secret")


def test_that_there_is_no_secret_is_not_remembered(core: Core) -> None:
    user_id = core.new_user()
    assert core.log_in(user_id, "0" * 64).code == "no_secret"
    check(core, core.put_secret(user_id), "ok")


def test_that_a_secret_is_unusable_is_not_remembered(core: Core, openbao: OpenBao) -> None:
    user_id = core.new_user()
    openbao.write(f"{PATH_ROOT}/{user_id}", {"login_secret": 5})
    assert core.log_in(user_id, "0" * 64).code == "unusable_secret"
    check(core, core.put_secret(user_id), "ok")


def test_a_user_whom_the_homeserver_does_not_have_is_looked_up_each_time(
    core: Core, known: Account, relay: Relay
) -> None:
    for reads in range(2, 5):
        outcome = core.log_in(known.user_id, known.token_hash, is_registered=False)
        assert outcome.code == "unknown_user"
        assert relay.reads(known.user_id) == reads


def test_one_users_secret_in_memory_opens_nobody_elses_account(core: Core, known: Account) -> None:
    other = core.new_account()
    hashed = core.confidential.add(token_hash(known.login_secret, other.user_id))
    for _ in range(2):
        assert core.log_in(other.user_id, hashed).code == "bad_hash"
        assert core.log_in(other.user_id, known.token_hash).code == "bad_hash"


def test_no_more_secrets_are_kept_than_allowed(
    start_core: Callable[..., Core], relay: Relay
) -> None:
    core = start_core(cache={"ttl": "1h", "max_entries": 1})
    accounts = [core.new_account() for _ in range(2)]

    def all_are_read_again() -> bool:
        before = [relay.reads(account.user_id) for account in accounts]
        for account in accounts:
            check(core, account, "ok")
        after = [relay.reads(account.user_id) for account in accounts]
        return before[0] > 0 and after != before

    # One too many may stay for a moment.
    wait_until("one of two secrets is not in memory", all_are_read_again)
