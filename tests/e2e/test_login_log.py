"""What an administrator reads in Synapse's log of a login, and what is never there."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.harness.deployment import LOGGER

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.deployment import Attempt, Deployment

WRONG = "0" * 64

SYNAPSES_LOGIN = "synapse.rest.client.login"
"""Synapse's logger that says which request wants to log in whom."""


def ok(deployment: Deployment) -> Attempt:
    account = deployment.new_account()
    return deployment.log_in(account.user_id, account.token_hash)


def no_secret(deployment: Deployment) -> Attempt:
    return deployment.log_in(deployment.new_user(), WRONG)


def unusable_secret(deployment: Deployment) -> Attempt:
    user_id = deployment.new_user()
    deployment.put(user_id, {"login_secret": 5})
    return deployment.log_in(user_id, WRONG)


# The outcomes of a Vault that fails are in the tests that break it.
SCENARIOS: dict[str, tuple[str, Callable[[Deployment], Attempt]]] = {
    "ok": ("INFO", ok),
    "bad_hash": ("WARNING", lambda it: it.log_in(it.new_account().user_id, WRONG)),
    "malformed_hash": ("WARNING", lambda it: it.log_in(it.new_account().user_id, WRONG[1:])),
    "unknown_user": ("WARNING", lambda it: it.log_in("@nobody:example.org", WRONG)),
    "foreign_user": ("WARNING", lambda it: it.log_in("@alice:evil.org", WRONG)),
    "unsafe_user_id": ("WARNING", lambda it: it.log_in("@a/../b:example.org", WRONG)),
    "no_secret": ("WARNING", no_secret),
    "unusable_secret": ("WARNING", unusable_secret),
}


@pytest.mark.parametrize("outcome", SCENARIOS)
def test_a_login_is_one_line_that_tells_its_outcome_and_its_request(
    deployment: Deployment, outcome: str
) -> None:
    level, scenario = SCENARIOS[outcome]
    attempt = scenario(deployment)
    assert attempt.outcome == outcome
    assert attempt.line.level == level
    assert re.fullmatch(r"POST-\d+", attempt.line.request), attempt.line
    [asked] = [record for record in attempt.records if record.logger == SYNAPSES_LOGIN]
    assert attempt.line.request == asked.request


def test_the_line_names_the_user_and_where_the_secret_should_be(deployment: Deployment) -> None:
    user_id = deployment.new_user()
    message = deployment.log_in(user_id.upper().replace("EXAMPLE.ORG", "example.org"), WRONG).line
    assert repr(user_id) in message.message
    assert f"secret/matrix/users/{user_id}" in message.message


@pytest.mark.parametrize(
    "user",
    ["x" * 500_000, "\n" * 500_000, "@" + "\U000e0001" * 50_000, "'\"\\" * 100_000],
    ids=["letters", "line breaks", "unprintable", "quotes"],
)
def test_the_line_is_short_however_long_the_id_is(deployment: Deployment, user: str) -> None:
    # `outcome` fails if it is long, or more than one line.
    assert deployment.log_in(user, WRONG).outcome == "unsafe_user_id"


def test_an_id_that_reads_like_a_line_of_the_log_forges_none(deployment: Deployment) -> None:
    forged = "@x': ok: the token hash is right [1 ms]:example.org"
    deployment.log_in(forged, WRONG).check_refused("foreign_user")
    deployment.log_in(forged.replace("'", '"'), WRONG).check_refused("foreign_user")
    deployment.log_in(forged.replace("'", "'\""), WRONG).check_refused("foreign_user")


def test_logins_at_the_same_time_keep_their_outcomes_and_requests_apart(
    deployment: Deployment,
) -> None:
    accounts = [deployment.new_account() for _ in range(40)]
    since = deployment.synapse.log_size()

    def log_in(number: int) -> int:
        account = accounts[number]
        token_hash = account.token_hash if number % 2 else WRONG
        return deployment.synapse.login(account.user_id, token_hash, 300).status_code

    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(log_in, range(len(accounts))))
    assert statuses == [200 if number % 2 else 403 for number in range(len(accounts))]

    records = deployment.synapse.log_records(since)
    asked = {
        record.request: record.message for record in records if record.logger == SYNAPSES_LOGIN
    }
    lines = {record.request: record.message for record in records if record.logger == LOGGER}
    assert len(lines) == len(accounts)
    for number, account in enumerate(accounts):
        [request] = [request for request, text in asked.items() if repr(account.user_id) in text]
        outcome = "ok" if number % 2 else "bad_hash"
        assert f"Login of {account.user_id!r}: {outcome}: " in lines[request]


def test_no_secret_token_or_hash_is_in_the_log(deployment: Deployment) -> None:
    account = deployment.new_account()
    right = account.token_hash
    deployment.log_in(account.user_id, right).check_accepted(account.user_id)
    deployment.log_in(account.user_id, right.upper()).check_accepted(account.user_id)
    deployment.log_in("@nobody:example.org", right).check_refused("unknown_user")
    deployment.log_in("@alice:evil.org", right).check_refused("foreign_user")
    deployment.log_in("@a//b:example.org", right).check_refused("unsafe_user_id")
    for malformed in (right + "0", [right], {right: right}, right + "\n", int(right, 16)):
        deployment.log_in(account.user_id, malformed).check_refused("malformed_hash")
    deployment.confidential.add(str(int(right, 16)))
    for value in ([account.login_secret], {account.login_secret: account.login_secret}):
        deployment.put(account.user_id, {"login_secret": value})
        deployment.log_in(account.user_id, right).check_refused("unusable_secret")
    deployment.put(account.user_id, {account.login_secret: json.dumps(account.login_secret)})
    deployment.log_in(account.user_id, right).check_refused("unusable_secret")

    # The check would find them: the log is there, at its most talkative.
    records = deployment.synapse.log_records()
    assert {"DEBUG", "INFO", "WARNING"} <= {record.level for record in records}
    assert account.user_id in deployment.synapse.log()
    assert len(deployment.confidential) > 4
    deployment.confidential.check(deployment.synapse)
