"""What the log says after a start: that logins can be decided and with what, or why not."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.accounts import PATH_ROOT, READ_USERS
from tests.servers.auth_methods import allow, approle, userpass

if TYPE_CHECKING:
    from tests.harness.confidential import Confidential
    from tests.harness.restarting import Restarting, Run
    from tests.servers import OpenBao

ANSWERED = re.compile(
    r"Vault at (?P<address>\S+) answered, and logins can be decided: the module's token "
    r"(?P<token>.+); the secrets are below (?P<location>\S+) in (?P<engine>.+)"
)
TIME = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def created(openbao: OpenBao, confidential: Confidential, **options: Any) -> str:
    """Create a token that may read the users' entries; return it."""
    openbao.cli("policy", "write", "read-users", "-", stdin=READ_USERS)
    body = {"policies": ["read-users"], "display_name": "synapse", **options}
    granted = openbao.api("POST", "auth/token/create", body)
    return confidential.add(granted["auth"]["client_token"])


def announcement(run: Run) -> re.Match[str]:
    """Wait for the line of a good start; fail unless all is said that is the same for each."""
    run.wait_for_notice("INFO", "Vault at ")
    run.check_login()
    # It is said once, and nothing wants care.
    (line,) = run.noticed("INFO", "Vault at ")
    assert run.warnings_and_errors() == []
    said = ANSWERED.fullmatch(line.message)
    assert said, line.message
    assert said["address"] == run.openbao.url
    assert said["engine"] == "a KV engine of version 2"
    assert said["location"] == f"secret/{PATH_ROOT}"
    return said


def test_a_token_of_the_configuration(
    restarting: Restarting, openbao: OpenBao, confidential: Confidential
) -> None:
    token = created(openbao, confidential, period="1h")
    run = restarting.start(vault_token=token)
    expectation = rf'is "token-synapse" from auth/token/create, and ends at {TIME}, and is renewed'
    said = announcement(run)["token"]
    assert re.fullmatch(f"{expectation} before", said)
    # The end is an hour away, as the token was created just now.
    left = time.time() + 3600 - time.mktime(time.strptime(said.split()[-5], "%Y-%m-%dT%H:%M:%SZ,"))
    assert abs(left + time.timezone) < 300


def test_a_token_that_may_not_look_itself_up(
    restarting: Restarting, openbao: OpenBao, confidential: Confidential
) -> None:
    token = created(openbao, confidential, no_default_policy=True)
    run = restarting.start(vault_token=token, vault_kv_version=2)
    said = announcement(run)
    assert said["token"] == "may not look itself up, so its end is not known"


@pytest.mark.parametrize("method", [approle, userpass])
def test_a_login(
    restarting: Restarting, openbao: OpenBao, confidential: Confidential, method: Any
) -> None:
    mount = f"announced-{method.__name__}"
    auth = method(openbao, mount, allow(openbao, "users", f"secret/data/{PATH_ROOT}/*"))
    confidential.add(auth.get("secret_id") or auth["password"])
    since = openbao.audit_size()
    run = restarting.start(vault_auth=auth)
    assert re.fullmatch(
        rf'is "homeserver" from auth/{mount}/login, entity [0-9a-f-]{{36}}, and ends at {TIME}, '
        "and is renewed or replaced before",
        announcement(run)["token"],
    )
    # Nothing was asked for the sake of the line but what a health check asks.
    # Other homeservers of other tests may ask the same Vault for their own sake.
    asked = openbao.audited("auth/token/lookup-self", since)
    assert [one for one in asked if mount in one["auth"].get("display_name", "")] == []
    assert len(openbao.audited(f"secret/data/{PATH_ROOT}/@:example.org", since)) == 1


def test_a_wrong_token(restarting: Restarting) -> None:
    run = restarting.start(vault_token="hvs.not-a-token-of-this-vault")
    run.wait_for_notice("ERROR", "The module has no Vault token to work with: Vault refuses")
    run.check_refused_login("vault_denied")
    assert run.noticed("INFO", "Vault at ") == []
    assert len([line for line in run.notices(run.begin) if line.level == "ERROR"]) == 1


def test_a_root_that_the_policy_does_not_cover(restarting: Restarting, vault_token: str) -> None:
    run = restarting.start(vault_token=vault_token, vault_path_root="matrix/user")
    run.wait_for_notice(
        "WARNING",
        "No policy of the module's token covers secret/data/matrix/user/@:example.org, as a policy "
        "for all users does: check vault_path_root and the policy",
    )
    run.check_refused_login("vault_denied")
    assert run.noticed("INFO", "Vault at ") == []


def test_an_engine_that_is_not_there(
    restarting: Restarting, openbao: OpenBao, confidential: Confidential
) -> None:
    token = created(openbao, confidential, policies=["root"])
    run = restarting.start(vault_token=token, vault_kv_mount_point="nowhere")
    run.wait_for_notice(
        "ERROR",
        "Logins cannot be decided yet: Vault has no secrets engine at nowhere; check "
        "vault_kv_mount_point",
    )
    openbao.api("POST", "sys/mounts/nowhere", {"type": "kv"})
    run.wait_for_notice("INFO", f"below nowhere/{PATH_ROOT} in a KV engine of version 1")
