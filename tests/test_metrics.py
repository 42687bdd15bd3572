"""Metrics: what is shown, and what is added up."""

from __future__ import annotations

import gc
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import REGISTRY, generate_latest
from synapse_vault_auth_provider._core import (
    OUTCOMES,
    VAULT_REQUEST_BUCKETS,
    LoginService,
)
from synapse_vault_auth_provider.metrics import LoginMetrics

from .harness.login_service import login_service
from .servers.metrics import Metrics
from .servers.port import ReservedPort
from .servers.prometheus import prometheus_command
from .test_alerts import needs_promtool

if TYPE_CHECKING:
    from collections.abc import Callable

TYPES = {
    "synapse_vault_auth_logins": "counter",
    "synapse_vault_auth_login_seconds": "histogram",
    "synapse_vault_auth_vault_request_seconds": "histogram",
    "synapse_vault_auth_mas_request_seconds": "histogram",
    "synapse_vault_auth_vault_retries": "counter",
    "synapse_vault_auth_cache": "counter",
    "synapse_vault_auth_vault_token_expiry_timestamp_seconds": "gauge",
    "synapse_vault_auth_lookups_in_flight": "gauge",
}

NOBODY_LISTENS = ReservedPort()

OPERATIONS = {"read", "mount", "lookup_self", "renew_self", "login", "unwrap", "health"}


def service(**settings: Any) -> LoginService:
    config = {
        "vault_url": f"http://127.0.0.1:{NOBODY_LISTENS}",
        "vault_token": "hvs.s3cret",
        "vault_path_root": "matrix/users",
        **settings,
    }
    return login_service(config)


def shown() -> Metrics:
    return Metrics(generate_latest(REGISTRY).decode())


@pytest.fixture
def refuse() -> Callable[[LoginMetrics, str], None]:
    def refuse_one(metrics: LoginMetrics, user_id: str) -> None:
        _, outcome = service().begin(0, user_id, "0" * 64)
        assert outcome is not None
        metrics.record(outcome, 0.02)

    return refuse_one


def test_all_metrics_of_the_design_are_there_with_their_types() -> None:
    metrics = LoginMetrics("types.org", service())
    assert {name: family.type for name, family in shown().families.items()} == TYPES
    del metrics


def test_every_value_of_a_label_is_there_from_the_start() -> None:
    logins = service()
    LoginMetrics("zero.org", logins)
    metrics = shown()
    for outcome in OUTCOMES:
        assert metrics.value("logins_total", server_name="zero.org", outcome=outcome) == 0
    for operation in OPERATIONS:
        name = "vault_request_seconds_count"
        assert metrics.value(name, server_name="zero.org", operation=operation) == 0
    for result in ("hit", "miss", "stale"):
        assert metrics.value("cache_total", server_name="zero.org", result=result) == 0
    for name in ("vault_retries_total", "lookups_in_flight", "login_seconds_count"):
        assert metrics.value(name, server_name="zero.org") == 0
    # What is not known is not shown.
    assert metrics.value("vault_token_expiry_timestamp_seconds", server_name="zero.org") is None


def test_every_sample_names_its_homeserver() -> None:
    logins = service()
    LoginMetrics("named.org", logins)
    metrics = shown()
    named = {sample.name for sample in metrics.samples if sample.labels.get("server_name")}
    assert named == {sample.name for sample in metrics.samples}


def test_a_module_that_is_configured_twice_is_counted_once(
    refuse: Callable[[LoginMetrics, str], None],
) -> None:
    services = [service(), service()]
    for metrics in [LoginMetrics("twice.org", each) for each in services]:
        refuse(metrics, "@alice:evil.org")
    found = shown()
    outcome = {"server_name": "twice.org", "outcome": "foreign_user"}
    assert found.value("logins_total", **outcome) == 2
    assert found.value("login_seconds_count", server_name="twice.org") == 2
    names = [
        (sample.name, *sample.labels.items())
        for sample in found.samples
        if sample.labels["server_name"] == "twice.org"
    ]
    assert len(names) == len(set(names))


def test_homeservers_of_one_process_are_counted_apart(
    refuse: Callable[[LoginMetrics, str], None],
) -> None:
    services = [service(), service()]
    one, _ = (
        LoginMetrics(name, each) for name, each in zip(("a.org", "b.org"), services, strict=True)
    )
    refuse(one, "@alice:evil.org")
    for server_name, count in (("a.org", 1), ("b.org", 0)):
        assert shown().value("login_seconds_count", server_name=server_name) == count


def test_a_service_that_is_gone_is_not_shown() -> None:
    LoginMetrics("gone.org", service())
    gc.collect()
    assert shown().value("lookups_in_flight", server_name="gone.org") is None


def test_there_is_a_number_for_each_bucket_and_one_for_all() -> None:
    counts = service().counts()
    assert set(counts.vault_requests) == OPERATIONS
    for numbers, _ in counts.vault_requests.values():
        assert len(numbers) == len(VAULT_REQUEST_BUCKETS) + 1


@needs_promtool
def test_promtool_finds_nothing_wrong_with_the_names() -> None:
    logins = service()
    LoginMetrics("lint.org", logins)
    text = "".join(
        line + "\n"
        for line in generate_latest(REGISTRY).decode().splitlines()
        if "synapse_vault_auth_" in line
    )
    result = subprocess.run(
        [str(prometheus_command("promtool")), "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout + result.stderr) == (0, "")
