"""What goes wrong between the module and MAS, and what comes of a login then."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests

from tests.harness.waiting import wait_until
from tests.servers.mas.http_types import Answer, html, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.deployment import Attempt
    from tests.harness.mas_deployment import MasDeployment
    from tests.harness.stack import Stack
    from tests.servers import Mas

pytestmark = pytest.mark.long

SESSIONS = "/api/admin/v1/personal-sessions"


@pytest.fixture(scope="module")
def shared_faulty(file_stack: Stack) -> MasDeployment:
    return file_stack.start_homeserver_under_mas(
        "faulty",
        file_stack.start_mas(),
        request_timeout="2s",
        login_timeout="4s",
        vault_kv_version=2,
        health_endpoint=True,
    )


@pytest.fixture
def faulty(shared_faulty: MasDeployment) -> Iterator[MasDeployment]:
    """Return a homeserver with short time limits. The faults of a test end with it."""
    yield shared_faulty
    shared_faulty.mas.recover()


def check_failed(attempt: Attempt, outcome: str) -> None:
    assert attempt.response.status_code == 502, attempt.response.text
    assert attempt.response.json()["errcode"] == "M_UNKNOWN"
    assert attempt.outcome == outcome, attempt.line
    # An error, unless the same one was logged just before.
    assert attempt.line.level in ("ERROR", "DEBUG")


def test_a_lost_answer_is_found_again_or_leaves_nothing(faulty: MasDeployment) -> None:
    for _ in range(3):
        account = faulty.new_account()
        faulty.mas.faults.lose_answer("POST", f"{SESSIONS}$")
        attempt = faulty.log_in(account.user_id, account.token_hash)
        attempt.check_accepted(account.user_id)
        token = attempt.response.json()["access_token"]
        faulty.mas.jobs.wait()
        wait_until(
            "nothing but the session of the client",
            lambda account=account, token=token: (  # type: ignore[misc]
                [one.token for one in faulty.sessions(account.user_id)] == [token]
            ),
        )
        assert faulty.whoami(token).status_code == 200


def test_what_a_lost_answer_left_is_cleaned_up_and_nothing_else(faulty: MasDeployment) -> None:
    account = faulty.new_account()
    standing = faulty.log_in(account.user_id, account.token_hash, device_id="STANDINGDEVICE")
    standing.check_accepted(account.user_id)
    faulty.mas.faults.lose_answer("POST", f"{SESSIONS}$", times=None)
    attempt = faulty.log_in(account.user_id, account.token_hash, device_id="ANOTHERDEVICE")
    check_failed(attempt, "mas_unavailable")
    faulty.mas.recover()
    token = standing.response.json()["access_token"]
    wait_until(
        "what was left to be ended",
        lambda: [one.token for one in faulty.sessions(account.user_id)] == [token],
    )
    assert faulty.whoami(token).status_code == 200


def test_what_appears_after_our_own_time_out_is_ended(faulty: MasDeployment) -> None:
    account = faulty.new_account()
    released = threading.Event()
    fault = faulty.mas.faults.hold_answer("POST", f"{SESSIONS}$", released, times=None)
    try:
        attempt = faulty.log_in(account.user_id, account.token_hash)
        check_failed(attempt, "mas_unavailable")
    finally:
        faulty.mas.faults.clear()
        released.set()
    assert fault.met >= 1
    wait_until("no session that nobody has", lambda: faulty.sessions(account.user_id) == [])


def test_a_token_that_mas_forgot_is_fetched_again_once_for_many(faulty: MasDeployment) -> None:
    accounts = [faulty.new_account() for _ in range(12)]
    faulty.log_in(accounts[0].user_id, accounts[0].token_hash).check_accepted(accounts[0].user_id)
    faulty.mas.forget_tokens()
    before = faulty.mas.count("POST", "/oauth2/token")
    with ThreadPoolExecutor(12) as pool:
        answers = list(
            pool.map(
                lambda account: faulty.log_in(account.user_id, account.token_hash).response,
                accounts,
            )
        )
    assert {answer.status_code for answer in answers} == {200}
    assert faulty.mas.count("POST", "/oauth2/token") == before + 1


def test_a_token_is_kept(faulty: MasDeployment) -> None:
    account = faulty.new_account()
    faulty.log_in(account.user_id, account.token_hash)
    before = faulty.mas.count("POST", "/oauth2/token")
    for _ in range(3):
        faulty.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)
    assert faulty.mas.count("POST", "/oauth2/token") == before


def test_the_token_endpoint_is_away(faulty: MasDeployment) -> None:
    account = faulty.new_account()
    faulty.mas.forget_tokens()
    faulty.mas.faults.refuse_connection("POST", "/oauth2/token$", times=None)
    check_failed(faulty.log_in(account.user_id, account.token_hash), "mas_unavailable")
    faulty.mas.recover()
    faulty.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(500, b'{"errors":[{"title":"database"}]}'), "mas_unavailable"),
        (Answer(503, b"", None), "mas_unavailable"),
        (html(502, "Bad gateway"), "mas_unavailable"),
        (html(404, "Not found"), "mas_refused"),
        (plain(422, "Failed to deserialize the JSON body"), "mas_refused"),
        (Answer(400, b'{"errors":[{"title":"Invalid scope"}]}'), "mas_refused"),
        (Answer(403, b'{"errors":[{"title":"no"}]}'), "mas_refused"),
        (Answer(201, b"{}"), None),
        (Answer(201, b"\xff"), None),
        (Answer(201, b'{"data":' + b"[" * 5000), None),
        (Answer(200, b"x" * (8 << 20)), None),
        (Answer(302, b"", None, {"Location": "http://127.0.0.1:1/"}), None),
    ],
    ids=range(12),
)
def test_answers_that_are_no_session(
    faulty: MasDeployment, answer: Answer, outcome: str | None
) -> None:
    account = faulty.new_account()
    faulty.mas.faults.answer("POST", f"{SESSIONS}$", answer, times=None)
    attempt = faulty.log_in(account.user_id, account.token_hash)
    check_failed(attempt, outcome or attempt.outcome)
    assert attempt.outcome in ("mas_unavailable", "mas_refused")
    assert faulty.sessions(account.user_id) == []


def test_what_mas_said_is_in_the_line(faulty: MasDeployment) -> None:
    account = faulty.new_account()
    faulty.mas.faults.answer(
        "POST", f"{SESSIONS}$", Answer(403, b'{"errors":[{"title":"Not for you"}]}'), times=None
    )
    attempt = faulty.log_in(account.user_id, account.token_hash)
    assert "Not for you" in attempt.line.message
    assert "Not for you" not in attempt.response.text


def test_a_black_hole_ends_in_time(faulty: MasDeployment) -> None:
    account = faulty.new_account()
    released = threading.Event()
    faulty.mas.faults.hold("*", "/api/", released)
    started = time.monotonic()
    try:
        attempt = faulty.log_in(account.user_id, account.token_hash)
    finally:
        released.set()
    check_failed(attempt, "mas_unavailable")
    assert time.monotonic() - started < 30


def test_a_mas_that_is_away_and_comes_back(faulty: MasDeployment) -> None:
    account = faulty.new_account()
    faulty.mas.refuse_connections()
    check_failed(faulty.log_in(account.user_id, account.token_hash), "mas_unavailable")
    faulty.mas.listen()
    faulty.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)


@pytest.mark.parametrize("offset", [-3600.0, 3600.0])
def test_a_clock_that_is_wrong(faulty: MasDeployment, offset: float) -> None:
    faulty.mas.clock.offset = offset
    faulty.mas.forget_tokens()
    account = faulty.new_account()
    for _ in range(2):
        faulty.log_in(account.user_id, account.token_hash, device_id="SAMEDEVICE").check_accepted(
            account.user_id
        )
    assert len(faulty.sessions(account.user_id)) == 1


def test_a_secret_that_is_replaced(
    tmp_path_factory: pytest.TempPathFactory,
    start_mas: Callable[..., Mas],
    start_homeserver_under_mas: Callable[..., MasDeployment],
) -> None:
    mas = start_mas()
    path = tmp_path_factory.mktemp("secret") / "client-secret"
    path.write_text(f"{mas.client.secret}\n")
    homeserver = start_homeserver_under_mas(
        "replaced-secret",
        mas,
        mas_settings={"client_secret": None, "client_secret_file": str(path)},
    )
    account = homeserver.new_account()
    homeserver.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)
    mas.client.secret = homeserver.confidential.add("another-secret-of-the-client")
    path.write_text(mas.client.secret)
    mas.forget_tokens()
    homeserver.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)
    # One that is wrong says so, and not what it is.
    mas.client.secret = homeserver.confidential.add("a-third-secret-of-the-client")
    mas.forget_tokens()
    check_failed(homeserver.log_in(account.user_id, account.token_hash), "mas_refused")


def test_a_client_that_is_no_administrator(
    start_mas: Callable[..., Mas], start_homeserver_under_mas: Callable[..., MasDeployment]
) -> None:
    mas = start_mas()
    mas.client.is_admin = False
    homeserver = start_homeserver_under_mas("no-administrator", mas)
    account = homeserver.new_account()
    attempt = homeserver.log_in(account.user_id, account.token_hash)
    check_failed(attempt, "mas_refused")


def test_a_client_that_hangs_up_leaves_no_session(faulty: MasDeployment) -> None:
    account = faulty.new_account()
    released = threading.Event()
    fault = faulty.mas.faults.hold("POST", f"{SESSIONS}$", released)
    body = {"type": "io.t2bot.vault", "user": account.user_id, "token_hash": account.token_hash}
    with pytest.raises(requests.Timeout):
        requests.post(
            f"{faulty.synapse.url}/_synapse/client/vault_auth/login", json=body, timeout=0.5
        )
    wait_until("MAS to be asked", lambda: fault.met)
    faulty.mas.faults.clear()
    released.set()
    wait_until("the session to be made", lambda: faulty.sessions(account.user_id, is_active=None))
    wait_until("no session that nobody has", lambda: faulty.sessions(account.user_id) == [])
