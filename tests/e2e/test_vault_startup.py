"""Synapse starts whatever has become of Vault, and logins work once it is back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.accounts import PATH_ROOT
from tests.servers import DurableOpenBao
from tests.servers.auth_methods import allow, approle

if TYPE_CHECKING:
    from tests.harness.confidential import Confidential
    from tests.harness.restarting import Restarting
    from tests.harness.stack import Stack


@pytest.fixture(scope="module")
def durable(file_stack: Stack) -> DurableOpenBao:
    return file_stack.start_openbao("startup", durable=True)


@pytest.fixture(scope="module")
def identities(durable: DurableOpenBao, confidential: Confidential) -> dict[str, dict[str, Any]]:
    """Return the settings of each kind of identity."""
    policy = allow(durable, "users", f"secret/data/{PATH_ROOT}/*")
    granted = durable.api("POST", "auth/token/create", {"policies": [policy]})
    auth = approle(durable, "approle", policy)
    confidential.add(auth["secret_id"])
    return {
        "a static token": {"vault_token": confidential.add(granted["auth"]["client_token"])},
        "approle": {"vault_auth": auth},
    }


@pytest.mark.parametrize("identity", ["a static token", "approle"])
@pytest.mark.parametrize(
    ("state", "error"),
    [("unreachable", "cannot reach Vault"), ("sealed", "Vault is sealed")],
    ids=["unreachable", "sealed"],
)
def test_synapse_starts_without_vault_and_the_first_login_after_it_is_back_works(
    restarting: Restarting,
    durable: DurableOpenBao,
    identities: dict[str, dict[str, Any]],
    state: str,
    error: str,
    identity: str,
) -> None:
    durable.stop()
    if state == "sealed":
        durable.start_sealed()
    run = restarting.start(openbao=durable, login_timeout="1m", **identities[identity])
    run.wait_for_notice("ERROR", error)
    user_id = run.new_user()
    if state == "unreachable":
        durable.start()
    else:
        durable.unseal()
    # It is there, as far as that can be seen from outside; now it takes an entry.
    account = run.put_secret(user_id)
    run.log_in(user_id, account.token_hash).check_accepted(user_id)
    assert {line.message.split(":")[0] for line in run.warnings_and_errors()} == {
        "The module has no Vault token to work with"
    }


def test_a_start_without_vault_is_said_once_and_its_end_too(
    restarting: Restarting, durable: DurableOpenBao, identities: dict[str, dict[str, Any]]
) -> None:
    durable.stop()
    run = restarting.start(openbao=durable, **identities["approle"])
    run.wait_for_notice("ERROR", "cannot reach Vault")
    durable.start()
    run.wait_for_notice("INFO", "Vault accepts the module's token again")
    run.wait_for_notice("INFO", f"Vault at {durable.url} answered, and logins can be decided")
    assert len(run.noticed("ERROR", "Connection refused")) == 1
