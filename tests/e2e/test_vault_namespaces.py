"""Secrets in a namespace of Vault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.accounts import PATH_ROOT, Account
from tests.harness.waiting import wait_until
from tests.servers.auth_methods import allow, approle

if TYPE_CHECKING:
    from tests.harness.confidential import Confidential
    from tests.harness.restarting import Restarting, Run
    from tests.servers import OpenBao

NAMESPACE = "team/matrix"
USERS = f"secret/data/{PATH_ROOT}/*"


@pytest.fixture(scope="module")
def namespace(openbao: OpenBao) -> str:
    """Return a namespace in a namespace with an engine at `secret/`."""
    openbao.api("POST", "sys/namespaces/team")
    openbao.api("POST", "sys/namespaces/matrix", namespace="team")
    engine = {"type": "kv", "options": {"version": "2"}}
    openbao.api("POST", "sys/mounts/secret", engine, namespace=NAMESPACE)

    def is_ready() -> bool:
        try:
            openbao.api("GET", "secret/config", namespace=NAMESPACE)
        except RuntimeError:
            return False
        return True

    wait_until("the engine is ready", is_ready)
    return NAMESPACE


@pytest.fixture(scope="module")
def token(openbao: OpenBao, namespace: str, confidential: Confidential) -> str:
    """Return a token of the root namespace that may read users' entries in both."""
    allow(openbao, "users-everywhere", USERS, f"{namespace}/{USERS}")
    granted = openbao.api("POST", "auth/token/create", {"policies": ["users-everywhere"]})
    return confidential.add(granted["auth"]["client_token"])


def put(run: Run, user_id: str, namespace: str) -> Account:
    """Write an entry with a secret that the user has nowhere else."""
    account = run.account(user_id, f"the secret of {user_id} in {namespace}")
    data = {"data": {"login_secret": account.login_secret}}
    run.openbao.api("POST", f"secret/data/{PATH_ROOT}/{user_id}", data, namespace=namespace)
    return account


def check_that_entries_come_from(run: Run, namespace: str | None) -> None:
    """Fail unless it is this namespace, or the root one, whose entries open accounts."""
    at_root = run.new_account()
    inside = put(run, at_root.user_id, NAMESPACE)
    right, wrong = (inside, at_root) if namespace else (at_root, inside)
    run.log_in(right.user_id, right.token_hash).check_accepted(right.user_id)
    run.log_in(wrong.user_id, wrong.token_hash).check_refused("bad_hash")
    only_inside = put(run, run.new_user(), NAMESPACE)
    attempt = run.log_in(only_inside.user_id, only_inside.token_hash)
    if namespace:
        attempt.check_accepted(only_inside.user_id)
    else:
        attempt.check_refused("no_secret")


def test_entries_come_from_the_root_namespace_unless_configured(
    restarting: Restarting, token: str
) -> None:
    check_that_entries_come_from(restarting.start(vault_token=token), None)


@pytest.mark.parametrize("spelling", [NAMESPACE, f"/{NAMESPACE}/"], ids=["bare", "in slashes"])
def test_entries_come_from_the_configured_namespace(
    restarting: Restarting, token: str, spelling: str
) -> None:
    run = restarting.start(vault_token=token, vault_namespace=spelling)
    check_that_entries_come_from(run, NAMESPACE)


@pytest.mark.parametrize(
    "environment",
    [
        {"VAULT_NAMESPACE": NAMESPACE, "BAO_NAMESPACE": "elsewhere"},
        {"VAULT_NAMESPACE": "", "BAO_NAMESPACE": NAMESPACE},
    ],
    ids=["VAULT", "BAO"],
)
def test_entries_come_from_the_namespace_in_the_environment(
    restarting: Restarting, token: str, environment: dict[str, str]
) -> None:
    run = restarting.start(vault_token=token, environment=environment)
    check_that_entries_come_from(run, NAMESPACE)


def test_the_module_logs_in_to_the_namespace(
    restarting: Restarting, openbao: OpenBao, namespace: str, confidential: Confidential
) -> None:
    policy = allow(openbao, "users", USERS, namespace=namespace)
    auth: dict[str, Any] = approle(openbao, "approle", policy, namespace=namespace)
    confidential.add(auth["secret_id"])
    run = restarting.start(vault_auth=auth, vault_namespace=namespace)
    check_that_entries_come_from(run, namespace)
    openbao.api(
        "POST", "sys/leases/revoke-prefix/auth/approle/login", {"sync": True}, namespace=namespace
    )
    check_that_entries_come_from(run, namespace)
    assert [line for line in run.warnings_and_errors() if "bad_hash" not in line.message] == []


def test_a_namespace_that_does_not_exist_is_an_error_and_no_missing_secret(
    restarting: Restarting, token: str
) -> None:
    run = restarting.start(vault_token=token, vault_namespace="nowhere")
    account = run.new_account()
    attempt = run.log_in(account.user_id, account.token_hash)
    assert attempt.outcome in {"vault_denied", "vault_error"}
    assert attempt.line.level == "ERROR"
    assert "vault_namespace" in attempt.line.message
