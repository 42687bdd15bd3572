"""Metrics of real logins, where Prometheus reads them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.accounts import PATH_ROOT
from tests.harness.waiting import wait_until
from tests.servers.auth_methods import allow, approle
from tests.servers.relay import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.confidential import Confidential
    from tests.harness.core import Core
    from tests.harness.deployment import Deployment
    from tests.servers import OpenBao, Relay
    from tests.servers.metrics import Metrics
    from tests.servers.relay import Request

WRONG = "0" * 64


@pytest.fixture(params=["equipped", "passwordless"])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Return homeservers with metrics that name the module in either way."""
    found: Deployment = request.getfixturevalue(request.param)
    return found


def more(before: Metrics, after: Metrics) -> dict[str, float]:
    """Return how many logins came in between, by outcome."""
    earlier = before.logins()
    return {
        outcome: count - earlier.get(outcome, 0)
        for outcome, count in after.logins().items()
        if count != earlier.get(outcome, 0)
    }


def test_every_login_is_counted_once_under_its_outcome(deployment: Deployment) -> None:
    account = deployment.new_account()
    newcomer = deployment.put_secret(f"@counted-{deployment.name}:example.org")
    unwanted = deployment.put_secret(f"@_counted-{deployment.name}:example.org")
    unusable = deployment.new_user()
    deployment.put(unusable, {"login_secret": 5})
    # After a while without, an entry that is missing has the engine's version asked for again, and
    # is read again. Let that be over.
    deployment.log_in(deployment.new_user(), WRONG)
    before = deployment.synapse.metrics()
    for user, token_hash in (
        (account.user_id, account.token_hash),
        (account.user_id, account.token_hash),
        (account.user_id, WRONG),
        (account.user_id, WRONG[1:]),
        ("@nobody:example.org", WRONG),
        ("@alice:evil.org", WRONG),
        ("@a/../b:example.org", WRONG),
        (deployment.new_user(), WRONG),
        (unusable, WRONG),
        (newcomer.user_id, newcomer.token_hash),
        (unwanted.user_id, unwanted.token_hash),
    ):
        deployment.log_in(user, token_hash)
    for password in ("correct horse", account.login_secret, account.token_hash):
        identifier = {"type": "m.id.user", "user": account.user_id}
        body = {"type": "m.login.password", "identifier": identifier, "password": password}
        deployment.post_login(body)
    after = deployment.synapse.metrics()
    expected = {
        "ok": 3,
        "bad_hash": 1,
        "malformed_hash": 1,
        "unknown_user": 1,
        "foreign_user": 1,
        "unsafe_user_id": 1,
        "no_secret": 1,
        "unusable_secret": 1,
        "registered": 1,
        "registration_refused": 1,
    }
    assert more(before, after) == expected
    decided = [metrics.value("login_seconds_count") or 0 for metrics in (before, after)]
    assert decided[1] - decided[0] == sum(expected.values())
    read = [
        metrics.value("vault_request_seconds_count", operation="read") or 0
        for metrics in (before, after)
    ]
    # One for each right hash, and two for each other one that Vault was asked about.
    assert read[1] - read[0] == (3 + 1 + 1) + 2 * 4
    assert after.value("lookups_in_flight") == 0


def test_every_sample_names_the_homeserver_and_no_secret(deployment: Deployment) -> None:
    text = deployment.synapse.metrics_text()
    deployment.confidential.check_text(text)
    samples = list(deployment.synapse.metrics().samples)
    assert {sample.labels["server_name"] for sample in samples} == {"example.org"}
    assert not [line for line in text.splitlines() if "vault_auth" in line and "_created" in line]


def requests(core: Core, operation: str) -> int:
    """Return how often Vault was asked for something."""
    numbers, _ = core.counts().vault_requests[operation]
    return numbers[-1]


def test_requests_are_counted_by_their_kind(
    start_core: Callable[..., Core], openbao: OpenBao, confidential: Confidential
) -> None:
    policy = allow(openbao, "counted", f"secret/data/{PATH_ROOT}/*")
    auth = approle(openbao, "counted", policy, token_ttl="4s", token_max_ttl="1h")
    confidential.add(auth["secret_id"])
    core = start_core(vault_token=None, vault_auth=auth)
    for logins in range(1, 4):
        account = core.new_account()
        assert core.log_in(account.user_id, account.token_hash).code == "ok"
        assert requests(core, "read") == logins
    assert (requests(core, "mount"), requests(core, "login")) == (1, 1)
    wait_until("the token is renewed", lambda: requests(core, "renew_self"))
    _, seconds = core.counts().vault_requests["read"]
    assert 0 < seconds < 60


def test_the_end_of_the_token_is_told_and_follows_its_renewal(
    start_core: Callable[..., Core], openbao: OpenBao, confidential: Confidential
) -> None:
    policy = allow(openbao, "ending", f"secret/data/{PATH_ROOT}/*")

    def token(**parameters: Any) -> str:
        granted = openbao.api("POST", "auth/token/create", {"policies": [policy], **parameters})
        return confidential.add(granted["auth"]["client_token"])

    core = start_core(vault_token=token(ttl="1h"))
    wait_until("the end is known", lambda: core.counts().vault_token_expiry)
    assert abs((core.counts().vault_token_expiry or 0) - time.time() - 3600) < 60

    core = start_core(vault_token=token(period="3s"))
    wait_until("the end is known", lambda: core.counts().vault_token_expiry)
    first = core.counts().vault_token_expiry or 0
    wait_until("it is put off", lambda: (core.counts().vault_token_expiry or 0) > first)

    core = start_core(vault_token=openbao.root_token)
    wait_until("there is none", lambda: core.counts().vault_token_expiry == float("inf"))

    # A token that may not look itself up does not know.
    core = start_core(vault_token=token(no_default_policy=True))
    wait_until("it has asked", lambda: requests(core, "lookup_self"))
    assert core.counts().vault_token_expiry is None


def test_what_is_asked_again_is_counted(start_core: Callable[..., Core], relay: Relay) -> None:
    core = start_core(vault_kv_version=2)
    account = core.new_account()
    left = iter(range(3))

    def fail_thrice(request: Request) -> Reply | None:
        if "/data/" in request.path and next(left, None) is not None:
            return Reply(500, {"errors": ["internal error"]})
        return None

    relay.meddle = fail_thrice
    assert core.log_in(account.user_id, account.token_hash).code == "ok"
    assert core.counts().vault_retries == 3
    assert requests(core, "read") == 4


def test_what_is_given_up_is_counted(start_core: Callable[..., Core], relay: Relay) -> None:
    core = start_core(vault_kv_version=2, login_timeout="1s", request_timeout="1m")
    account = core.new_account()
    relay.hold()
    login = core.begin(account.user_id, account.token_hash)
    wait_until("it is under way", lambda: relay.reads(account.user_id))
    assert core.counts().lookups_in_flight == 1
    assert requests(core, "read") == 0
    assert core.outcome(login).code == "timeout"
    wait_until("it is counted", lambda: requests(core, "read"))
    assert core.counts().lookups_in_flight == 0


def test_what_the_cache_does_is_counted(start_core: Callable[..., Core], relay: Relay) -> None:
    core = start_core(cache={"ttl": "1h", "stale_if_error": "1h"})
    account = core.new_account()
    for expected in (
        {"hit": 0, "miss": 1, "stale": 0},
        {"hit": 1, "miss": 1, "stale": 0},
        {"hit": 2, "miss": 1, "stale": 0},
    ):
        assert core.log_in(account.user_id, account.token_hash).code == "ok"
        assert core.counts().cache == expected
    assert core.log_in(account.user_id, WRONG).code == "bad_hash"
    assert core.counts().cache == {"hit": 2, "miss": 2, "stale": 0}

    core = start_core(cache={"stale_if_error": "1h"})
    assert core.log_in(account.user_id, account.token_hash).code == "ok"
    assert core.counts().cache == {"hit": 0, "miss": 0, "stale": 0}
    relay.close()
    assert core.log_in(account.user_id, account.token_hash).code == "ok"
    assert core.counts().cache == {"hit": 0, "miss": 0, "stale": 1}
