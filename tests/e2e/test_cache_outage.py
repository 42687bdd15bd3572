"""Secrets in memory that open their accounts while Vault does not answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.accounts import PATH_ROOT, READ_USERS
from tests.harness.confidential import Confidential
from tests.harness.deployment import Deployment
from tests.servers import DurableOpenBao
from tests.servers.relay import Reply, Reset, Silence

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.accounts import Account
    from tests.harness.core import Core
    from tests.harness.stack import Stack
    from tests.servers import OpenBao, Relay
    from tests.servers.relay import Meddling, Request

READ_OTHERS = f'path "secret/data/{PATH_ROOT}-elsewhere/*" {{ capabilities = ["read"] }}'

SHORT_TIMEOUTS = {
    "request_timeout": "500ms",
    "login_timeout": "2s",
    "cache": {"stale_if_error": "1h"},
}
"""Settings for logins whose outages last longer than they."""


def to_reads(answer: Reply | Reset | Silence) -> Meddling:
    """Answer like this to whoever reads a user's entry."""
    return lambda request: answer if f"/data/{PATH_ROOT}/" in request.path else None


def to_all(answer: Reply | Reset | Silence) -> Meddling:
    return lambda _: answer


def know(core: Core) -> Account:
    """Return an account whose secret is in memory."""
    account = core.new_account()
    check(core, account, "ok")
    return account


def check(core: Core, account: Account, outcome: str) -> None:
    assert core.log_in(account.user_id, account.token_hash).code == outcome


OUTAGES: dict[str, Meddling] = {
    "hanging up": to_all(Reset()),
    "half an answer": to_all(Reset(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"data":')),
    "another protocol": to_all(Reset(b"SSH-2.0-OpenSSH_9.9\r\n")),
    "a black hole": to_all(Silence()),
    "500": to_all(Reply(500, {"errors": ["internal error"]})),
    "502": to_all(Reply(502)),
    "503 of a sealed Vault": to_all(Reply(503, {"errors": ["Vault is sealed"]})),
    "307 to nowhere": to_all(Reply(307, headers={"Location": "http://127.0.0.1:1/v1/x"})),
}


@pytest.mark.parametrize("kind", OUTAGES)
def test_in_an_outage_a_secret_in_memory_opens(
    start_core: Callable[..., Core], relay: Relay, kind: str
) -> None:
    core = start_core(**SHORT_TIMEOUTS)
    known = know(core)
    relay.meddle = OUTAGES[kind]
    for _ in range(3):
        check(core, known, "ok")


@pytest.mark.parametrize("kind", ["a black hole", "503 of a sealed Vault"])
def test_in_an_outage_nothing_else_opens(
    start_core: Callable[..., Core], relay: Relay, kind: str
) -> None:
    core = start_core(**SHORT_TIMEOUTS)
    known, unread = know(core), core.new_account()
    relay.meddle = OUTAGES[kind]
    # At the same time, as each of them takes all the time it has.
    logins = [
        core.begin(known.user_id, "0" * 64),
        core.begin(unread.user_id, unread.token_hash),
        core.begin(known.user_id, known.token_hash, is_registered=False),
    ]
    for login in logins:
        assert core.outcome(login).code in {"vault_unavailable", "timeout"}
    relay.meddle = None
    assert core.log_in(known.user_id, "0" * 64).code == "bad_hash"
    check(core, unread, "ok")


def test_where_nothing_listens_a_secret_in_memory_opens(
    start_core: Callable[..., Core], relay: Relay
) -> None:
    core = start_core(**SHORT_TIMEOUTS)
    known = know(core)
    relay.close()
    check(core, known, "ok")


def test_a_login_with_less_time_than_a_request_falls_back_on_memory(
    start_core: Callable[..., Core], relay: Relay
) -> None:
    core = start_core(login_timeout="2s", request_timeout="1m", cache={"stale_if_error": "1h"})
    known = know(core)
    relay.meddle = to_all(Silence())
    check(core, known, "ok")


def test_logins_that_wait_in_vain_do_not_keep_others_from_memory(
    start_core: Callable[..., Core], relay: Relay
) -> None:
    core = start_core(max_concurrent_lookups=2, **SHORT_TIMEOUTS)
    known = know(core)
    relay.meddle = to_all(Silence())
    waiting = [core.begin(core.new_user(), "0" * 64) for _ in range(20)]
    check(core, known, "ok")
    for login in waiting:
        assert core.outcome(login).code in {"timeout", "overloaded"}


NO_OUTAGES: dict[str, tuple[str, Meddling]] = {
    "a web page": ("vault_error", to_reads(Reply(200, b"<html>It works!</html>"))),
    "no entry": ("vault_error", to_reads(Reply(200, {"data": {"login_secret": "s"}}))),
    "a body without end": ("vault_error", to_reads(Reply(200, b" " * (2 << 20)))),
    "a redirect": ("vault_error", to_reads(Reply(301, headers={"Location": "/"}))),
    "400": ("vault_error", to_reads(Reply(400, {"errors": ["no"]}))),
    "404 of Vault": ("no_secret", to_reads(Reply(404, {"errors": []}))),
    "404 of a missing mount": ("vault_error", to_reads(Reply(404, {"errors": ["no handler"]}))),
    "403 of a policy": ("vault_denied", to_reads(Reply(403, {"errors": ["permission denied"]}))),
}


@pytest.mark.parametrize("kind", NO_OUTAGES)
def test_an_answer_is_not_overruled_by_memory(
    start_core: Callable[..., Core], relay: Relay, kind: str
) -> None:
    outcome, relay_does = NO_OUTAGES[kind]
    core = start_core(**SHORT_TIMEOUTS)
    known = know(core)
    relay.meddle = relay_does
    check(core, known, outcome)


def test_a_secret_that_vault_did_not_have_any_more_is_gone_from_memory(
    start_core: Callable[..., Core], relay: Relay, openbao: OpenBao
) -> None:
    core = start_core(**SHORT_TIMEOUTS)
    known = know(core)
    openbao.cli("kv", "delete", "-mount=secret", f"{PATH_ROOT}/{known.user_id}")
    check(core, known, "no_secret")
    relay.meddle = to_all(Reply(500))
    check(core, known, "vault_unavailable")


def test_after_a_rotation_the_new_secret_serves_in_an_outage(
    start_core: Callable[..., Core], relay: Relay
) -> None:
    core = start_core(**SHORT_TIMEOUTS)
    known = know(core)
    rotated = core.put_secret(known.user_id, "the secret that took its place")
    check(core, known, "bad_hash")
    relay.meddle = to_all(Reply(500))
    check(core, rotated, "ok")


def test_without_an_outage_every_login_is_a_read(
    start_core: Callable[..., Core], relay: Relay
) -> None:
    core = start_core(**SHORT_TIMEOUTS)
    known = know(core)
    check(core, known, "ok")
    assert relay.reads(known.user_id) == 2


def test_a_secret_older_than_configured_opens_nothing(
    start_core: Callable[..., Core], relay: Relay
) -> None:
    caches = [{"stale_if_error": "1s"}, {"ttl": "1s"}, {"ttl": "1h", "stale_if_error": "1s"}]
    cores = [start_core(**{**SHORT_TIMEOUTS, "cache": cache}) for cache in caches]
    accounts = [know(core) for core in cores]
    relay.meddle = to_all(Reply(500))
    time.sleep(1.2)
    logins = [
        core.begin(account.user_id, account.token_hash)
        for core, account in zip(cores, accounts, strict=True)
    ]
    outcomes = [core.outcome(login).code for core, login in zip(cores, logins, strict=True)]
    assert outcomes == ["vault_unavailable", "vault_unavailable", "ok"]


def test_a_policy_that_does_not_reach_the_users_any_more_closes_their_accounts(
    start_core: Callable[..., Core], openbao: OpenBao, confidential: Confidential
) -> None:
    token = confidential.add(openbao.create_token("read-users-for-now", READ_USERS))
    core = start_core(**SHORT_TIMEOUTS, vault_token=token)
    known = know(core)
    openbao.cli("policy", "write", "read-users-for-now", "-", stdin=READ_OTHERS)
    check(core, known, "vault_denied")


def test_a_revoked_token_closes_the_accounts(
    start_core: Callable[..., Core], openbao: OpenBao, confidential: Confidential
) -> None:
    token = confidential.add(openbao.create_token("read-users-till-revoked", READ_USERS))
    core = start_core(**SHORT_TIMEOUTS, vault_token=token)
    known = know(core)
    openbao.cli("token", "revoke", token)
    check(core, known, "vault_denied")


RELOGINS: dict[str, tuple[str, Any]] = {
    "fails": ("ok", Reply(503, {"errors": ["Vault is sealed"]})),
    "is cut off": ("ok", Reset()),
    "gets no answer": ("ok", Silence()),
    "is refused": ("vault_denied", Reply(400, {"errors": ["invalid secret id"]})),
    "is forbidden": ("vault_denied", Reply(403, {"errors": ["permission denied"]})),
}


@pytest.mark.parametrize("kind", RELOGINS)
def test_a_dead_token_closes_the_accounts_unless_the_next_one_is_kept_back_by_an_outage(
    start_core: Callable[..., Core],
    relay: Relay,
    openbao: OpenBao,
    confidential: Confidential,
    kind: str,
) -> None:
    outcome, answer = RELOGINS[kind]
    if "userpass/" not in openbao.cli("auth", "list"):
        openbao.cli("auth", "enable", "userpass")
    password = confidential.add("the password of the homeserver")
    openbao.cli("policy", "write", "read-users", "-", stdin=READ_USERS)
    user = "auth/userpass/users/homeserver"
    openbao.cli("write", user, "password=-", "token_policies=read-users", stdin=password)
    userpass = {"method": "userpass", "username": "homeserver", "password": password}
    core = start_core(**SHORT_TIMEOUTS, vault_token=None, vault_auth=userpass)
    known = know(core)

    def meddle(request: Request) -> Any:
        return answer if "/auth/userpass/login/" in request.path else None

    relay.meddle = meddle
    openbao.cli("token", "revoke", "-mode=path", "auth/userpass")
    check(core, known, outcome)


@pytest.fixture(scope="module")
def durable(file_stack: Stack) -> DurableOpenBao:
    return file_stack.start_openbao("durable", durable=True)


@pytest.fixture(scope="module")
def remembering(file_stack: Stack, durable: DurableOpenBao) -> Deployment:
    return file_stack.start_homeserver(
        "remembering", openbao=durable, login_timeout="2s", cache={"stale_if_error": "1h"}
    )


@pytest.mark.parametrize("outage", ["stopped", "sealed"])
def test_a_homeserver_goes_on_while_openbao_is_away(
    remembering: Deployment, durable: DurableOpenBao, outage: str
) -> None:
    known = remembering.new_account()
    remembering.log_in(known.user_id, known.token_hash).check_accepted(known.user_id)
    if outage == "stopped":
        durable.stop()
    else:
        durable.cli("operator", "seal")
    try:
        for _ in range(3):
            remembering.log_in(known.user_id, known.token_hash).check_accepted(known.user_id)
        wrong = remembering.log_in(known.user_id, "0" * 64)
        wrong.check_refused("vault_unavailable")
    finally:
        durable.stop()
        durable.start()
    rotated = remembering.put_secret(known.user_id, "the secret that took its place")
    remembering.log_in(known.user_id, known.token_hash).check_refused("bad_hash")
    remembering.log_in(known.user_id, rotated.token_hash).check_accepted(known.user_id)
