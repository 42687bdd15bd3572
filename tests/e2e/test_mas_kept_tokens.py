"""Kept tokens where MAS opens the sessions: replaced with an overlap, so that no client notices."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from synapse_vault_auth_provider.provisioning import (
    ConfigurationError,
    HomeserverError,
    KeptToken,
    Provisioner,
)

from tests.harness.mas_provisioning import MasScaffold, MasSite
from tests.harness.provisioning import POLICY
from tests.harness.scaffold import PROGRAM
from tests.servers import Relay
from tests.servers.mas.http_types import Answer
from tests.servers.relay import Reply

if TYPE_CHECKING:
    from tests.harness.stack import Stack
    from tests.servers.mas.records import PersonalSession
    from tests.servers.relay import Request

pytestmark = pytest.mark.long

KEEPING = """
path "secret/data/kept/*" { capabilities = ["create", "read", "update"] }
path "secret/destroy/kept/*" { capabilities = ["update"] }
"""

FIELDS = {"access_token", "device_id", "expires_at", "homeserver_url", "session_id", "user_id"}

CREATE = "/api/admin/v1/personal-sessions$"

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def shared_site(file_stack: Stack) -> MasSite:
    mas = file_stack.start_mas()
    site = MasSite.of(file_stack.start_homeserver_under_mas("kept", mas))
    token = site.openbao.create_token("keeping", POLICY + KEEPING)
    site.vault_token = site.confidential.add(token)
    return site


@pytest.fixture
def site(shared_site: MasSite) -> Any:
    yield shared_site
    shared_site.mas.recover()


@pytest.fixture
def user_id(site: MasSite) -> str:
    """Return a user of MAS with a secret."""
    return site.deployment.new_account().user_id


@pytest.fixture
def path() -> str:
    return f"secret/kept/mas-bot-{next(_numbers)}"


def entry(site: MasSite, path: str) -> dict[str, Any]:
    """Return what an entry holds; nothing if it is not there."""
    try:
        answer = site.openbao.api("GET", path.replace("/", "/data/", 1))
    except RuntimeError as error:
        assert " 404 " in str(error)
        return {}
    fields: dict[str, Any] = answer["data"]["data"]
    site.confidential.add(fields.get("access_token", ""))
    return fields


def keep(site: MasSite, user_id: str, path: str, **options: Any) -> KeptToken:
    options = {"overlap": 0, **options}
    return site.seen(site.provisioner().keep_token(user_id, path, **options))


def kept_sessions(site: MasSite, user_id: str) -> list[PersonalSession]:
    """Return the sessions that are marked as kept and that nobody has ended."""
    sessions = site.deployment.sessions(user_id)
    return [session for session in sessions if "vault-kept-" in session.human_name]


def check_kept(site: MasSite, user_id: str, path: str) -> dict[str, Any]:
    """Fail unless there is the one session that the entry has; return the entry."""
    kept = entry(site, path)
    assert kept.keys() == FIELDS, kept.keys()
    assert [session.id for session in kept_sessions(site, user_id)] == [kept["session_id"]]
    assert site.user_of(kept["access_token"]) == user_id
    assert site.device_of(kept["access_token"]) == kept["device_id"]
    return kept


def wait_for_overlap(site: MasSite, path: str) -> dict[str, Any]:
    """Wait until there are two sessions; return the entry."""
    while "earlier_session_id" not in (kept := entry(site, path)):
        time.sleep(0.05)
    return kept


def test_the_session_is_one_that_no_login_ends(site: MasSite, user_id: str, path: str) -> None:
    result = keep(site, user_id, path, lifetime="30d", device_name="The Bot")
    kept = check_kept(site, user_id, path)
    assert (result.session_id, result.expires_at) == (kept["session_id"], kept["expires_at"])
    assert kept["expires_at"].endswith("Z")
    assert kept["access_token"] not in str(result.as_dict())
    account = site.deployment.account(user_id, site.secret(user_id))
    for device_id in (kept["device_id"], None):
        fields = {} if device_id is None else {"device_id": device_id}
        attempt = site.deployment.log_in(user_id, account.token_hash, **fields)
        assert attempt.response.status_code == 200
        site.confidential.add(attempt.response.json()["access_token"])
    assert [one.id for one in kept_sessions(site, user_id)] == [kept["session_id"]]
    assert site.user_of(kept["access_token"]) == user_id


def test_the_time_decides(site: MasSite, user_id: str, path: str) -> None:
    keep(site, user_id, path, lifetime="30d")
    first = check_kept(site, user_id, path)
    asked = len(site.mas.requests)
    assert not keep(site, user_id, path, renew_before="7d").is_new
    # Synapse alone asks MAS, whether the token works.
    assert {one.path for one in site.mas.requests[asked:]} <= {"/oauth2/introspect"}
    assert keep(site, user_id, path, renew_before="31d", lifetime="60d").is_new
    second = check_kept(site, user_id, path)
    assert first["device_id"] == second["device_id"]
    assert first["session_id"] != second["session_id"]


def test_a_client_that_syncs_meanwhile_notices_nothing(
    site: MasSite, user_id: str, path: str
) -> None:
    """It reads the entry before each request, as one does that gets the token as a file."""
    keep(site, user_id, path)
    statuses: list[int] = []
    is_over = threading.Event()

    def sync() -> None:
        token, read = "", 0.0
        while not is_over.is_set():
            # What hands the entry over looks less often than the client asks.
            if time.monotonic() - read > 0.5:
                token, read = entry(site, path)["access_token"], time.monotonic()
            answer = site.client("GET", "_matrix/client/v3/sync?timeout=0", token)
            statuses.append(answer.status_code)

    with ThreadPoolExecutor(1) as pool:
        syncing = pool.submit(sync)
        for _ in range(3):
            assert keep(site, user_id, path, overlap="1s").is_new
        time.sleep(0.6)
        is_over.set()
        syncing.result()
    assert set(statuses) == {200}
    assert len(statuses) > 10
    check_kept(site, user_id, path)


def test_a_clock_of_mas_that_is_set_back_leaves_no_session(
    site: MasSite, user_id: str, path: str
) -> None:
    """The ids of MAS, which tell what came first, are made of the time."""
    site.mas.clock.offset = 3600.0
    try:
        keep(site, user_id, path)
    finally:
        site.mas.clock.offset = 0.0
    first = check_kept(site, user_id, path)
    assert keep(site, user_id, path).is_new
    assert check_kept(site, user_id, path)["session_id"] < first["session_id"]


def test_a_wait_that_is_interrupted_is_gone_on_with(site: MasSite, user_id: str, path: str) -> None:
    keep(site, user_id, path)
    first = check_kept(site, user_id, path)
    arguments = [site.settings(), "keep_token", user_id, {"keep_in": path}]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"]},
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(arguments))
    process.stdin.close()
    between = wait_for_overlap(site, path)
    process.kill()
    process.wait()
    assert between["earlier_session_id"] == first["session_id"]
    for token in (first["access_token"], between["access_token"]):
        assert site.user_of(token) == user_id
    # Nothing but what was begun is done, and not before the time is over.
    began = time.monotonic()
    result = keep(site, user_id, path, overlap="4s")
    assert time.monotonic() - began < 10
    assert not result.is_new
    last = check_kept(site, user_id, path)
    assert last["access_token"] == between["access_token"]
    site.mas.jobs.wait()
    assert kept_sessions(site, user_id)[0].id == between["session_id"]


@pytest.mark.parametrize(
    "answered",
    [pytest.param(False, marks=pytest.mark.nightly, id="before"), pytest.param(True, id="after")],
)
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "next"])
def test_killed_at_every_request(site: MasSite, answered: bool, is_first: bool) -> None:
    with MasScaffold(site) as scaffold:
        for number in itertools.count(1):
            user_id = site.deployment.new_account().user_id
            path = f"secret/kept/mas-killed-{next(_numbers)}"
            if not is_first:
                keep(site, user_id, path)
            before = entry(site, path)
            if not scaffold.kill_at(
                number,
                answered=answered,
                means=None,
                user_id=user_id,
                verb="keep_token",
                keep_in=path,
                overlap=0,
            ):
                break
            left = entry(site, path)
            if before:
                # Whoever reads the entry meanwhile has a token.
                assert site.user_of(left["access_token"]) == user_id
            keep(site, user_id, path, renew_before="7d")
            kept = check_kept(site, user_id, path)
            assert kept["device_id"] == {**kept, **left, **before}["device_id"]
    assert len(scaffold.requests) >= 12


def test_many_runs_at_once_leave_one_session(site: MasSite, user_id: str, path: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda _: keep(site, user_id, path), range(6)))
    kept = check_kept(site, user_id, path)
    assert {result.device_id for result in results} == {kept["device_id"]}


def test_a_run_that_was_taken_for_a_killed_one_has_what_the_other_kept(
    site: MasSite, user_id: str, path: str
) -> None:
    """The other one has ended the session that this one has opened, and does not yet use."""
    others: list[KeptToken] = []

    def be_slow(request: Request) -> None:
        if request.path.endswith("/account/whoami") and not others:
            others.append(keep(site, user_id, path))

    with Relay(site.synapse.url) as relay:
        relay.meddle = be_slow
        provisioner = Provisioner(**site.settings(homeserver=relay.url))
        slow = site.seen(provisioner.keep_token(user_id, path, overlap=0))
    kept = check_kept(site, user_id, path)
    assert others[0].is_new
    assert not slow.is_new
    assert slow.session_id == others[0].session_id == kept["session_id"]


def test_a_lost_answer_leaves_no_session(site: MasSite, user_id: str, path: str) -> None:
    fault = site.mas.faults.lose_answer("POST", CREATE)
    keep(site, user_id, path)
    assert fault.met == 1
    check_kept(site, user_id, path)


def test_mas_that_refuses_changes_nothing(site: MasSite, user_id: str, path: str) -> None:
    keep(site, user_id, path)
    kept = check_kept(site, user_id, path)
    site.mas.faults.answer("POST", CREATE, Answer(422, b"no"), times=None)
    site.error(HomeserverError, keep, site, user_id, path)
    site.mas.recover()
    assert check_kept(site, user_id, path) == kept


def test_an_account_that_nobody_may_use(site: MasSite, user_id: str, path: str) -> None:
    keep(site, user_id, path)
    kept = check_kept(site, user_id, path)
    user = site.user(user_id)
    user.locked_at = site.mas.clock.now()
    error = site.error(HomeserverError, keep, site, user_id, path)
    assert (error.errcode, "unlock" in (error.advice or "")) == ("M_USER_LOCKED", True)
    user.locked_at = None
    assert check_kept(site, user_id, path) == kept


def test_a_token_that_the_homeserver_does_not_take_replaces_none(
    site: MasSite, user_id: str, path: str
) -> None:
    """The account was locked just now, so that MAS has opened a session that is not active."""
    keep(site, user_id, path)
    kept = check_kept(site, user_id, path)
    # Synapse remembers what it was told of the kept token.
    inactive = Answer(200, b'{"active": false}', "application/json")
    site.mas.faults.answer("POST", "/oauth2/introspect", inactive)
    site.error(HomeserverError, keep, site, user_id, path)
    assert entry(site, path) == kept
    assert [one.id for one in kept_sessions(site, user_id)] == [kept["session_id"]]


def test_a_device_whose_token_is_kept_elsewhere(site: MasSite, user_id: str, path: str) -> None:
    device_id = keep(site, user_id, path, device_id="ABOTSDEVICE").device_id
    error = site.error(
        ConfigurationError, keep, site, user_id, f"{path}-other", device_id=device_id
    )
    assert error.key == "device_id"
    check_kept(site, user_id, path)
    assert entry(site, f"{path}-other") == {}


def test_it_takes_a_client_of_mas(site: MasSite, user_id: str, path: str) -> None:
    provisioner = Provisioner(**site.settings_without_client())
    error = site.error(ConfigurationError, provisioner.keep_token, user_id, path)
    assert error.key == "mas_admin_api"
    assert "to keep a token" in error.message
    assert entry(site, path) == {}


def test_a_token_from_before_mas_is_followed_on_its_device(
    site: MasSite, user_id: str, path: str
) -> None:
    """`syn2mas` makes a session of MAS' compatibility layer of it."""
    session = site.open_compat_session(user_id, "OLDONE")
    fields = {
        "access_token": site.confidential.add(session.token),
        "device_id": "OLDONE",
        "expires_at": None,
        "homeserver_url": site.synapse.url,
        "session_id": None,
        "user_id": user_id,
    }
    site.openbao.write(path.removeprefix("secret/"), fields)
    assert not keep(site, user_id, path, renew_before="7d").is_new
    result = keep(site, user_id, path)
    assert (result.is_new, result.device_id) == (True, "OLDONE")
    check_kept(site, user_id, path)
    assert session.finished_at is not None


def test_a_session_from_before_mas_has_the_overlap_too(
    site: MasSite, user_id: str, path: str
) -> None:
    """No entry has its token, but a program may."""
    session = site.open_compat_session(user_id, "OLDTWO")
    with ThreadPoolExecutor(1) as pool:
        keeping = pool.submit(keep, site, user_id, path, device_id="OLDTWO", overlap="2s")
        while not keeping.done() and "earlier_session_id" not in entry(site, path):
            time.sleep(0.05)
        assert session.finished_at is None
        assert site.user_of(session.token) == user_id
        keeping.result()
    check_kept(site, user_id, path)
    assert session.finished_at is not None


def test_a_device_by_hand_whose_token_is_kept_elsewhere(
    site: MasSite, user_id: str, path: str
) -> None:
    device_id = keep(site, user_id, path).device_id
    by_hand = {"device_id": device_id}
    site.openbao.write(f"{path}-hand".removeprefix("secret/"), by_hand)
    error = site.error(ConfigurationError, keep, site, user_id, f"{path}-hand")
    assert error.key == "device_id"
    assert entry(site, f"{path}-hand") == by_hand
    check_kept(site, user_id, path)


def test_a_long_name_is_cut(site: MasSite, user_id: str, path: str) -> None:
    keep(site, user_id, path, device_name="a" * 101 + "\n")
    kept = check_kept(site, user_id, path)
    answer = site.client(
        "GET", f"_matrix/client/v3/devices/{kept['device_id']}", kept["access_token"]
    )
    assert answer.json()["display_name"] == "a" * 100


def test_a_token_without_a_device_stays_if_mas_refuses(
    site: MasSite, user_id: str, path: str
) -> None:
    kept = {"access_token": "syt_from_elsewhere", "user_id": user_id}
    site.openbao.write(path.removeprefix("secret/"), kept)
    site.mas.faults.answer("POST", CREATE, Answer(422, b"no"), times=None)
    site.error(HomeserverError, keep, site, user_id, path)
    assert entry(site, path)["access_token"] == kept["access_token"]


def test_a_short_device_is_renewed_when_mas_has_forgotten_its_origin(
    site: MasSite, user_id: str, path: str
) -> None:
    session = site.open_compat_session(user_id, "OLDTHREE")
    keep(site, user_id, path, device_id="OLDTHREE")
    assert session.finished_at is not None
    del site.mas.database.compat_sessions[session.id]
    assert keep(site, user_id, path).device_id == "OLDTHREE"
    check_kept(site, user_id, path)


def test_another_run_during_the_overlap_gets_its_own(
    site: MasSite, user_id: str, path: str
) -> None:
    keep(site, user_id, path)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(keep, site, user_id, path, overlap="4s", lifetime="30d")
        second = wait_for_overlap(site, path)["session_id"]
        other = pool.submit(keep, site, user_id, path, overlap="3s", renew_before="31d")
        first.result()
        other.result()
    last = check_kept(site, user_id, path)
    sessions = site.mas.database.personal_sessions
    ended, opened = sessions[second].finished_at, sessions[last["session_id"]].created_at
    assert second != last["session_id"]
    assert ended is not None
    assert (ended - opened).total_seconds() > 2.5


def test_a_write_whose_answer_is_lost_keeps_its_session(
    site: MasSite, user_id: str, path: str
) -> None:
    """Somebody else writes the entry before the run can look whether it was its own write."""
    lost: list[dict[str, Any]] = []

    def lose(reply: Reply) -> Reply:
        kept = entry(site, path)
        if lost or "access_token" not in kept:
            return reply
        lost.append(kept)
        site.openbao.write(path.removeprefix("secret/"), kept)
        return Reply(502)

    with Relay(site.openbao.url) as relay:
        relay.edit = lose
        result = site.seen(site.provisioner(vault_url=relay.url).keep_token(user_id, path))
    assert result.session_id == lost[0]["session_id"]
    check_kept(site, user_id, path)
    assert len(site.deployment.sessions(user_id, is_active=None)) == 1
