"""Many logins at once under MAS: what they cost MAS, and that others do not wait for them."""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests

from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.accounts import Account
    from tests.harness.mas_deployment import MasDeployment
    from tests.harness.stack import Stack

pytestmark = pytest.mark.long

BURST = 200
"""Logins of one bot at once."""

MANY = 100
"""Users who log in at once."""

MOST_AT_ONCE = 4
"""Sessions in the making at once, of a process."""

SESSIONS = "/api/admin/v1/personal-sessions$"


@pytest.fixture(scope="module")
def shared_busy(file_stack: Stack) -> MasDeployment:
    return file_stack.start_homeserver_under_mas(
        "busy-mas",
        file_stack.start_mas(),
        request_timeout="1m",
        login_timeout="2m",
        log_level="INFO",
    )


@pytest.fixture
def busy(shared_busy: MasDeployment) -> Iterator[MasDeployment]:
    shared_busy.mas.devices.peak = shared_busy.mas.devices.peak_of_a_user = 0
    yield shared_busy
    shared_busy.mas.recover()


def test_a_burst_of_one_bot_holds_nobody_s_introspection_up(busy: MasDeployment) -> None:
    """Each session takes Synapse 0.3 s, for which MAS holds a connection and a lock."""
    account = busy.new_account()
    other = busy.mas.user(busy.new_user()[1:].partition(":")[0])
    # Synapse remembers what it has asked once, so each request has a token of its own.
    tokens = [busy.mas.compat.add_session(other, f"OTHERDEVICE{n}").token for n in range(40)]
    busy.mas.homeserver.delay = 0.3
    took = []
    statuses: list[int] = []

    def log_in() -> None:
        statuses.append(busy.answer_to_login(account).status_code)

    with ThreadPoolExecutor(BURST) as pool:
        burst = [pool.submit(log_in) for _ in range(BURST)]
        wait_until("sessions in the making", lambda: busy.mas.devices.peak)
        # The first one waits for the threads of this process, the stand-in's among them.
        assert busy.whoami(tokens.pop()).status_code == 200
        for token in tokens:
            started = time.monotonic()
            assert busy.whoami(token).status_code == 200
            took.append(time.monotonic() - started)
        assert not all(login.done() for login in burst)
        busy.mas.homeserver.delay = 0
        for login in burst:
            login.result()
    assert max(took) < 1, took
    assert statuses == [200] * BURST
    assert busy.mas.devices.peak_of_a_user == 1


def test_a_burst_leaves_no_session_that_nobody_has(under_mas: MasDeployment) -> None:
    """The time limits are those that there are by default, and end most of the logins."""
    account = under_mas.new_account()
    under_mas.mas.homeserver.delay = 0.3
    with ThreadPoolExecutor(BURST) as pool:
        answers = list(pool.map(lambda _: under_mas.answer_to_login(account), range(BURST)))
    under_mas.mas.homeserver.delay = 0
    statuses = Counter(answer.status_code for answer in answers)
    # One after the other, and who waits at the end of login_timeout is told to come again.
    assert set(statuses) <= {200, 502, 503}
    assert statuses[200] >= 1
    assert statuses[503] >= 1
    tokens = {answer.json()["access_token"] for answer in answers if answer.status_code == 200}
    wait_until(
        "nothing but sessions of clients",
        lambda: {session.token for session in under_mas.sessions(account.user_id)} == tokens,
    )


def test_a_hundred_users_at_once_and_others_meanwhile(busy: MasDeployment) -> None:
    accounts = [busy.new_account() for _ in range(MANY)]
    released = threading.Event()
    fault = busy.mas.faults.hold("POST", SESSIONS, released)
    with ThreadPoolExecutor(MANY) as pool:
        try:
            logins = [pool.submit(busy.answer_to_login, account) for account in accounts]
            wait_until("as many as may be", lambda: fault.met >= MOST_AT_ONCE)
            for _ in range(25):
                versions = f"{busy.synapse.url}/_matrix/client/versions"
                assert requests.get(versions, timeout=120).status_code == 200
            assert fault.met == MOST_AT_ONCE
            assert not any(login.done() for login in logins)
        finally:
            busy.mas.faults.clear()
            released.set()
        for account, login in zip(accounts, logins, strict=True):
            assert login.result().json()["user_id"] == account.user_id
    assert busy.mas.devices.peak <= MOST_AT_ONCE


@pytest.mark.nightly
def test_others_are_as_fast_as_without_logins(busy: MasDeployment) -> None:
    """A hundred logins at a MAS that takes 200 ms for each request."""
    accounts = [busy.new_account() for _ in range(MANY)]
    busy.answer_to_login(accounts[0])
    quiet = latencies(busy, 100)
    busy.mas.faults.delay("*", "^/api/", 0.2)
    with ThreadPoolExecutor(MANY) as pool:
        logins = [pool.submit(busy.answer_to_login, account) for account in accounts]
        loud = latencies(busy, 100)
        assert not all(login.done() for login in logins)
        busy.mas.faults.clear()
        assert {login.result().status_code for login in logins} == {200}
    # Processors of the tests are shared with others, so this is no measure of the module alone.
    assert statistics.median(loud) < max(10 * statistics.median(quiet), 0.1)
    assert sorted(loud)[98] < max(10 * sorted(quiet)[98], 0.5)


def latencies(homeserver: MasDeployment, count: int) -> list[float]:
    took = []
    url = f"{homeserver.synapse.url}/_matrix/client/versions"
    with requests.Session() as session:
        for _ in range(count):
            started = time.monotonic()
            assert session.get(url, timeout=120).status_code == 200
            took.append(time.monotonic() - started)
            time.sleep(0.005)
    return took


@pytest.fixture(scope="module")
def short_deadline(file_stack: Stack) -> MasDeployment:
    return file_stack.start_homeserver_under_mas(
        "short-deadline-mas", file_stack.start_mas(), request_timeout="5s", login_timeout="3s"
    )


def test_whose_turn_does_not_come_in_time_is_told_so(short_deadline: MasDeployment) -> None:
    account = short_deadline.new_account()
    # The first one fetches what all need.
    assert short_deadline.answer_to_login(account).status_code == 200
    released = threading.Event()
    fault = short_deadline.mas.faults.hold("POST", SESSIONS, released, times=1)
    with ThreadPoolExecutor(20) as pool:
        try:
            logins = [pool.submit(log_in_again, short_deadline, account) for _ in range(20)]
            wait_until("one in the making", lambda: fault.met)
            answers = [login.result() for login in logins]
        finally:
            released.set()
    statuses = sorted(status for status, _ in answers)
    # The one that was held got no answer in time, and the others no turn.
    assert statuses.count(502) <= 1
    assert statuses.count(503) >= 18
    outcomes = {
        record.message.split(": ")[1]
        for record in short_deadline.synapse.log_records()
        if record.message.startswith(f"Login of '{account.user_id}'")
    }
    assert "overloaded" in outcomes


def log_in_again(homeserver: MasDeployment, account: Account) -> tuple[int, str]:
    answer = homeserver.answer_to_login(account)
    return answer.status_code, answer.json().get("errcode", "")
