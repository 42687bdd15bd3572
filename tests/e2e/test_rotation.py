"""Secrets that were just replaced, which go on opening their accounts for a while."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.accounts import PATH_ROOT, Account, token_hash
from tests.harness.waiting import wait_until
from tests.servers.relay import Reply, Silence

from .test_kv_versions import Engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.confidential import Confidential
    from tests.harness.core import Core
    from tests.harness.deployment import Deployment
    from tests.servers import OpenBao, Relay
    from tests.servers.relay import Request

GRACE = "1h"

UNUSABLE: dict[str, dict[str, Any]] = {
    "none": {"external_id": "7", "provisioning": "not finished"},
    "empty": {"login_secret": ""},
    "number": {"login_secret": 5},
    "list": {"login_secret": ["a secret in a list"]},
}
"""Entries that open nothing, such as one of an account whose making was begun."""


@pytest.fixture
def core(start_core: Callable[..., Core]) -> Core:
    return start_core(rotation_grace=GRACE, request_timeout="1m", login_timeout="2m")


def rotate(core: Core, times: int = 1) -> list[Account]:
    """Make up a user whose secret was replaced so often; return all of them, newest first."""
    user_id = core.new_user()
    secrets = [f"secret {number} of {user_id}, random" for number in range(times + 1)]
    return [core.put_secret(user_id, secret) for secret in secrets][::-1]


def check(core: Core, account: Account, code: str, **login: Any) -> str:
    """Fail unless the login ends like this; return the reason."""
    outcome = core.log_in(account.user_id, account.token_hash, **login)
    assert outcome.code == code, outcome.reason
    return outcome.reason


def change(openbao: OpenBao, what: str, user_id: str, *versions: int) -> None:
    """Delete, undelete or destroy versions of an entry."""
    openbao.api("PUT", f"secret/{what}/{PATH_ROOT}/{user_id}", {"versions": versions})


def shifted(hours: float) -> Callable[[Reply], Reply]:
    """Set the clock of Vault's answers, but not the one that writes versions."""

    def shift(reply: Reply) -> Reply:
        now = parsedate_to_datetime(reply.headers["Date"]) + timedelta(hours=hours)
        return replace(reply, headers={**reply.headers, "Date": format_datetime(now, usegmt=True)})

    return shift


def undated(reply: Reply) -> Reply:
    return replace(
        reply, headers={name: text for name, text in reply.headers.items() if name != "Date"}
    )


def test_unless_configured_a_new_secret_ends_the_old_one(
    start_core: Callable[..., Core], relay: Relay
) -> None:
    core = start_core()
    new, old = rotate(core)
    check(core, new, "ok")
    check(core, old, "bad_hash")
    assert relay.reads(new.user_id) == 2


def test_the_new_secret_and_the_one_before_open_and_no_older_one(core: Core) -> None:
    newest, former, older, oldest = rotate(core, times=3)
    for _ in range(2):
        assert check(core, newest, "ok") == "the token hash is right"
        assert "the secret before (version 3)" in check(core, former, "ok")
        check(core, older, "bad_hash")
        check(core, oldest, "bad_hash")


def test_the_log_says_until_when_by_vaults_clock(core: Core, openbao: OpenBao) -> None:
    _, old = rotate(core)
    metadata = openbao.api("GET", f"secret/metadata/{PATH_ROOT}/{old.user_id}")["data"]
    written = metadata["versions"]["2"]["created_time"][:19]
    end = datetime.fromisoformat(written).replace(tzinfo=timezone.utc) + timedelta(hours=1)
    reason = check(core, old, "ok")
    assert reason.endswith(f"which is accepted until {end:%Y-%m-%dT%H:%M:%SZ}")


def test_the_old_secret_ends_by_vaults_clock(core: Core, relay: Relay) -> None:
    new, old = rotate(core)
    relay.edit = shifted(0.9)
    check(core, old, "ok")
    relay.edit = shifted(1.1)
    check(core, old, "bad_hash")
    check(core, new, "ok")


def test_a_node_whose_clock_is_behind_counts_the_secret_as_new(core: Core, relay: Relay) -> None:
    _, old = rotate(core)
    relay.edit = shifted(-5 / 3600)
    check(core, old, "ok")
    # Behind by more than clocks differ: the time of writing cannot be trusted.
    relay.edit = shifted(-24)
    check(core, old, "bad_hash")


def test_without_a_date_nothing_old_is_accepted_and_the_log_says_so_once(
    core: Core, relay: Relay
) -> None:
    new, old = rotate(core)
    relay.edit = undated
    for _ in range(2):
        check(core, new, "ok")
        check(core, old, "bad_hash")
    warnings = [notice for notice in core.notices if "rotation_grace has no effect" in notice]
    assert len(warnings) == 1
    assert "Vault's answers do not tell" in warnings[0]


def test_a_deleted_newest_version_leaves_nothing_open(core: Core, openbao: OpenBao) -> None:
    new, old = rotate(core)
    change(openbao, "delete", new.user_id, 2)
    check(core, new, "no_secret")
    check(core, old, "no_secret")
    change(openbao, "undelete", new.user_id, 2)
    check(core, old, "ok")
    change(openbao, "destroy", new.user_id, 2)
    check(core, new, "no_secret")
    check(core, old, "no_secret")


@pytest.mark.parametrize("data", UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_newest_version_leaves_nothing_open(
    core: Core, openbao: OpenBao, data: dict[str, Any]
) -> None:
    account = core.new_account()
    openbao.write(f"{PATH_ROOT}/{account.user_id}", data)
    check(core, account, "unusable_secret")
    for empty in ("", "a secret in a list"):
        hashed = core.confidential.add(token_hash(empty, account.user_id))
        assert core.log_in(account.user_id, hashed).code == "unusable_secret"


@pytest.mark.parametrize("how", ["delete", "destroy"])
def test_a_version_before_that_is_gone_opens_nothing(
    core: Core, openbao: OpenBao, how: str
) -> None:
    new, former, oldest = rotate(core, times=2)
    change(openbao, how, new.user_id, 2)
    check(core, former, "bad_hash")
    # Nor does the one before it take its place.
    check(core, oldest, "bad_hash")
    check(core, new, "ok")


@pytest.mark.parametrize("data", UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_version_before_opens_nothing(
    core: Core, openbao: OpenBao, data: dict[str, Any]
) -> None:
    user_id = core.new_user()
    openbao.write(f"{PATH_ROOT}/{user_id}", data)
    new = core.put_secret(user_id)
    for empty in ("", "a secret in a list"):
        hashed = core.confidential.add(token_hash(empty, user_id))
        assert core.log_in(user_id, hashed).code == "bad_hash"
    check(core, new, "ok")
    change(openbao, "destroy", user_id, 1)
    check(core, new, "ok")


def test_the_first_version_has_none_before_it(core: Core) -> None:
    account = core.new_account()
    check(core, account, "ok")
    assert core.log_in(account.user_id, "0" * 64).code == "bad_hash"


def test_an_old_secret_opens_nobody_elses_account_and_no_account_that_is_not_there(
    core: Core,
) -> None:
    _, old = rotate(core)
    _, other = rotate(core)
    assert core.log_in(old.user_id, other.token_hash).code == "bad_hash"
    check(core, old, "unknown_user", is_registered=False)


def test_every_refusal_takes_two_reads_and_the_right_hash_one(core: Core, relay: Relay) -> None:
    new, _ = rotate(core)
    check(core, new, "ok")
    assert relay.reads(new.user_id) == 1
    fresh, untouched, missing = rotate(core)[0], core.new_account(), core.new_user()
    for user_id, is_registered, code in (
        (fresh.user_id, True, "bad_hash"),
        (untouched.user_id, True, "bad_hash"),
        (missing, True, "no_secret"),
        (core.new_account().user_id, False, "unknown_user"),
        (core.new_user(), False, "unknown_user"),
    ):
        assert core.log_in(user_id, "0" * 64, is_registered=is_registered).code == code
        assert relay.reads(user_id) == 2


def test_wrong_logins_of_one_user_at_once_are_few_reads(core: Core, relay: Relay) -> None:
    new, old = rotate(core)
    check(core, core.new_account(), "ok")
    relay.hold()
    wrong = [core.begin(new.user_id, f"{number:064}") for number in range(20)]
    late = core.begin(old.user_id, old.token_hash)
    wait_until("the read is under way", lambda: relay.reads(new.user_id))
    relay.release()
    assert {core.outcome(login).code for login in wrong} == {"bad_hash"}
    assert core.outcome(late).code == "ok"
    assert relay.reads(new.user_id) <= 8


def of_old_versions(answer: Reply | Silence) -> Callable[[Request], Reply | Silence | None]:
    """Answer the question for a version by its number like this."""
    return lambda request: answer if "version=" in request.target else None


def test_a_failure_of_the_second_read_is_told_as_a_failure(
    start_core: Callable[..., Core], relay: Relay
) -> None:
    core = start_core(rotation_grace=GRACE, login_timeout="1s")
    new, old = rotate(core)
    for answer, code in (
        (Reply(503, {"errors": ["Vault is sealed"]}), "vault_unavailable"),
        (Silence(), "timeout"),
    ):
        relay.meddle = of_old_versions(answer)
        check(core, old, code)
        check(core, new, "ok")
    relay.meddle = None
    check(core, old, "ok")


def test_a_failure_of_the_second_read_is_waited_out(core: Core, relay: Relay) -> None:
    _, old = rotate(core)
    left = iter(range(2))

    def fail_twice(request: Request) -> Reply | None:
        if "version=" in request.target and next(left, None) is not None:
            return Reply(500, {"errors": ["internal error"]})
        return None

    relay.meddle = fail_twice
    check(core, old, "ok")


def test_a_refusal_stays_one_when_the_read_that_decides_nothing_fails(
    start_core: Callable[..., Core], relay: Relay
) -> None:
    core = start_core(rotation_grace=GRACE, login_timeout="1s")
    relay.meddle = of_old_versions(Reply(403, {"errors": ["permission denied"]}))
    assert core.log_in(core.new_account().user_id, "0" * 64).code == "bad_hash"
    assert core.log_in(core.new_user(), "0" * 64).code == "no_secret"


def test_an_old_secret_is_not_kept_in_memory(start_core: Callable[..., Core], relay: Relay) -> None:
    core = start_core(rotation_grace=GRACE, cache={"ttl": "1h", "stale_if_error": "1h"})
    new, old = rotate(core)
    for reads in (2, 4):
        check(core, old, "ok")
        assert relay.reads(new.user_id) == reads
    relay.edit = shifted(1.1)
    check(core, old, "bad_hash")
    # What was read of the new one on the way is.
    reads = relay.reads(new.user_id)
    check(core, new, "ok")
    assert relay.reads(new.user_id) == reads


@pytest.mark.parametrize("configured", [True, False], ids=["configured", "auto"])
def test_an_engine_without_versions_is_warned_of_once(
    start_core: Callable[..., Core],
    openbao: OpenBao,
    confidential: Confidential,
    configured: bool,
) -> None:
    kv = Engine(openbao, confidential, f"kv-grace-{configured}", 1)
    core = start_core(
        **kv.config, rotation_grace=GRACE, vault_kv_version=1 if configured else "auto"
    )
    if configured:
        core.collect(0)
        assert core.notices
    account = kv.put(core.new_user())
    for _ in range(2):
        check(core, account, "ok")
        assert core.log_in(account.user_id, "0" * 64).code == "bad_hash"
    warnings = [notice for notice in core.notices if "rotation_grace" in notice]
    assert warnings == [
        "rotation_grace has no effect: the KV engine is of version 1, which keeps one secret only"
    ]


def test_a_homeserver_logs_a_login_with_the_secret_before_as_such(equipped: Deployment) -> None:
    old = equipped.new_account()
    new = equipped.put_secret(old.user_id, "the secret after its rotation")
    equipped.log_in(new.user_id, new.token_hash).check_accepted(new.user_id)
    attempt = equipped.log_in(old.user_id, old.token_hash)
    attempt.check_accepted(old.user_id)
    assert "the secret before (version 1), which is accepted until 20" in attempt.line.message
