"""The limits of `rc_login` at the module's own login under MAS."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.harness.deployment import Attempt
from tests.harness.mas_deployment import LOGIN
from tests.servers import Relay
from tests.servers.mas.http_types import Answer
from tests.servers.port import ReservedPort
from tests.servers.relay import Reply
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.mas_deployment import MasDeployment
    from tests.harness.stack import Stack
    from tests.servers import OpenBao

_addresses = itertools.count(1)

SLOW = 0.001
"""Attempts a second in the long run: none within a test."""


LIMITS = {
    "address": {"per_second": SLOW, "burst_count": 6},
    "account": {"per_second": SLOW, "burst_count": 4},
    "failed_attempts": {"per_second": SLOW, "burst_count": 3},
}


@pytest.fixture(scope="module")
def proxied_port() -> ReservedPort:
    return ReservedPort()


@pytest.fixture(scope="module")
def vault_relay(openbao: OpenBao) -> Iterator[Relay]:
    with Relay(openbao.url) as relay:
        yield relay


@pytest.fixture(scope="module")
def limited(file_stack: Stack, proxied_port: ReservedPort, vault_relay: Relay) -> MasDeployment:
    """Return a homeserver with these limits. One of its listeners is behind a proxy."""
    listener = {
        "port": proxied_port,
        "type": "http",
        "x_forwarded": True,
        "bind_addresses": ["127.0.0.1"],
        "resources": [{"names": ["client"]}],
    }
    return file_stack.start_homeserver_under_mas(
        "limited",
        file_stack.start_mas(),
        homeserver_yaml={"rc_login": LIMITS},
        listeners=[listener],
        vault_url=vault_relay.url,
        login_timeout="3s",
    )


@dataclass
class Door:
    """A listener of a homeserver, at which one logs in from an address."""

    homeserver: MasDeployment
    port: int

    def log_in(
        self, user: str, token_hash: str, address: str | None = None, **more: Any
    ) -> Attempt:
        body = {
            "type": "io.t2bot.vault",
            "identifier": {"type": "m.id.user", "user": user},
            "token_hash": token_hash,
            **more,
        }
        since = self.homeserver.synapse.log_size()
        response = requests.post(
            f"http://127.0.0.1:{self.port}{LOGIN}",
            json=body,
            headers={"X-Forwarded-For": address or new_address(), "X-Forwarded-Proto": "https"},
            timeout=120,
        )
        return Attempt(response, self.homeserver.synapse.log_records(since))


@pytest.fixture
def door(limited: MasDeployment, proxied_port: ReservedPort) -> Door:
    """Return the listener behind a proxy, whose header tells the address."""
    return Door(limited, proxied_port)


def new_address() -> str:
    number = next(_addresses)
    return f"203.0.{number // 250}.{number % 250 + 1}"


def check_limited(attempt: Attempt) -> None:
    answer = attempt.response
    assert answer.status_code == 429, answer.text
    body = answer.json()
    assert body["errcode"] == "M_LIMIT_EXCEEDED"
    assert 0 < body["retry_after_ms"] <= 1000 / SLOW
    assert int(answer.headers["Retry-After"]) * 1000 >= body["retry_after_ms"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert (attempt.outcome, attempt.line.level) == ("rate_limited", "WARNING")


def test_an_address(door: Door) -> None:
    address = new_address()
    accounts = [door.homeserver.new_account() for _ in range(7)]
    for account in accounts[:6]:
        attempt = door.log_in(account.user_id, account.token_hash, address)
        attempt.check_accepted(account.user_id)
    check_limited(door.log_in(accounts[6].user_id, accounts[6].token_hash, address))
    # From elsewhere they log in, with whatever the client put behind.
    attempt = door.log_in(
        accounts[6].user_id,
        accounts[6].token_hash,
        f"{new_address()}, {address}",
    )
    attempt.check_accepted(accounts[6].user_id)


def test_an_account(door: Door) -> None:
    account = door.homeserver.new_account()
    for spelling in (account.user_id, account.user_id.upper(), account.localpart, account.user_id):
        shown = spelling.replace(SERVER_NAME.upper(), SERVER_NAME)
        door.log_in(shown, account.token_hash).check_accepted(account.user_id)
    before = len(door.homeserver.mas.requests)
    check_limited(door.log_in(account.user_id, account.token_hash))
    assert len(door.homeserver.mas.requests) == before
    # Wrong ones are counted by themselves.
    door.log_in(account.user_id, "0" * 64).check_refused("bad_hash")


def test_failed_attempts(door: Door) -> None:
    account = door.homeserver.new_account()
    for user in (account.user_id, account.localpart, account.user_id):
        door.log_in(user, "0" * 64).check_refused("bad_hash")
    check_limited(door.log_in(account.user_id, "0" * 64))
    # As with Synapse, the right one is not let in any more, either.
    check_limited(door.log_in(account.user_id, account.token_hash))


def test_failed_attempts_of_users_that_there_are_not(door: Door) -> None:
    for _ in range(3):
        door.log_in("@nobody:example.org", "0" * 64).check_refused("unknown_user")
    check_limited(door.log_in("@nobody:example.org", "0" * 64))


def test_an_outage_of_mas_is_no_failed_attempt(door: Door) -> None:
    account = door.homeserver.new_account()
    path = "/personal-sessions$"
    door.homeserver.mas.faults.answer("POST", path, Answer(500, b"", None), times=None)
    try:
        for _ in range(3):
            attempt = door.log_in(account.user_id, account.token_hash)
            assert attempt.response.status_code == 502
    finally:
        door.homeserver.mas.recover()
    door.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)


def test_an_outage_of_vault_is_no_failed_attempt(door: Door, vault_relay: Relay) -> None:
    account = door.homeserver.new_account()
    vault_relay.meddle = lambda _: Reply(500, {"errors": ["internal error"]})
    try:
        for _ in range(5):
            attempt = door.log_in(account.user_id, account.token_hash)
            assert attempt.response.status_code == 503
            assert attempt.response.json()["errcode"] == "M_UNKNOWN"
            assert attempt.outcome in ("vault_error", "vault_unavailable", "timeout")
    finally:
        vault_relay.meddle = None
    door.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)


def test_without_a_proxy_a_client_s_header_is_nothing(limited: MasDeployment) -> None:
    plain = Door(limited, limited.synapse.port)
    accounts = [limited.new_account() for _ in range(7)]
    for account in accounts[:6]:
        attempt = plain.log_in(account.user_id, account.token_hash)
        attempt.check_accepted(account.user_id)
    account = accounts[6]
    check_limited(plain.log_in(account.user_id, account.token_hash))
    # What is no login, and what asks for none, is not charged.
    assert limited.post_bytes(b"{").response.status_code == 400
    assert requests.get(limited.synapse.url + LOGIN, timeout=60).status_code == 200


@pytest.mark.parametrize("address", ["x" * 3000, "::1", "unknown", "1.2.3.4:5678", "ff" * 40])
def test_odd_addresses(door: Door, address: str) -> None:
    account = door.homeserver.new_account()
    door.log_in(account.user_id, account.token_hash, address).check_accepted(account.user_id)
