"""What the log says of logins, and how often."""

from __future__ import annotations

import logging
import select
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider._core import LoginService, Outcome
from synapse_vault_auth_provider.outcomes import LONGEST_USER_ID, REPEAT_INTERVAL, OutcomeLog

from .harness.login_service import login_service
from .servers.port import ReservedPort

if TYPE_CHECKING:
    from collections.abc import Callable

ALICE = "@alice:example.org"
HASH = "0" * 64

NOBODY_LISTENS = ReservedPort()


class Clock:
    """A clock that goes on only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def record(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> Callable[..., list[logging.LogRecord]]:
    """Log one outcome and return the records that came of it."""
    log = OutcomeLog(clock)
    caplog.set_level(logging.DEBUG, logger="synapse_vault_auth_provider")

    def record_one(outcome: Outcome, user: object = ALICE) -> list[logging.LogRecord]:
        caplog.clear()
        log.record(user, outcome, 0.0123)
        return list(caplog.records)

    return record_one


def service() -> LoginService:
    settings = {
        "vault_url": f"http://127.0.0.1:{NOBODY_LISTENS}",
        "vault_token": "hvs.s3cret",
        "vault_path_root": "matrix/users",
        "login_timeout": "1ms",
    }
    return login_service(settings)


def starting() -> Outcome:
    """Return the outcome of a service that was not started."""
    _, outcome = service().begin(0, ALICE, HASH)
    assert outcome is not None
    return outcome


def unreachable(user_id: str = ALICE) -> Outcome:
    """Return the outcome of a service that cannot reach Vault."""
    logins = service()
    logins.start()
    _, refusal = logins.begin(0, user_id, HASH)
    if refusal is not None:
        return refusal
    assert logins.decide(0, None) is None
    with closing(select.epoll()) as epoll:
        epoll.register(logins.fileno(), select.EPOLLIN)
        decided: list[tuple[int, Outcome]] = []
        while not decided:
            assert epoll.poll(60)
            decided, _, _, _ = logins.drain()
    logins.stop()
    [(_, outcome)] = decided
    return outcome


def refusal(user_id: object, token_hash: object) -> Outcome:
    _, outcome = service().begin(0, user_id, token_hash)
    assert outcome is not None
    return outcome


@pytest.mark.parametrize(
    ("user_id", "token_hash", "code"),
    [
        (ALICE, "0" * 63, "malformed_hash"),
        (ALICE, None, "malformed_hash"),
        (ALICE, "\ud800" * 64, "malformed_hash"),
        ("@alice:elsewhere.org", HASH, "foreign_user"),
        ("@a/../b:example.org", HASH, "unsafe_user_id"),
        ("@al\nice:example.org", HASH, "unsafe_user_id"),
        ("@\ud800:example.org", HASH, "unsafe_user_id"),
        (None, HASH, "unsafe_user_id"),
    ],
    ids=ascii,
)
def test_a_refusal_is_a_warning_every_time(
    record: Callable[..., list[logging.LogRecord]], user_id: object, token_hash: object, code: str
) -> None:
    outcome = refusal(user_id, token_hash)
    assert (outcome.code, outcome.accepted, outcome.failed) == (code, False, False)
    assert outcome.path is None
    for _ in range(3):
        (line,) = record(outcome, user_id)
        assert line.levelno == logging.WARNING
        assert f": {code}: {outcome.reason} [12 ms]" in line.getMessage()


def test_a_failure_is_an_error_that_names_the_path_in_vault(
    record: Callable[..., list[logging.LogRecord]],
) -> None:
    outcome = unreachable()
    assert outcome.failed
    (line,) = record(outcome)
    assert line.levelno == logging.ERROR
    assert "('secret/matrix/users/@alice:example.org')" in line.getMessage()


def test_a_repeated_failure_is_an_error_once_in_an_interval_and_counted(
    record: Callable[..., list[logging.LogRecord]], clock: Clock
) -> None:
    outcome = starting()
    assert [line.levelno for line in record(outcome)] == [logging.ERROR]
    for seconds in (0, REPEAT_INTERVAL / 2, REPEAT_INTERVAL / 2 - 0.001):
        clock.now += seconds
        assert [line.levelno for line in record(outcome)] == [logging.DEBUG]
    clock.now += 0.001
    (line,) = record(outcome)
    assert line.levelno == logging.ERROR
    assert line.getMessage().endswith(" and 3 more like it before")
    # The count begins again, and so does the interval.
    assert [line.levelno for line in record(outcome)] == [logging.DEBUG]
    clock.now += REPEAT_INTERVAL
    (line,) = record(outcome)
    assert line.getMessage().endswith(" and 1 more like it before")
    clock.now += REPEAT_INTERVAL
    (line,) = record(outcome)
    assert line.levelno == logging.ERROR
    assert "more like it" not in line.getMessage()


def test_what_was_held_back_is_told_however_late_the_failure_comes_back(
    record: Callable[..., list[logging.LogRecord]], clock: Clock
) -> None:
    outcome = starting()
    record(outcome)
    record(outcome)
    clock.now += 1000 * REPEAT_INTERVAL
    record(unreachable())
    (line,) = record(outcome)
    assert line.levelno == logging.ERROR
    assert line.getMessage().endswith(" and 1 more like it before")


def test_one_failure_does_not_hold_back_another_nor_a_refusal(
    record: Callable[..., list[logging.LogRecord]],
) -> None:
    record(starting())
    assert [line.levelno for line in record(unreachable())] == [logging.ERROR]
    assert [line.levelno for line in record(refusal(ALICE, None))] == [logging.WARNING]


def test_a_failure_that_hits_many_users_is_one_failure(
    record: Callable[..., list[logging.LogRecord]],
) -> None:
    outcome = starting()
    levels = [record(outcome, f"@user{number}:example.org")[0].levelno for number in range(3)]
    assert levels == [logging.ERROR, logging.DEBUG, logging.DEBUG]


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\x1b[2J", "\0", "\x85", "\u2028", "\u202e"])
def test_what_would_break_a_line_is_escaped(
    record: Callable[..., list[logging.LogRecord]], separator: str
) -> None:
    user_id = f"@alice{separator}ERROR forged:example.org"
    outcome = unreachable(user_id)
    (line,) = record(outcome, user_id)
    message = line.getMessage()
    assert message.isprintable()
    assert "@alice\\" in message


@pytest.mark.parametrize("character", ["a", "ü", "\n", "\ud800", "\U0010ffff"], ids=ascii)
def test_a_name_of_megabytes_is_cut(
    record: Callable[..., list[logging.LogRecord]], character: str
) -> None:
    user_id = character * 4_000_000
    (line,) = record(refusal(user_id, HASH), user_id)
    # A character takes ten at most when escaped.
    assert len(line.getMessage()) < 10 * LONGEST_USER_ID + 200
    assert "…" in line.getMessage()


def test_the_longest_name_of_matrix_is_not_cut(
    record: Callable[..., list[logging.LogRecord]],
) -> None:
    user_id = f"@{'a' * 242}:example.org"
    (line,) = record(starting(), user_id)
    assert user_id in line.getMessage()
    assert "…" not in line.getMessage()


@pytest.mark.parametrize(
    ("user", "kind"),
    [(None, "NoneType"), (5, "int"), (["@alice"], "list"), ({"@alice": 1}, "dict")],
    ids=["null", "number", "list", "mapping"],
)
def test_a_name_that_is_no_string_is_named_by_its_type(
    record: Callable[..., list[logging.LogRecord]], user: object, kind: str
) -> None:
    (line,) = record(refusal(user, HASH), user)
    assert f"Login of something that is no string but {kind}: unsafe_user_id" in line.getMessage()
    assert "alice" not in line.getMessage()


def test_no_token_and_no_hash_is_logged(
    record: Callable[..., list[logging.LogRecord]],
) -> None:
    malformed = "f00d" * 15
    for outcome in (refusal(ALICE, malformed), starting(), unreachable()):
        for line in record(outcome):
            message = f"{line.getMessage()} {outcome!r}"
            assert not any(secret in message for secret in ("s3cret", malformed, HASH))
