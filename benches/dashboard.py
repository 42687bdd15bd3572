"""What the panels of the dashboard show while users log in and Vault goes away for a while.

Run by ``python -m benches.dashboard``, after ``make prometheus``. A real Prometheus reads the
metrics of a real Synapse and evaluates the expressions of ``contrib/grafana``. Prints a Markdown
table of the numbers behind each panel, while all is well and while Vault is away.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from synapse_vault_auth_provider import token_hash

from tests.harness.accounts import READ_USERS
from tests.harness.confidential import Confidential
from tests.harness.stack import Stack
from tests.servers import Prometheus, Relay, Synapse

ROOT = Path(__file__).parents[1]
DASHBOARD = ROOT / "contrib" / "grafana" / "synapse-vault-auth.json"
USERS = 20

VARIABLES = {"$server_name": ".+", "$instance": ".+", "$__rate_interval": "15s"}
"""What stands in the dashboard for what its reader chooses."""


def log_in(synapse: Synapse, users: dict[str, str], seconds: float) -> None:
    """Let users log in, one of ten with a wrong hash, for so long."""
    end = time.monotonic() + seconds

    def one_after_the_other(user_id: str) -> None:
        number = 0
        while time.monotonic() < end:
            number += 1
            synapse.login(user_id, "0" * 64 if number % 10 == 0 else users[user_id])
            time.sleep(0.2)

    with ThreadPoolExecutor(len(users)) as pool:
        list(pool.map(one_after_the_other, users))


def read(prometheus: Prometheus, target: dict[str, Any]) -> dict[str, float]:
    """Return the numbers that one line of a panel shows, by their legend."""
    expression = target["expr"]
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    numbers = {}
    for sample in prometheus.query(expression):
        legend = target["legendFormat"]
        for label, value in sample["metric"].items():
            legend = legend.replace(f"{{{{{label}}}}}", value)
        numbers[legend] = float(sample["value"][1])
    return numbers


def panels(prometheus: Prometheus) -> dict[tuple[str, str, str], float]:
    """Return all numbers on the dashboard by panel, legend and unit."""
    numbers = {}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        unit = panel["fieldConfig"]["defaults"]["unit"]
        for target in panel["targets"]:
            for legend, number in read(prometheus, target).items():
                # Of a port that is another one each time only this is worth telling.
                legend = "process" if legend.startswith("127.0.0.1:") else legend
                numbers[panel["title"], legend, unit] = number
    return numbers


def shown(number: float | None, unit: str) -> str:
    """Return a number as a reader of the dashboard wants it."""
    if number is None or math.isnan(number):
        return "-"
    if unit == "s":
        return f"{1000 * number:.1f} ms" if number < 10 else f"{number:.0f} s"
    return f"{number:.1f} /s" if unit in ("ops", "reqps") else f"{number:g}"


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="how long each half takes")
    seconds = parser.parse_args().seconds
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = stack.enter_context(Stack(directory, Confidential()))
        bao = servers.openbao
        bao.api("PUT", "sys/policies/acl/users", {"policy": READ_USERS})
        granted = bao.api("POST", "auth/token/create", {"policies": ["users"], "period": "768h"})
        relay = stack.enter_context(Relay(bao.url))
        homeserver = servers.start_homeserver(
            "dashboard",
            log_level="WARNING",
            has_metrics=True,
            vault_url=relay.url,
            vault_token=granted["auth"]["client_token"],
            login_timeout="2s",
            cache={"stale_if_error": "1h"},
        )
        synapse = homeserver.synapse
        prometheus = Prometheus(directory / "prometheus", [f"127.0.0.1:{synapse.metrics_port}"])
        stack.callback(prometheus.stop)
        prometheus.start()
        users = {}
        for number in range(USERS):
            user_id = synapse.register(f"user{number}")
            bao.write(f"matrix/users/{user_id}", {"login_secret": user_id})
            users[user_id] = token_hash(user_id, user_id)
        log_in(synapse, users, seconds)
        well = panels(prometheus)
        relay.close()
        log_in(synapse, users, seconds)
        away = panels(prometheus)
    print("| Panel | Line | All is well | Vault is away |")
    print("| --- | --- | --- | --- |")
    for panel, legend, unit in dict.fromkeys([*well, *away]):
        numbers = [shown(half.get((panel, legend, unit)), unit) for half in (well, away)]
        if numbers == ["-", "-"]:
            continue
        print(f"| {panel} | {legend} | {numbers[0]} | {numbers[1]} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
