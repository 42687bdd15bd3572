"""Alert rules and the dashboard: that they are valid, and name what exists."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY, generate_latest
from synapse_vault_auth_provider._core import OUTCOMES
from synapse_vault_auth_provider.metrics import LoginMetrics

from .harness.login_service import login_service
from .servers.metrics import Metrics
from .servers.prometheus import prometheus_command

CONTRIB = Path(__file__).parent.parent / "contrib"
RULES = CONTRIB / "prometheus" / "synapse-vault-auth.rules.yml"
DASHBOARD = CONTRIB / "grafana" / "synapse-vault-auth.json"

# Where none may be left out, it must be there.
needs_promtool = pytest.mark.skipif(
    prometheus_command("promtool") is None and not os.environ.get("PROMTOOL_REQUIRED"),
    reason="there is no promtool: make prometheus fetches it on Debian and Ubuntu",
)


def promtool(*arguments: str | Path) -> None:
    """Run promtool, and fail with what it says if it is not content."""
    result = subprocess.run(
        [str(prometheus_command("promtool")), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def expressions() -> dict[str, str]:
    """Return every PromQL expression by the name of what it belongs to."""
    found = {alert["alert"]: alert["expr"] for alert in alerts()}
    for panel in panels():
        for target in panel["targets"]:
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    return found


@pytest.fixture(scope="module")
def shown() -> Metrics:
    """Return the metrics of a homeserver that was just started."""
    config = {
        "vault_url": "http://127.0.0.1:1",
        "vault_token": "t",
        "vault_path_root": "matrix/users",
    }
    service = login_service(config, server_name="alerts.org")
    LoginMetrics("alerts.org", service)
    return Metrics(generate_latest(REGISTRY).decode())


@needs_promtool
def test_the_rules_are_valid() -> None:
    promtool("check", "rules", RULES)


@needs_promtool
@pytest.mark.parametrize("file", sorted((CONTRIB / "prometheus").glob("*.test.yml")), ids=str)
def test_the_alerts_fire_when_they_should_and_not_otherwise(file: Path) -> None:
    promtool("test", "rules", file)


def test_every_alert_has_a_test() -> None:
    tested = "".join(file.read_text() for file in (CONTRIB / "prometheus").glob("*.test.yml"))
    for alert in alerts():
        assert re.search(rf"alertname: {alert['alert']}\n +exp_alerts:", tested), alert["alert"]


@pytest.mark.parametrize("name", expressions())
def test_everything_named_exists(name: str, shown: Metrics) -> None:
    expression = expressions()[name]
    samples = {sample.name for sample in shown.samples}
    # It has no sample until the end of the token is known.
    samples.add("synapse_vault_auth_vault_token_expiry_timestamp_seconds")
    # It has some once the service runs, and has MAS.
    samples.add("synapse_vault_auth_mas_request_seconds_bucket")
    named = set(re.findall(r"synapse_vault_auth_\w+", expression))
    assert named
    assert named <= samples
    labels = {label for sample in shown.samples for label in sample.labels}
    # Prometheus adds one that says which process it asked.
    labels.add("instance")
    for selector in re.findall(r"\{([^{}]*)\}", expression):
        for label, value in re.findall(r'(\w+)=~?"([^"]*)"', selector):
            assert label in labels
            if label == "outcome":
                assert set(value.split("|")) <= set(OUTCOMES)
    for group in re.findall(r"by \(([^()]*)\)", expression):
        assert set(group.split(", ")) <= labels


def test_every_metric_is_on_the_dashboard(shown: Metrics) -> None:
    drawn = "".join(target["expr"] for panel in panels() for target in panel["targets"])
    for family in shown.families:
        assert family in drawn


def test_every_failure_and_refusal_is_watched() -> None:
    watched = "".join(alert["expr"] for alert in alerts())
    for outcome in set(OUTCOMES) - {"ok", "registered"}:
        assert re.search(rf"\b{outcome}\b", watched), outcome
