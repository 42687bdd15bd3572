"""The command that keeps a token in Vault, with the policy that it asks for itself."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.documents import blocks
from tests.harness.command_line import CommandLine
from tests.pythons import ROOT
from tests.servers.openbao import bao_command
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.provisioning import Site

USER = f"@kept:{SERVER_NAME}"

PATH = "secret/matrix-tokens/weather"

MANUAL = ROOT / "docs" / "kept-tokens.md"


@pytest.fixture(scope="module")
def cli(shared_site: Site, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """Return the command with a token for nothing but to keep a token for this user."""
    command = CommandLine(shared_site, tmp_path_factory.mktemp("cli"))
    command.run("provision", "--no-token", USER).check_success()
    policy = command.run("policy", "--for-user", USER, "--keep-in", PATH).check_success().out
    token = shared_site.openbao.create_token("cli-kept", policy)
    command.environment["VAULT_TOKEN"] = shared_site.confidential.add(token)
    return command


def kept(cli: CommandLine) -> dict[str, str]:
    answer = cli.site.openbao.api("GET", PATH.replace("/", "/data/", 1))
    fields: dict[str, str] = answer["data"]["data"]
    cli.site.confidential.add(fields["access_token"])
    return fields


def test_a_timer_keeps_a_token(cli: CommandLine) -> None:
    first = cli.run("token", USER, "--keep-in", PATH, "--renew-before", "7d").check_success()
    fields = kept(cli)
    cli.site.confidential.check_text(first.out)
    assert cli.site.user_of(fields["access_token"]) == USER
    shown = dict(line.split(maxsplit=1) for line in first.out.splitlines())
    assert (shown["device_id"], shown["is_new"]) == (fields["device_id"], "true")
    again = cli.run("token", USER, "--keep-in", PATH, "--renew-before", "7d", "--json")
    result = again.check_success().json
    assert (result["is_new"], result["path"]) == (False, PATH)
    assert kept(cli) == fields


def test_a_token_is_replaced_at_once(cli: CommandLine) -> None:
    cli.run("token", USER, "--keep-in", PATH)
    ended = cli.run("token", USER, "--keep-in", PATH)
    assert ended.code == 0
    assert ended.err.startswith(f"warning: {USER}: the earlier token goes on working")


def test_what_is_wrong_is_said_with_what_to_do(cli: CommandLine) -> None:
    ended = cli.run("token", USER)
    assert (ended.code, "--keep-in" in ended.err) == (2, True)
    cli.run("token", USER, "--keep-in", "secret/elsewhere").check_failure(
        f"policy --for-user {USER} --keep-in secret/elsewhere", "The token was that of VAULT_TOKEN."
    )
    cli.run("token", USER, "--keep-in", PATH, "--renew-before", "soon").check_failure(
        "renew_before: must be a number of seconds"
    )


def test_an_agent_hands_the_token_to_the_bot(cli: CommandLine, tmp_path: Path) -> None:
    """The manual's configuration of Vault Agent, as a real agent takes it."""
    cli.run("token", USER, "--keep-in", PATH)
    *_, policy, config = (block.text for block in blocks(MANUAL, "hcl"))
    # Tokens have this by Vault's policy "default", unless they are made without it, as in tests.
    policy += 'path "auth/token/lookup-self" { capabilities = ["read"] }'
    token = cli.site.openbao.create_token("bot-weather", policy)
    (tmp_path / "vault-token").write_text(cli.site.confidential.add(token))
    # Who the agent is to Vault is shown elsewhere.
    config = re.sub(
        r'method "approle" {.*?secret-id"',
        f'method "token_file" {{ config = {{ token_file_path = "{tmp_path}/vault-token"',
        config,
        flags=re.DOTALL,
    )
    config = re.sub(r"\n *remove_secret_id_file_after_reading = false", "", config)
    config = config.replace("https://vault.example.org:8200", cli.site.openbao.url)
    config = config.replace("/run/bot-weather", str(tmp_path))
    config = config.replace('["systemctl", "try-restart", "bot-weather.service"]', '["true"]')
    (tmp_path / "agent.hcl").write_text(f"exit_after_auth = true\n{config}")
    subprocess.run(
        [bao_command(), "agent", f"-config={tmp_path}/agent.hcl"],
        check=True,
        capture_output=True,
        timeout=30,
    )
    written = dict(
        line.split("=", 1) for line in (tmp_path / "matrix.env").read_text().splitlines()
    )
    fields = kept(cli)
    assert written == {
        "MATRIX_HOMESERVER": fields["homeserver_url"],
        "MATRIX_USER_ID": USER,
        "MATRIX_DEVICE_ID": fields["device_id"],
        "MATRIX_ACCESS_TOKEN": fields["access_token"],
    }
