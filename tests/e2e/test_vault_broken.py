"""Answers that no working Vault gives: each is a refusal, is logged, and costs little."""

from __future__ import annotations

import json
import re
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import BrokenVault
from tests.servers.broken_vault import answer, flood, hang_up, raw, silence, trickle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.accounts import Account
    from tests.harness.deployment import Attempt, Deployment
    from tests.servers.broken_vault import Behaviour

JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

SEALED = {"errors": ["Vault is sealed"]}


def entry(login_secret: str) -> dict[str, Any]:
    """Return what Vault answers when it is asked for a user's secret."""
    metadata = {
        "created_time": "2026-01-01T00:00:00Z",
        "custom_metadata": None,
        "deletion_time": "",
        "destroyed": False,
        "version": 1,
    }
    return {
        "request_id": "a0",
        "lease_id": "",
        "renewable": False,
        "lease_duration": 0,
        "data": {"data": {"login_secret": login_secret}, "metadata": metadata},
        "wrap_info": None,
        "warnings": None,
        "auth": None,
    }


def check_broken(attempt: Attempt, outcome: str) -> None:
    attempt.check_refused(outcome)
    # An error, unless the same one was logged just before.
    assert attempt.line.level in {"ERROR", "DEBUG"}


@pytest.fixture
def account(long_deadline: Deployment) -> Account:
    return long_deadline.new_account()


def test_the_right_answer_of_a_listener_like_ours_lets_in(
    long_deadline: Deployment, broken_vault: BrokenVault, account: Account
) -> None:
    # The tests below would hold for a listener that nobody understands, too.
    broken_vault.listen(answer(200, entry(account.login_secret)))
    long_deadline.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)


# Each makes an answer out of one that would let in.
ANSWERS: dict[str, tuple[str, Callable[[bytes], Behaviour]]] = {
    "a web page": ("vault_error", lambda _: answer(200, b"<html>It works!</html>")),
    "no body": ("vault_error", lambda _: answer(200, b"")),
    "half the body": ("vault_error", lambda right: answer(200, right[: right.index(b"metadata")])),
    "bytes after the body": ("vault_error", lambda right: answer(200, right + b"x")),
    "no UTF-8": ("vault_error", lambda right: answer(200, right.replace(b"secret-", b"\xff"))),
    "null": ("vault_error", lambda _: answer(200, b"null")),
    "a number": ("vault_error", lambda _: answer(200, b"5")),
    "a text": ("vault_error", lambda right: answer(200, json.dumps(right.decode()))),
    "a list": ("vault_error", lambda right: answer(200, b"[" + right + b"]")),
    "deep lists": ("vault_error", lambda _: answer(200, b"[" * 500_000)),
    "deep mappings": ("vault_error", lambda _: answer(200, b'{"data":' * 50_000)),
    "an entry of KV version 1": (
        "vault_error",
        lambda right: answer(200, {"data": json.loads(right)["data"]["data"]}),
    ),
    "201": ("vault_error", lambda right: answer(201, right)),
    "204": ("vault_error", lambda _: answer(204)),
    "400": ("vault_error", lambda _: answer(400, {"errors": ["no"]})),
    "401": ("vault_error", lambda _: answer(401)),
    "403 of Vault": ("vault_denied", lambda _: answer(403, {"errors": ["permission denied"]})),
    "403 with the entry": ("vault_denied", lambda right: answer(403, right)),
    "404 of another server": ("vault_error", lambda _: answer(404, b"<html>Not found</html>")),
    "405": ("vault_error", lambda _: answer(405, b"\x00\x01")),
    "418": ("vault_error", lambda right: answer(418, right)),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_wrong_answer_is_a_refusal_and_not_asked_for_twice(
    long_deadline: Deployment, broken_vault: BrokenVault, account: Account, kind: str
) -> None:
    outcome, behaviour = ANSWERS[kind]
    broken_vault.listen(behaviour(json.dumps(entry(account.login_secret)).encode()))
    check_broken(long_deadline.log_in(account.user_id, account.token_hash), outcome)
    assert broken_vault.reads(account.user_id) == 1


NO_ANSWERS: dict[str, tuple[str, Behaviour]] = {
    "silence": ("timeout", silence),
    "a header without end": ("timeout", trickle(b"HTTP/1.1 200 OK\r\nServer: ")),
    "a body without end": ("timeout", trickle(JSON_HEAD + b"Content-Length: 100000\r\n\r\n")),
    "a chunk without end": (
        "timeout",
        trickle(JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n"),
    ),
    "hanging up": ("vault_unavailable", hang_up),
    "another protocol": ("vault_error", raw(b"SSH-2.0-OpenSSH_9.9\r\n")),
    "a body that breaks off": (
        "vault_unavailable",
        raw(JSON_HEAD + b'Content-Length: 100\r\n\r\n{"data":{"data":'),
    ),
    "503 of a sealed Vault": ("vault_unavailable", answer(503, SEALED)),
    "500": ("vault_unavailable", answer(500)),
}


@pytest.mark.parametrize("kind", NO_ANSWERS)
def test_without_an_answer_a_login_ends_with_its_time(
    short_deadline: Deployment, short_deadline_vault: BrokenVault, kind: str
) -> None:
    outcome, behaviour = NO_ANSWERS[kind]
    short_deadline_vault.listen(behaviour)
    account = short_deadline.new_account()
    check_broken(short_deadline.log_in(account.user_id, account.token_hash), outcome)


def test_where_nothing_listens_vault_is_unavailable(
    short_deadline: Deployment, short_deadline_vault: BrokenVault
) -> None:
    short_deadline_vault.close()
    account = short_deadline.new_account()
    attempt = short_deadline.log_in(account.user_id, account.token_hash)
    check_broken(attempt, "vault_unavailable")
    assert short_deadline_vault.url in attempt.line.message
    assert "Connection refused" in attempt.line.message


@pytest.fixture
def trap(account: Account) -> Iterator[BrokenVault]:
    """Return a listener that would let the account in, if it were asked."""
    trap = BrokenVault()
    trap.listen(answer(200, entry(account.login_secret)))
    yield trap
    trap.close()


@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 308])
def test_a_redirect_is_not_followed(
    long_deadline: Deployment,
    broken_vault: BrokenVault,
    trap: BrokenVault,
    account: Account,
    status: int,
) -> None:
    broken_vault.listen(answer(status, Location=f"{trap.url}/v1/secret/data/x"))
    check_broken(long_deadline.log_in(account.user_id, account.token_hash), "vault_error")
    assert broken_vault.reads(account.user_id) == 1
    assert trap.connections == 0


def test_a_standbys_redirect_to_a_stranger_is_not_followed(
    short_deadline: Deployment, short_deadline_vault: BrokenVault, trap: BrokenVault
) -> None:
    short_deadline_vault.listen(answer(307, Location=f"{trap.url}/v1/secret/data/x"))
    account = short_deadline.new_account()
    check_broken(short_deadline.log_in(account.user_id, account.token_hash), "vault_unavailable")
    assert trap.connections == 0


def memory(process_id: int, field: str) -> int:
    """Return a line of the process's memory statistics, in megabytes.

    `VmRSS` is what it has now, `VmHWM` the most it ever had.
    """
    status = Path(f"/proc/{process_id}/status").read_text()
    match = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
    assert match is not None
    return int(match[1]) // 1024


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "in chunks"])
def test_an_answer_of_a_hundred_megabytes_is_not_kept_in_memory(
    long_deadline: Deployment, broken_vault: BrokenVault, account: Account, announced: bool
) -> None:
    broken_vault.listen(flood(1, announced=announced))
    check_broken(long_deadline.log_in(account.user_id, account.token_hash), "vault_error")
    process = long_deadline.synapse.process
    assert process is not None
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # sets VmHWM back to VmRSS
    before = memory(process.pid, "VmRSS")
    broken_vault.listen(flood(100, announced=announced))
    check_broken(long_deadline.log_in(account.user_id, account.token_hash), "vault_error")
    assert memory(process.pid, "VmHWM") - before < 25


def test_one_failure_is_one_error_in_ten_seconds_and_else_for_debugging(
    long_deadline: Deployment, broken_vault: BrokenVault
) -> None:
    broken_vault.listen(answer(400, {"errors": ["seen nowhere but here"]}))
    lines = []
    for _ in range(8):
        user_id = long_deadline.new_user()
        lines.append(long_deadline.log_in(user_id, "0" * 64).line)
    assert all("seen nowhere but here" in line.message for line in lines)
    assert lines[0].level == "ERROR"
    assert {line.level for line in lines[1:]} <= {"ERROR", "DEBUG"}
    # On a slow machine there may be more of them.
    times = [line.time.replace(",", ".") for line in lines if line.level == "ERROR"]
    errors = [datetime.fromisoformat(time) for time in times]
    assert all((later - earlier).total_seconds() > 9 for earlier, later in pairwise(errors))

    # Another error is no repetition.
    broken_vault.listen(answer(400, {"errors": ["seen nowhere but there"]}))
    assert long_deadline.log_in(long_deadline.new_user(), "0" * 64).line.level == "ERROR"
