"""Synapse's own tools read the configuration without the homeserver's environment and rights."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import Registration, Synapse

if TYPE_CHECKING:
    from pathlib import Path

LACKING: dict[str, dict[str, Any]] = {
    "vault_token": {},
    "vault_token_file": {"vault_token_file": "/nowhere/token"},
    "vault_tls.ca_cert": {"vault_token": "t", "vault_tls": {"ca_cert": "/nowhere/ca.pem"}},
}
"""Configurations that lack something here, by the key that names it."""


def configured(directory: Path, registration: Registration, **config: Any) -> Synapse:
    address = {"vault_url": "http://127.0.0.1:9", "vault_path_root": "matrix/users"}
    return Synapse(directory, {**address, **config}, registration=registration)


def run(synapse: Synapse, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of Synapse's to its end."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(synapse.directory)}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(
        command,
        cwd=synapse.directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("registration", "key"),
    [
        *((Registration.MODERN, key) for key in LACKING),
        (Registration.LEGACY, "vault_token"),
    ],
)
def test_only_a_process_that_serves_clients_needs_what_is_missing(
    tmp_path: Path, registration: Registration, key: str
) -> None:
    synapse = configured(tmp_path, registration, **LACKING[key])
    path = str(synapse.config_path)
    script = "synapse._scripts."
    for tool in (
        (script + "update_synapse_database", "--database-config", path),
        (script + "generate_workers_map", "--config-path", path),
        ("synapse.app.admin_cmd", "-c", path, "export-data", "@alice:example.org"),
    ):
        result = run(synapse, *tool)
        assert result.returncode == 0, result.stderr
    assert "Config parses OK" in run(synapse, "synapse.config", "read", "x", "-c", path).stdout
    homeserver = run(synapse, "synapse.app.homeserver", "-c", path)
    assert homeserver.returncode != 0
    assert f"ConfigError: {key}: " in homeserver.stderr


def test_a_mistake_stops_the_tools_too(tmp_path: Path) -> None:
    synapse = configured(tmp_path, Registration.MODERN, login_timeout="soon")
    result = run(
        synapse, "synapse._scripts.generate_workers_map", "--config-path", str(synapse.config_path)
    )
    assert result.returncode != 0
    assert "login_timeout" in result.stderr + result.stdout
