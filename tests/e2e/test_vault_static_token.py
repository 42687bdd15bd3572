"""A token in the configuration, on a real Vault.

The tests of `src/vault/token/` show on virtual time how it lives for hours and days.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tests.harness.accounts import PATH_ROOT
from tests.servers.auth_methods import allow

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.confidential import Confidential
    from tests.harness.core import Core
    from tests.harness.restarting import Restarting
    from tests.servers import OpenBao

RENEWAL = "auth/token/renew-self"


def create(openbao: OpenBao, confidential: Confidential, **token: Any) -> str:
    policy = allow(openbao, "users", f"secret/data/{PATH_ROOT}/*")
    granted = openbao.api("POST", "auth/token/create", {"policies": [policy], **token})
    return confidential.add(granted["auth"]["client_token"])


def test_a_token_that_can_be_renewed_is(
    start_core: Callable[..., Core], openbao: OpenBao, confidential: Confidential
) -> None:
    since = openbao.audit_size()
    core = start_core(openbao=openbao, vault_token=create(openbao, confidential, period="4s"))
    account = core.new_account()
    time.sleep(5)
    assert core.log_in(account.user_id, account.token_hash).code == "ok"
    assert openbao.audited(RENEWAL, since)
    assert core.notices == []


def test_the_token_of_the_environment_works(
    restarting: Restarting, openbao: OpenBao, confidential: Confidential
) -> None:
    run = restarting.start(environment={"VAULT_TOKEN": create(openbao, confidential)})
    run.check_login()


def test_a_revoked_token_is_an_error_that_says_what_to_do(
    restarting: Restarting, openbao: OpenBao, confidential: Confidential
) -> None:
    token = create(openbao, confidential)
    run = restarting.start(vault_token=token)
    run.check_login()
    openbao.api("POST", "auth/token/revoke", {"token": token})
    line = run.check_refused_login(
        "vault_denied", "put a new one into vault_token (or VAULT_TOKEN) and restart Synapse"
    )
    assert line.level == "ERROR"


def test_a_token_that_may_not_look_itself_up_works_and_that_is_said(
    start_core: Callable[..., Core], openbao: OpenBao, confidential: Confidential
) -> None:
    token = create(openbao, confidential, no_default_policy=True)
    core = start_core(openbao=openbao, vault_token=token)
    account = core.new_account()
    assert core.log_in(account.user_id, account.token_hash).code == "ok"
    core.wait_for_notice("not renewed and its end is not announced")
    assert len(core.notices) == 1


def test_a_token_that_is_bound_to_other_hosts_is_not_called_a_policys_fault(
    start_core: Callable[..., Core], openbao: OpenBao, confidential: Confidential
) -> None:
    policy = allow(openbao, "users", f"secret/data/{PATH_ROOT}/*")
    role = {"allowed_policies": [policy], "token_bound_cidrs": ["192.0.2.0/24"]}
    openbao.api("POST", "auth/token/roles/bound", role)
    granted = openbao.api("POST", "auth/token/create/bound", {"policies": [policy]})
    core = start_core(
        openbao=openbao, vault_token=confidential.add(granted["auth"]["client_token"])
    )
    account = core.new_account()
    outcome = core.log_in(account.user_id, account.token_hash)
    assert outcome.code == "vault_denied"
    assert "token_bound_cidrs exclude this host" in outcome.reason
    assert not any("does not tell" in notice for notice in core.notices)
