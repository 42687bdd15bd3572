"""Many logins at once where MAS decides who users are: nobody else waits for them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import requests

from tests.harness.deployment import LOGIN_TYPE
from tests.harness.mas_deployment import LOGIN

if TYPE_CHECKING:
    from tests.harness.accounts import Account
    from tests.harness.mas_deployment import MasDeployment

PERSONAL_SESSIONS = "/api/admin/v1/personal-sessions"

BURST = 200

LONGEST_INTROSPECTION = 1.0
"""In seconds."""


def post(under_mas: MasDeployment, account: Account) -> requests.Response:
    """Log in; several threads may, and whose lines are in the log is not known."""
    body = {
        "type": LOGIN_TYPE,
        "identifier": {"type": "m.id.user", "user": account.user_id},
        "token_hash": account.token_hash,
    }
    return requests.post(under_mas.synapse.url + LOGIN, json=body, timeout=300)


def introspection_seconds(under_mas: MasDeployment, token: str) -> float:
    """Have MAS tell what a token is, as Synapse does; return how long that took."""
    began = time.monotonic()
    answer = requests.post(
        f"{under_mas.mas.url}/oauth2/introspect",
        data={"token": token},
        auth=(under_mas.mas.client.id, under_mas.mas.client.secret),
        timeout=60,
    )
    assert answer.json()["active"]
    return time.monotonic() - began


def test_a_burst_of_one_bot_does_not_hold_up_others(under_mas: MasDeployment) -> None:
    bot, person = under_mas.new_account(), under_mas.new_account()
    token = post(under_mas, person).json()["access_token"]
    under_mas.mas.homeserver.delay = 0.3
    with ThreadPoolExecutor(BURST) as pool:
        burst = [pool.submit(post, under_mas, bot) for _ in range(BURST)]
        slowest = 0.0
        while not all(login.done() for login in burst):
            slowest = max(slowest, introspection_seconds(under_mas, token))
            # Somebody else logs in meanwhile.
            assert post(under_mas, person).status_code == 200
    assert slowest < LONGEST_INTROSPECTION
    answers = [login.result() for login in burst]
    statuses = Counter(answer.status_code for answer in answers)
    # One at a time, and who waits at the end of login_timeout is told to come again.
    assert set(statuses) == {200, 503}
    assert statuses[200] >= 10
    tokens = {answer.json()["access_token"] for answer in answers if answer.status_code == 200}
    assert len(tokens) == statuses[200]
    under_mas.mas.homeserver.delay = 0
    deadline = time.monotonic() + 60
    while len(under_mas.sessions(bot.user_id)) != statuses[200]:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_logins_that_wait_for_mas_do_not_block_the_homeserver(under_mas: MasDeployment) -> None:
    accounts = [under_mas.new_account() for _ in range(10)]
    released = threading.Event()
    held = under_mas.mas.faults.hold("*", "/api/admin/v1/users/by-username/", released)
    try:
        with ThreadPoolExecutor(len(accounts)) as pool:
            logins = [pool.submit(post, under_mas, account) for account in accounts]
            while held.met < len(accounts):
                # All of them wait, and the reactor answers others.
                url = under_mas.synapse.url + "/_matrix/client/versions"
                assert requests.get(url, timeout=60).status_code == 200
                assert not any(login.done() for login in logins)
            released.set()
            assert [login.result().status_code for login in logins] == [200] * len(accounts)
    finally:
        released.set()


def test_few_sessions_are_opened_at_the_same_time(under_mas: MasDeployment) -> None:
    accounts = [under_mas.new_account() for _ in range(12)]
    under_way, most = 0, 0
    lock = threading.Lock()
    released = threading.Event()

    def begin(_: object) -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        released.wait()
        with lock:
            under_way -= 1

    under_mas.mas.faults.run("POST", f"{PERSONAL_SESSIONS}$", begin, times=None)
    with ThreadPoolExecutor(len(accounts)) as pool:
        logins = [pool.submit(post, under_mas, account) for account in accounts]
        deadline = time.monotonic() + 60
        while most < 4:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        released.set()
        assert [login.result().status_code for login in logins] == [200] * len(accounts)
    assert most == 4
