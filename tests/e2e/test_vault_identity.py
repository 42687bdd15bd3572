"""The life of the module's token, when it logs in to Vault by itself."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.accounts import PATH_ROOT
from tests.harness.waiting import wait_until
from tests.servers.auth_methods import allow, approle, logins, revoke_all

if TYPE_CHECKING:
    from tests.harness.accounts import Account
    from tests.harness.restarting import Restarting, Run
    from tests.servers import OpenBao

pytestmark = pytest.mark.long

USERS = f"secret/data/{PATH_ROOT}/*"
OTHERS = f"secret/data/{PATH_ROOT}-elsewhere/*"


@pytest.fixture(scope="module")
def short_lived(openbao: OpenBao) -> dict[str, Any]:
    policy = allow(openbao, "users", USERS)
    return approle(openbao, "short", policy, token_ttl="4s", token_max_ttl="9s")


@pytest.fixture(scope="module")
def run(restarting: Restarting, short_lived: dict[str, Any]) -> Run:
    """Return a homeserver whose tokens live for seconds."""
    return restarting.start(vault_auth=short_lived)


@pytest.fixture(scope="module")
def account(run: Run) -> Account:
    return run.new_account()


def test_no_login_is_lost_while_tokens_end(
    run: Run, account: Account, openbao: OpenBao, short_lived: dict[str, Any]
) -> None:
    since = openbao.audit_size()
    answers = []
    with ThreadPoolExecutor(8) as pool:
        begin = time.monotonic()
        for number in range(60):
            time.sleep(max(0.0, begin + number / 2 - time.monotonic()))
            login = pool.submit(run.synapse.login, account.user_id, account.token_hash)
            answers.append(login)
    assert [answer.result().status_code for answer in answers] == [200] * 60
    # Renewed for as long as that goes, then replaced: there is none that lives for so long.
    renewals = len(openbao.audited("auth/token/renew-self", since))
    assert renewals >= 3
    assert 2 <= logins(openbao, short_lived, since) <= renewals
    assert run.troubles() == []


def test_a_login_after_a_pause_longer_than_a_token_lives(run: Run, account: Account) -> None:
    time.sleep(15)
    run.check_login(account.user_id)
    assert run.troubles() == []


def test_a_login_after_the_process_was_suspended_for_longer_than_a_token_lives(
    run: Run, account: Account
) -> None:
    assert run.synapse.process is not None
    run.synapse.process.send_signal(signal.SIGSTOP)
    time.sleep(5)
    run.synapse.process.send_signal(signal.SIGCONT)
    run.check_login(account.user_id)


def test_a_login_after_all_tokens_were_revoked(
    run: Run, account: Account, openbao: OpenBao, short_lived: dict[str, Any]
) -> None:
    run.check_login(account.user_id)
    revoke_all(openbao, short_lived)
    run.check_login(account.user_id)
    assert run.troubles() == []


def test_many_logins_that_meet_a_dead_token_cause_one_login_to_vault(
    restarting: Restarting, openbao: OpenBao
) -> None:
    auth = approle(openbao, "crowd", allow(openbao, "users", USERS), token_ttl="1h")
    run = restarting.start(vault_auth=auth)
    accounts = [run.new_account() for _ in range(30)]
    run.check_login(accounts[0].user_id)
    since = openbao.audit_size()
    revoke_all(openbao, auth)
    together = threading.Barrier(len(accounts))

    def log_in(account: Account) -> int:
        together.wait()
        return run.synapse.login(account.user_id, account.token_hash).status_code

    with ThreadPoolExecutor(len(accounts)) as pool:
        assert list(pool.map(log_in, accounts)) == [200] * len(accounts)
    assert logins(openbao, auth, since) == 1
    assert run.troubles() == []


@pytest.mark.parametrize(
    "knows_itself", [True, False], ids=["with the default policy", "without the default policy"]
)
def test_what_a_policy_refuses_is_no_reason_to_log_in_anew(
    restarting: Restarting, openbao: OpenBao, knows_itself: bool
) -> None:
    auth = approle(
        openbao,
        f"denied-{knows_itself}",
        allow(openbao, "others", OTHERS),
        token_no_default_policy=not knows_itself,
    )
    run = restarting.start(vault_auth=auth)
    accounts = [run.new_account() for _ in range(20)]
    for account in accounts[:10]:
        attempt = run.log_in(account.user_id, account.token_hash)
        attempt.check_refused("vault_denied")
        assert f"'secret/{PATH_ROOT}/{account.user_id}'" in attempt.line.message
    with ThreadPoolExecutor(10) as pool:
        for answer in pool.map(
            lambda account: run.synapse.login(account.user_id, account.token_hash), accounts[10:]
        ):
            assert answer.status_code == 403
    assert logins(openbao, auth) <= 2
    assert [line.level for line in run.troubles()][:1] == ["ERROR"]


def test_a_policy_that_is_mended_is_enough(restarting: Restarting, openbao: OpenBao) -> None:
    policy = allow(openbao, "mended", OTHERS)
    auth = approle(openbao, "mended", policy)
    run = restarting.start(vault_auth=auth)
    run.check_refused_login("vault_denied")
    allow(openbao, policy, USERS)
    run.check_login()
    assert logins(openbao, auth) == 1


def test_a_login_that_vault_refuses_says_so_and_works_when_vault_changes_its_mind(
    restarting: Restarting, openbao: OpenBao
) -> None:
    auth = approle(openbao, "mistaken", allow(openbao, "users", USERS))
    secret_id = "a-secret-id-that-vault-does-not-know-yet"
    run = restarting.start(vault_auth={**auth, "secret_id": secret_id})
    run.wait_for_notice("ERROR", "refuses the module's approle login: 400")
    assert run.check_refused_login("vault_denied", "check vault_auth").level == "ERROR"
    path = "auth/mistaken/role/homeserver/custom-secret-id"
    openbao.api("POST", path, {"secret_id": secret_id})
    account = run.new_account()
    wait_until(
        "a login works",
        lambda: run.synapse.login(account.user_id, account.token_hash).status_code == 200,
    )
