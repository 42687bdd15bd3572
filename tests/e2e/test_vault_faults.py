"""Connections that break, nodes that fail, and hints what to do about it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.harness.accounts import PATH_ROOT
from tests.harness.waiting import wait_until
from tests.servers import BrokenVault, Relay
from tests.servers.broken_vault import answer, hang_up, raw, silence, trickle
from tests.servers.relay import Reply, Reset, Silence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.accounts import Account
    from tests.harness.core import Core
    from tests.servers import DurableOpenBao, OpenBao
    from tests.servers.broken_vault import Behaviour
    from tests.servers.relay import Meddling, Request


HALF_A_HEAD = b"HTTP/1.1 200 OK\r\nContent-Ty"
HALF_A_BODY = b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"data":{"data":'


def to_reads(*answers: Reply | Reset | Silence) -> Meddling:
    """Answer users' reads like this, and hand on those that come later."""
    left = iter(answers)
    return lambda request: next(left, None) if is_read(request) else None


def is_read(request: Request) -> bool:
    return f"/data/{PATH_ROOT}/" in request.path


def check(core: Core, account: Account, outcome: str = "ok") -> None:
    assert core.log_in(account.user_id, account.token_hash).code == outcome


@pytest.fixture
def single_minded(start_core: Callable[..., Core]) -> tuple[Core, Account]:
    """Return a core that asks Vault only once for an account, as it has its secret in memory."""
    core = start_core(cache={"stale_if_error": "1h"})
    account = core.new_account()
    check(core, account)
    return core, account


@pytest.mark.parametrize("sent", [b"", HALF_A_HEAD], ids=["before the answer", "within it"])
def test_a_read_on_a_connection_that_breaks_is_repeated_at_once(
    single_minded: tuple[Core, Account], relay: Relay, sent: bytes
) -> None:
    core, account = single_minded
    relay.meddle = to_reads(Reset(sent))
    outcome = core.log_in(account.user_id, account.token_hash)
    assert (outcome.code, "memory" in outcome.reason) == ("ok", False)
    assert relay.reads(account.user_id) == 3


def test_a_connection_that_was_closed_while_idle_is_no_failure(
    single_minded: tuple[Core, Account], relay: Relay
) -> None:
    core, account = single_minded
    relay.close()
    relay.listen()
    outcome = core.log_in(account.user_id, account.token_hash)
    assert (outcome.code, "memory" in outcome.reason) == ("ok", False)


@pytest.mark.parametrize("sent", [b"", HALF_A_HEAD, HALF_A_BODY], ids=["none", "head", "body"])
def test_a_login_rides_out_connections_that_break_again_and_again(
    start_core: Callable[..., Core], relay: Relay, sent: bytes
) -> None:
    core = start_core(login_timeout="2m")
    account = core.new_account()
    relay.meddle = to_reads(*[Reset(sent)] * 5)
    check(core, account)
    assert relay.reads(account.user_id) == 6


@pytest.mark.parametrize("status", [429, 412, 503])
def test_vault_is_asked_again_when_it_said(
    start_core: Callable[..., Core], relay: Relay, status: int
) -> None:
    core = start_core(login_timeout="2m")
    account = core.new_account()
    relay.meddle = to_reads(Reply(status, headers={"Retry-After": "1"}))
    check(core, account)
    first, second = [request.came for request in relay.requests if is_read(request)]
    assert second - first >= 1


@pytest.mark.parametrize("status", [429, 412])
def test_without_a_hint_vault_is_asked_again_all_the_same(
    start_core: Callable[..., Core], relay: Relay, status: int
) -> None:
    core = start_core(login_timeout="2m")
    account = core.new_account()
    relay.meddle = to_reads(*[Reply(status)] * 3)
    check(core, account)
    assert relay.reads(account.user_id) == 4


def test_a_hint_beyond_the_logins_time_does_not_prolong_it(
    start_core: Callable[..., Core], relay: Relay
) -> None:
    core = start_core(login_timeout="3s")
    account = core.new_account()
    relay.meddle = to_reads(*[Reply(429, headers={"Retry-After": "86400"})] * 9)
    outcome = core.log_in(account.user_id, account.token_hash)
    assert outcome.code == "vault_unavailable"
    assert "429" in outcome.reason
    assert relay.reads(account.user_id) == 1


# What the other node is like all the time.
FAILING_NODES: dict[str, Behaviour | None] = {
    "not listening": None,
    "a black hole": silence,
    "hanging up": hang_up,
    "slow": trickle(b"HTTP/1.1 200 OK\r\nServer: "),
    "another protocol": raw(b"SSH-2.0-OpenSSH_9.9\r\n"),
    "sealed": answer(503, {"errors": ["Vault is sealed"]}),
    "uninitialised": answer(501, {"errors": ["Vault is not initialized"]}),
    "a web server that fails": answer(502, b"<html>"),
}


@pytest.fixture
def failing() -> Iterator[BrokenVault]:
    vault = BrokenVault()
    yield vault
    vault.close()


@pytest.mark.parametrize("kind", FAILING_NODES)
def test_a_node_that_fails_is_passed_over(
    start_core: Callable[..., Core], relay: Relay, failing: BrokenVault, kind: str
) -> None:
    behaviour = FAILING_NODES[kind]
    if behaviour is not None:
        failing.listen(behaviour)
    core = start_core(vault_url=[failing.url, relay.url], login_timeout="1m")
    for _ in range(5):
        account = core.new_account()
        check(core, account)
        assert relay.reads(account.user_id) == 1


NODES_THAT_FAIL: dict[str, Meddling] = {
    "a black hole": lambda _: Silence(),
    "hanging up": lambda _: Reset(),
    "half an answer": lambda _: Reset(HALF_A_BODY),
    "sealed": lambda _: Reply(503, {"errors": ["Vault is sealed"]}),
    "that fails": lambda _: Reply(500, {"errors": ["internal error"]}),
}


@pytest.mark.parametrize("kind", NODES_THAT_FAIL)
def test_the_place_of_a_node_that_fails_is_taken_by_another(
    start_core: Callable[..., Core], relay: Relay, openbao: OpenBao, kind: str
) -> None:
    with Relay(openbao.url) as other:
        core = start_core(
            vault_url=[relay.url, other.url],
            request_timeout="1s",
            login_timeout="1m",
            cache={"stale_if_error": "1h"},
        )
        account = core.new_account()
        check(core, account)
        used = relay if relay.reads(account.user_id) else other
        used.meddle = NODES_THAT_FAIL[kind]
        for _ in range(5):
            outcome = core.log_in(account.user_id, account.token_hash)
            # Within one try: there is no need of what is in memory.
            assert (outcome.code, "memory" in outcome.reason) == ("ok", False)


def test_a_redirect_to_another_node_is_followed(
    start_core: Callable[..., Core], relay: Relay, openbao: OpenBao
) -> None:
    with Relay(openbao.url) as leader:
        # That it leads it does not say, or it would be asked in the first place.
        leader.meddle = health(429)
        relay.meddle = redirect_to(leader)
        core = start_core(vault_url=[relay.url, leader.url], login_timeout="1m")
        account = core.new_account()
        check(core, account)
        assert (relay.reads(account.user_id), leader.reads(account.user_id)) == (1, 1)
        check(core, account)
        assert leader.reads(account.user_id) == 2


def test_a_redirect_to_a_stranger_is_not_followed(
    start_core: Callable[..., Core], relay: Relay, openbao: OpenBao
) -> None:
    with Relay(openbao.url) as other, Relay(openbao.url) as stranger:
        relay.meddle = other.meddle = redirect_to(stranger)
        core = start_core(vault_url=[relay.url, other.url], login_timeout="2s")
        account = core.new_account()
        check(core, account, "vault_unavailable")
        assert relay.reads(account.user_id) + other.reads(account.user_id) > 1
        assert stranger.requests == []


def test_redirects_in_a_circle_are_not_followed_for_ever(
    start_core: Callable[..., Core], relay: Relay, openbao: OpenBao
) -> None:
    with Relay(openbao.url) as other:
        core = start_core(vault_url=[relay.url, other.url], cache={"stale_if_error": "1h"})
        account = core.new_account()
        check(core, account)
        before = relay.reads(account.user_id) + other.reads(account.user_id)
        relay.meddle, other.meddle = redirect_to(other), redirect_to(relay)
        check(core, account)
        # Each node is the first to be asked once at most, and once the second.
        assert relay.reads(account.user_id) + other.reads(account.user_id) - before <= 4


def health(status: int) -> Meddling:
    return lambda request: Reply(status, {}) if request.path == "/v1/sys/health" else None


def redirect_to(relay: Relay) -> Meddling:
    """Answer users' reads as a standby does which has them answered by its leader."""

    def meddle(request: Request) -> Reply | None:
        location = {"Location": f"{relay.url}{request.target}"}
        return Reply(307, headers=location) if is_read(request) else None

    return meddle


def test_logins_wait_for_vault_to_be_unsealed(
    start_openbao: Callable[..., DurableOpenBao], start_core: Callable[..., Core]
) -> None:
    openbao = start_openbao(durable=True)
    core = start_core(openbao=openbao, login_timeout="2m")
    accounts = [core.new_account() for _ in range(5)]
    check(core, accounts[0])
    openbao.cli("operator", "seal")
    logins = [core.begin(account.user_id, account.token_hash) for account in accounts]
    time.sleep(1)
    assert not any(core.is_decided(login) for login in logins)
    openbao.unseal()
    assert {core.outcome(login).code for login in logins} == {"ok"}


def test_a_proxy_of_the_environment_is_used(start_core: Callable[..., Core], relay: Relay) -> None:
    core = start_core(
        vault_url="http://vault.example.org:8200", environment={"http_proxy": relay.url}
    )
    account = core.new_account()
    check(core, account)
    wait_until("the token was looked up", lambda: len(relay.requests) >= 3)
    for request in relay.requests:
        assert request.headers["Host"] == "vault.example.org:8200"
        assert request.headers["X-Vault-Request"] == "true"
        assert "X-Vault-Token" in request.headers


def test_a_proxy_is_not_used_for_hosts_that_need_none(
    start_core: Callable[..., Core], relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as environment:
        environment.setenv("http_proxy", "http://127.0.0.1:1")
        environment.setenv("no_proxy", "127.0.0.1")
        core = start_core()
    account = core.new_account()
    check(core, account)
    assert relay.reads(account.user_id) == 1
