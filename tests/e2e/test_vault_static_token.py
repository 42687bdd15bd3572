"""A token in the configuration: kept alive if that can be done, announced in time if not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.accounts import PATH_ROOT
from tests.harness.waiting import wait_until
from tests.servers.auth_methods import allow
from tests.servers.relay import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.confidential import Confidential
    from tests.harness.core import Core
    from tests.harness.restarting import Restarting
    from tests.servers import OpenBao, Relay
    from tests.servers.relay import Request

pytestmark = pytest.mark.long

LOOKUP = "auth/token/lookup-self"
RENEWAL = "auth/token/renew-self"

ENDS = "The module's Vault token ends in "


def create(openbao: OpenBao, confidential: Confidential, **token: Any) -> str:
    policy = allow(openbao, "users", f"secret/data/{PATH_ROOT}/*")
    granted = openbao.api("POST", "auth/token/create", {"policies": [policy], **token})
    return confidential.add(granted["auth"]["client_token"])


def test_tokens_that_can_be_renewed_are(
    restarting: Restarting,
    start_core: Callable[..., Core],
    openbao: OpenBao,
    confidential: Confidential,
) -> None:
    # They live long enough for a slow machine to start a homeserver; both at once, to save time.
    core = start_core(vault_token=create(openbao, confidential, period="20s"))
    run = restarting.start(vault_token=create(openbao, confidential, ttl="20s"))
    created = time.monotonic()
    since = openbao.audit_size()
    while time.monotonic() < created + 21:
        time.sleep(1)
    run.check_login()
    account = core.new_account()
    assert core.log_in(account.user_id, account.token_hash).code == "ok"
    assert 2 <= len(openbao.audited(RENEWAL, since)) < 10
    assert run.troubles() == []


def test_a_token_that_somebody_else_renews_is_not_given_up(
    start_core: Callable[..., Core],
    relay: Relay,
    openbao: OpenBao,
    confidential: Confidential,
) -> None:
    """Neither by a core that finds it out in time, nor by one whose Vault is away at the end."""
    policies = ["users", allow(openbao, "lookup-alone", LOOKUP)]
    token = create(openbao, confidential, policies=policies, no_default_policy=True, ttl="12s")
    looked_up = 0

    def tell_once(request: Request) -> Reply | None:
        nonlocal looked_up
        if request.path.endswith(LOOKUP):
            looked_up += 1
        return Reply(503) if looked_up > 1 else None

    since = openbao.audit_size()
    relay.meddle = tell_once
    core = start_core(vault_token=token, vault_url=openbao.url)
    cut_off = start_core(vault_token=token)
    wait_until("it is looked up", lambda: len(openbao.audited(LOOKUP, since)) == 2)
    openbao.api("POST", "auth/token/renew", {"token": token, "increment": "1h"})

    def has_said(text: str) -> bool:
        core.collect(0.1)
        cut_off.collect(0.1)
        return any(text in notice for notice in cut_off.notices)

    wait_until("Vault is away", lambda: has_said("The module has no Vault token to work with"))
    relay.meddle = None
    wait_until("it is back", lambda: has_said("Vault accepts the module's token again"))
    *announced, away, back = cut_off.notices
    assert all(notice.startswith(ENDS) for notice in announced)
    assert "503" in away
    assert "any more" not in away + back

    account = core.new_account()
    assert core.log_in(account.user_id, account.token_hash).code == "ok"
    assert any("error" in entry for entry in openbao.audited(RENEWAL, since))
    assert core.notices == []


def test_the_token_of_the_environment_works(
    restarting: Restarting, openbao: OpenBao, confidential: Confidential
) -> None:
    run = restarting.start(environment={"VAULT_TOKEN": create(openbao, confidential)})
    run.check_login()


def test_a_token_that_is_found_in_its_last_moments_is_renewed(
    start_core: Callable[..., Core], openbao: OpenBao, confidential: Confidential
) -> None:
    """As when a homeserver starts with a token that nobody has renewed for a while."""
    begin = 0

    def is_found_with_a_second_left() -> bool:
        nonlocal begin
        token = create(openbao, confidential, ttl="3s")
        time.sleep(1.6)
        begin = openbao.audit_size()
        start_core(vault_token=token)
        wait_until("it is looked up", lambda: openbao.audited(LOOKUP, begin))
        answer = openbao.audited(LOOKUP, begin)[0].get("response", {})
        return bool(answer.get("data", {}).get("ttl") == 1)

    wait_until("a token is found with a second left", is_found_with_a_second_left)
    time.sleep(3)  # longer than it lives
    # Tried, that is: whether it came in time is for the machine to decide.
    assert openbao.audited(RENEWAL, begin)


def test_a_token_that_cannot_be_renewed_is_announced_a_day_before_its_end(
    restarting: Restarting, openbao: OpenBao, confidential: Confidential
) -> None:
    token = create(openbao, confidential, ttl="23h", renewable=False)
    run = restarting.start(vault_token=token)
    run.wait_for_notice("WARNING", ENDS + "22h 59m ")
    [notice] = run.noticed("WARNING", ENDS)
    assert "put a new one into vault_token" in notice.message
    run.check_login()
    assert run.troubles() == [notice]


def test_a_token_that_lives_for_longer_is_not_announced_yet(
    restarting: Restarting, openbao: OpenBao, confidential: Confidential
) -> None:
    token = create(openbao, confidential, ttl="26h", renewable=False)
    since = openbao.audit_size()
    run = restarting.start(vault_token=token)
    run.wait_for_request(LOOKUP, since)
    run.check_login()
    assert run.troubles() == []


def test_a_token_that_was_renewed_for_as_long_as_it_may_be_is_announced_before_its_end(
    restarting: Restarting, openbao: OpenBao, confidential: Confidential
) -> None:
    # Vault calls it renewable to its end, and tells times in whole seconds, rounded either way:
    # what a renewal does not gain must be more than that.
    token = create(openbao, confidential, ttl="25s", explicit_max_ttl="25s")
    since = openbao.audit_size()
    run = restarting.start(vault_token=token)
    run.wait_for_notice("WARNING", ENDS)
    [notice] = run.noticed("WARNING", ENDS)
    assert ENDS + "0s" not in notice.message
    assert len(openbao.audited(RENEWAL, since)) == 1


def test_the_end_of_a_token_is_an_error_that_says_what_to_do(
    restarting: Restarting, openbao: OpenBao, confidential: Confidential
) -> None:
    token = create(openbao, confidential, ttl="4s", renewable=False)
    run = restarting.start(vault_token=token)
    run.wait_for_notice("ERROR", "Vault does not accept the module's token any more")
    # Vault tells the time left in whole seconds, so it may end a little later than that.
    account = run.new_account()
    wait_until(
        "the token ends",
        lambda: run.synapse.login(account.user_id, account.token_hash).status_code == 403,
    )
    run.check_refused_login("vault_denied", "put a new one into vault_token")


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
    restarting: Restarting, openbao: OpenBao, confidential: Confidential
) -> None:
    run = restarting.start(vault_token=create(openbao, confidential, no_default_policy=True))
    run.wait_for_notice("INFO", "not renewed and its end is not announced")
    run.check_login()
    assert run.troubles() == []
