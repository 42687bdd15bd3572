"""Synapse's own tools read the configuration without the homeserver's environment and rights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import Registration, Synapse, SynapseProcess
from tests.servers.process import START_TIMEOUT

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


class Tool(SynapseProcess):
    """A program that is run with a homeserver's configuration, and ends."""

    def __init__(self, synapse: Synapse, *program: str) -> None:
        super().__init__(program[0], synapse.directory)
        self._program = program

    @property
    def program(self) -> tuple[str, ...]:
        """The module of Synapse's that is run, and its arguments."""
        return self._program


def run(synapse: Synapse, *program: str) -> tuple[int, str]:
    """Run a program of Synapse's to its end; return the exit code and what it wrote."""
    tool = Tool(synapse, *program)
    tool.launch()
    return tool.wait(START_TIMEOUT), tool.output()


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
        code, written = run(synapse, *tool)
        assert code == 0, written
    assert "Config parses OK" in run(synapse, "synapse.config", "read", "x", "-c", path)[1]
    code, written = run(synapse, "synapse.app.homeserver", "-c", path)
    assert code != 0
    assert f"ConfigError: {key}: " in written


def test_a_mistake_stops_the_tools_too(tmp_path: Path) -> None:
    synapse = configured(tmp_path, Registration.MODERN, login_timeout="soon")
    tool = "synapse._scripts.generate_workers_map"
    code, written = run(synapse, tool, "--config-path", str(synapse.config_path))
    assert code != 0
    assert "login_timeout" in written
