"""Where the homeserver is, found in Synapse's own configuration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.command_line import CommandLine
from tests.harness.provisioning import Site, new_id
from tests.servers.pki import Authority
from tests.servers.port import ReservedPort

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.stack import Stack

HTTP = {"type": "http", "resources": [{"names": ["client"]}]}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("listeners")


@pytest.fixture(scope="module")
def listeners(directory: Path) -> dict[str, dict[str, Any]]:
    local = ["127.0.0.1"]
    return {
        "unix": {**HTTP, "path": str(directory / "main.sock")},
        "other": {**HTTP, "port": int(ReservedPort()), "bind_addresses": ["127.0.0.2"]},
        "tls": {**HTTP, "port": int(ReservedPort()), "bind_addresses": local, "tls": True},
    }


@pytest.fixture(scope="module")
def cli(file_stack: Stack, directory: Path, listeners: dict[str, dict[str, Any]]) -> CommandLine:
    authority = Authority("authority")
    (directory / "authorities.pem").write_text(authority.certificate)
    certificate, key = authority.issue("synapse", directory, names=["localhost"])
    deployment = file_stack.start_homeserver(
        "listeners",
        homeserver_yaml={
            "tls_certificate_path": str(certificate),
            "tls_private_key_path": str(key),
            "public_baseurl": "https://localhost",
        },
        listeners=list(listeners.values()),
    )
    return CommandLine(Site.of(deployment), directory)


def with_listener(cli: CommandLine, directory: Path, listener: dict[str, Any]) -> tuple[str, str]:
    """Return options for a configuration that knows of one listener alone."""
    synapse = json.loads(cli.site.synapse.config_path.read_text())
    synapse["listeners"] = [listener]
    path = directory / "homeserver.yaml"
    path.write_text(json.dumps(synapse))
    return ("-c", str(path))


@pytest.mark.parametrize("name", ["unix", "other", "tls"])
def test_the_homeserver_is_reached(
    cli: CommandLine, directory: Path, listeners: dict[str, dict[str, Any]], name: str
) -> None:
    config = with_listener(cli, directory, listeners[name])
    user_id = new_id("listeners")
    trusted = {"SYNAPSE_VAULT_CA_CERT": str(directory / "authorities.pem")}
    made = cli.run("provision", user_id, "--json", config=config, **trusted).check_success().json
    assert cli.site.user_of(made["access_token"]) == user_id
    told = cli.run(
        "exec", user_id, "--", "printenv", "MATRIX_HOMESERVER", config=config, **trusted
    ).out
    assert (
        told.strip()
        == {
            "unix": "https://localhost",
            "other": f"http://127.0.0.2:{listeners['other']['port']}",
            "tls": f"https://localhost:{listeners['tls']['port']}",
        }[name]
    )


def test_certificates_are_always_checked(
    cli: CommandLine, directory: Path, listeners: dict[str, dict[str, Any]]
) -> None:
    config = with_listener(cli, directory, listeners["tls"])
    ended = cli.run("provision", new_id("listeners"), config=config)
    ended.check_failure("signed by an unknown authority")


def test_one_of_two_modules_is_chosen(cli: CommandLine, directory: Path) -> None:
    synapse = json.loads(cli.site.synapse.config_path.read_text())
    entry = synapse["modules"][0]
    other = {**entry, "config": {**entry["config"], "vault_path_root": "others/users"}}
    synapse["modules"] = [other, entry]
    (directory / "two.yaml").write_text(json.dumps(synapse))
    config = ("-c", str(directory / "two.yaml"))
    root = entry["config"]["vault_path_root"]
    refused = cli.run("list", config=config)
    refused.check_failure("more than once", "--path-root others/users", f"--path-root {root}")
    user_id = new_id("listeners")
    cli.run("provision", user_id, "--no-token", "--path-root", root, config=config).check_success()
    assert cli.site.opens(user_id, cli.site.secret(user_id))
    ended = cli.run("doctor", user_id, "--path-root", root, config=config)
    assert ended.code == 0, ended


def test_the_doctor_refuses_two_entries_for_the_same_secrets(
    cli: CommandLine, directory: Path
) -> None:
    synapse = json.loads(cli.site.synapse.config_path.read_text())
    synapse["password_providers"] = synapse["modules"]
    (directory / "twice.yaml").write_text(json.dumps(synapse))
    root = synapse["modules"][0]["config"]["vault_path_root"]
    ended = cli.run("doctor", "--path-root", root, config=("-c", str(directory / "twice.yaml")))
    assert ended.code == 1
    assert (
        f"FAILED   configuration: modules and password_providers load the module for the same "
        f"secrets, secret/{root}, so Synapse does not start -> Keep one of them."
    ) in ended.out
