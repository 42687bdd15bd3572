"""Tokens that the module logs in for, on a real Vault.

The tests of `src/vault/token/` show on virtual time how they live for hours and days.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.harness.accounts import PATH_ROOT
from tests.harness.waiting import wait_until
from tests.servers.auth_methods import allow, approle, logins, revoke_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.core import Core
    from tests.servers import OpenBao

USERS = f"secret/data/{PATH_ROOT}/*"
OTHERS = f"secret/data/{PATH_ROOT}-elsewhere/*"


def log_in_at_once(core: Core, number: int) -> list[str]:
    """Log so many users in at once; return the outcomes."""
    accounts = [core.new_account() for _ in range(number)]
    begun = [core.begin(account.user_id, account.token_hash) for account in accounts]
    return [core.outcome(login).code for login in begun]


def test_no_login_is_lost_while_tokens_end(
    start_core: Callable[..., Core], openbao: OpenBao
) -> None:
    policy = allow(openbao, "users", USERS)
    auth = approle(openbao, "short", policy, token_ttl="2s", token_max_ttl="4s")
    since = openbao.audit_size()
    core = start_core(openbao=openbao, vault_auth=auth)
    account = core.new_account()
    end = time.monotonic() + 8
    while time.monotonic() < end:
        assert core.log_in(account.user_id, account.token_hash).code == "ok"
        time.sleep(0.1)
    assert openbao.audited("auth/token/renew-self", since)
    assert logins(openbao, auth, since) >= 2
    assert core.notices == []


def test_many_logins_that_meet_a_dead_token_cause_one_login_to_vault(
    start_core: Callable[..., Core], openbao: OpenBao
) -> None:
    auth = approle(openbao, "crowd", allow(openbao, "users", USERS), token_ttl="1h")
    core = start_core(openbao=openbao, vault_auth=auth)
    assert log_in_at_once(core, 1) == ["ok"]
    since = openbao.audit_size()
    revoke_all(openbao, auth)
    assert log_in_at_once(core, 30) == ["ok"] * 30
    assert logins(openbao, auth, since) == 1
    assert core.notices == []


def test_no_login_is_lost_to_tokens_with_few_uses(
    start_core: Callable[..., Core], openbao: OpenBao
) -> None:
    policy = allow(openbao, "users", USERS)
    auth = approle(openbao, "frugal", policy, token_ttl="1h", token_num_uses=5)
    core = start_core(openbao=openbao, vault_auth=auth, vault_kv_version=2)
    for _ in range(3):
        assert log_in_at_once(core, 24) == ["ok"] * 24
    # One for five reads.
    assert logins(openbao, auth) == 15
    assert core.notices == []


def test_what_a_policy_refuses_is_no_reason_to_log_in_again(
    start_core: Callable[..., Core], openbao: OpenBao
) -> None:
    auth = approle(openbao, "denied", allow(openbao, "others", OTHERS))
    core = start_core(openbao=openbao, vault_auth=auth)
    account = core.new_account()
    outcome = core.log_in(account.user_id, account.token_hash)
    assert (outcome.code, outcome.path) == ("vault_denied", f"secret/{PATH_ROOT}/{account.user_id}")
    assert "no policy of the module's token allows it" in outcome.reason
    assert log_in_at_once(core, 20) == ["vault_denied"] * 20
    assert logins(openbao, auth) == 1

    allow(openbao, "others", USERS)
    assert log_in_at_once(core, 1) == ["ok"]
    assert logins(openbao, auth) == 1


def test_tokens_that_vault_refuses_altogether_are_not_called_a_policys_fault(
    start_core: Callable[..., Core], openbao: OpenBao
) -> None:
    policy = allow(openbao, "users", USERS)
    auth = approle(openbao, "bound", policy, token_bound_cidrs=["192.0.2.0/24"])
    core = start_core(openbao=openbao, vault_auth=auth)
    account = core.new_account()
    for _ in range(10):
        outcome = core.log_in(account.user_id, account.token_hash)
        assert outcome.code == "vault_denied"
        assert "token_bound_cidrs may exclude this host" in outcome.reason
    assert logins(openbao, auth) <= 2
    assert not any("does not tell" in notice for notice in core.notices)


def test_a_login_that_vault_refuses_says_so_and_works_when_vault_changes_its_mind(
    start_core: Callable[..., Core], openbao: OpenBao
) -> None:
    auth = approle(openbao, "mistaken", allow(openbao, "users", USERS))
    secret_id = "a-secret-id-that-vault-does-not-know-yet"
    core = start_core(openbao=openbao, vault_auth={**auth, "secret_id": secret_id})
    core.wait_for_notice("refuses the module's approle login: 400")
    account = core.new_account()
    outcome = core.log_in(account.user_id, account.token_hash)
    assert outcome.code == "vault_denied"
    assert "check vault_auth" in outcome.reason
    path = "auth/mistaken/role/homeserver/custom-secret-id"
    openbao.api("POST", path, {"secret_id": secret_id})
    wait_until(
        "a login works",
        lambda: core.log_in(account.user_id, account.token_hash).code == "ok",
    )
