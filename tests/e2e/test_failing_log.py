"""A homeserver whose log configuration breaks the lines of the module."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.harness.deployment import Deployment

FILTER = """
import logging

class Raises(logging.Filter):
    def filter(self, record):
        with open({seen!r}, "a") as file:
            print(record.getMessage(), file=file)
        raise ValueError("a filter that fails")
"""


def test_a_filter_that_raises_costs_no_login(
    start_homeserver: Callable[..., Deployment], tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    seen.touch()
    (tmp_path / "failing_filter.py").write_text(FILTER.format(seen=str(seen)))
    log_config = tmp_path / "log.yaml"
    log_config.write_text(
        json.dumps(
            {
                "version": 1,
                "filters": {"raises": {"()": "failing_filter.Raises"}},
                "handlers": {"none": {"class": "logging.NullHandler"}},
                "loggers": {
                    "synapse_vault_auth_provider": {"level": "DEBUG", "filters": ["raises"]}
                },
                "root": {"level": "INFO", "handlers": ["none"]},
                "disable_existing_loggers": False,
            }
        )
    )
    homeserver = start_homeserver(
        "failing-log",
        homeserver_yaml={"log_config": str(log_config)},
        environment={"PYTHONPATH": str(tmp_path)},
    )

    def lines() -> list[str]:
        return seen.read_text().splitlines()

    # It comes out of the core like the outcomes of logins, and inside the same callback.
    wait_until("the core says something", lambda: any("look itself up" in line for line in lines()))
    account = homeserver.new_account()
    for _ in range(3):
        answer = homeserver.synapse.login(account.user_id, account.token_hash, timeout=30)
        assert answer.status_code == 200, answer.text
    refused = homeserver.synapse.login(account.user_id, "0" * 64, timeout=30)
    assert (refused.status_code, refused.json()["errcode"]) == (403, "M_FORBIDDEN")
    assert sum(": ok: " in line for line in lines()) == 3
