"""Many logins at once: of many users, of one, and of more than may be looked up together."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests

from tests.harness.deployment import Deployment
from tests.harness.waiting import wait_until
from tests.servers import Relay
from tests.servers.relay import Silence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.core import Core
    from tests.harness.stack import Stack
    from tests.servers import OpenBao

MANY = 100


@pytest.fixture(scope="module")
def slow_relay(openbao: OpenBao) -> Iterator[Relay]:
    with Relay(openbao.url) as relay:
        relay.delay = 0.2
        yield relay


@pytest.fixture(scope="module")
def busy(file_stack: Stack, slow_relay: Relay) -> Deployment:
    """Return a homeserver whose Vault takes 200 ms for everything."""
    return file_stack.start_homeserver(
        "busy", vault_url=slow_relay.url, request_timeout="1m", login_timeout="2m"
    )


def test_a_hundred_users_at_once_are_looked_up_together_and_others_served_meanwhile(
    busy: Deployment, slow_relay: Relay
) -> None:
    accounts = [busy.new_account() for _ in range(MANY)]
    busy.log_in(accounts[0].user_id, accounts[0].token_hash).check_accepted(accounts[0].user_id)
    slow_relay.hold()
    with ThreadPoolExecutor(MANY) as pool:
        try:
            logins = [
                pool.submit(busy.synapse.login, account.user_id, account.token_hash, 300)
                for account in accounts
            ]
            wait_until("all are looked up", lambda: slow_relay.reads_in_flight >= MANY)
            answered = 0
            for _ in range(25):
                versions = f"{busy.synapse.url}/_matrix/client/versions"
                assert requests.get(versions, timeout=120).status_code == 200
                answered += not any(login.done() for login in logins)
            assert answered == 25
        finally:
            slow_relay.release()
        for account, login in zip(accounts, logins, strict=True):
            assert login.result().json()["user_id"] == account.user_id


@pytest.fixture
def core(start_core: Callable[..., Core]) -> Core:
    return warmed_up(start_core(request_timeout="1m", login_timeout="2m"))


def warmed_up(core: Core) -> Core:
    """Log in once, after which only users' entries are asked for."""
    assert core.log_in(core.new_user(), "0" * 64).code == "no_secret"
    return core


def test_logins_of_one_user_at_once_are_one_read(core: Core, relay: Relay) -> None:
    account = core.new_account()
    relay.hold()
    logins = [core.begin(account.user_id, account.token_hash) for _ in range(20)]
    wait_until("the read is under way", lambda: relay.reads(account.user_id))
    relay.release()
    assert {core.outcome(login).code for login in logins} == {"ok"}
    assert relay.reads(account.user_id) <= 2


def test_they_are_so_too_when_the_secret_is_kept_for_outages(
    start_core: Callable[..., Core], relay: Relay
) -> None:
    core = start_core(request_timeout="1m", login_timeout="2m", cache={"stale_if_error": "1h"})
    account = core.new_account()
    assert core.log_in(account.user_id, account.token_hash).code == "ok"
    relay.hold()
    logins = [core.begin(account.user_id, account.token_hash) for _ in range(20)]
    wait_until("the read is under way", lambda: relay.reads(account.user_id) > 1)
    relay.release()
    assert {core.outcome(login).code for login in logins} == {"ok"}
    assert relay.reads(account.user_id) <= 3


def test_wrong_logins_of_one_user_at_once_are_few_reads(core: Core, relay: Relay) -> None:
    account = core.new_account()
    relay.hold()
    logins = [core.begin(account.user_id, f"{number:064}") for number in range(20)]
    wait_until("the read is under way", lambda: relay.reads(account.user_id))
    relay.release()
    assert {core.outcome(login).code for login in logins} == {"bad_hash"}
    assert relay.reads(account.user_id) <= 3


def test_a_login_with_a_secret_written_while_another_is_looked_up_works(
    core: Core, relay: Relay
) -> None:
    account = core.new_account()
    relay.hold_answers()
    old = core.begin(account.user_id, account.token_hash)
    wait_until("the old secret is under way", lambda: relay.answers_held)
    rotated = core.put_secret(account.user_id, "the secret that took its place")
    new = [core.begin(account.user_id, rotated.token_hash) for _ in range(5)]
    wrong = core.begin(account.user_id, "0" * 64)
    relay.release()
    assert core.outcome(old).code == "ok"
    assert {core.outcome(login).code for login in new} == {"ok"}
    assert core.outcome(wrong).code == "bad_hash"
    assert core.log_in(account.user_id, account.token_hash).code == "bad_hash"


def test_logins_of_different_users_do_not_wait_for_each_other(core: Core, relay: Relay) -> None:
    slow, quick = core.new_account(), core.new_account()
    relay.meddle = lambda request: Silence() if slow.user_id in request.path else None
    waiting = core.begin(slow.user_id, slow.token_hash)
    wait_until("one waits", lambda: relay.reads(slow.user_id))
    assert core.log_in(quick.user_id, quick.token_hash).code == "ok"
    assert not core.is_decided(waiting)


def test_no_more_lookups_than_allowed_are_under_way_and_all_get_their_turn(
    start_core: Callable[..., Core], relay: Relay
) -> None:
    core = start_core(max_concurrent_lookups=1, request_timeout="1m", login_timeout="2m")
    warmed_up(core)
    accounts = [core.new_account() for _ in range(20)]
    relay.delay = 0.05
    relay.most_reads_in_flight = 0
    logins = [core.begin(account.user_id, account.token_hash) for account in accounts]
    assert {core.outcome(login).code for login in logins} == {"ok"}
    assert relay.most_reads_in_flight == 1


def test_nobody_hangs_who_waits_for_a_turn_in_vain(
    start_core: Callable[..., Core], relay: Relay
) -> None:
    core = start_core(max_concurrent_lookups=1, login_timeout="1s")
    relay.meddle = lambda _: Silence()
    logins = [core.begin(core.new_user(), "0" * 64) for _ in range(50)]
    assert {core.outcome(login).code for login in logins} <= {"timeout", "overloaded"}
    relay.meddle = None
    account = core.new_account()
    assert core.log_in(account.user_id, account.token_hash).code == "ok"


def test_whose_turn_does_not_come_in_time_is_told_so(
    start_core: Callable[..., Core], relay: Relay
) -> None:
    core = warmed_up(start_core(max_concurrent_lookups=1, login_timeout="3s"))
    relay.meddle = lambda _: Silence()
    user_id = core.new_user()
    first = core.begin(user_id, "0" * 64)
    wait_until("the first is looked up", lambda: relay.reads(user_id))
    others = [core.begin(core.new_user(), "0" * 64) for _ in range(10)]
    time.sleep(1)
    # It shares the lookup of the first, which therefore lasts longer than the others have time.
    last = core.begin(user_id, "1" * 64)
    assert core.outcome(first).code == core.outcome(last).code == "timeout"
    assert {core.outcome(login).code for login in others} == {"overloaded"}
