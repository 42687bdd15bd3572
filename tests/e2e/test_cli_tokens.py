"""Which token was that, and what would it need: there are three, which are easily mixed up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.harness.accounts import PATH_ROOT
from tests.harness.command_line import CommandLine
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.provisioning import Site

NOTHING = 'path "auth/token/lookup-self" { capabilities = ["read"] }'
USER = f"@tokens:{SERVER_NAME}"


@pytest.fixture(scope="module")
def cli(shared_site: Site, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    command = CommandLine(shared_site, tmp_path_factory.mktemp("cli"))
    command.run("provision", "--no-token", USER).check_success()
    return command


@pytest.fixture(scope="module")
def useless(cli: CommandLine) -> str:
    """Return a token that may do nothing with the secrets."""
    return cli.site.confidential.add(cli.site.openbao.create_token("cli-useless", NOTHING))


@pytest.mark.parametrize("verb", [("rotate", USER), ("revoke", "--yes", USER), ("list",)])
def test_the_modules_token_needs_no_more_than_to_read(
    cli: CommandLine, tmp_path: Path, verb: tuple[str, ...]
) -> None:
    synapse = json.loads(cli.site.synapse.config_path.read_text())
    module = synapse["modules"][0]["config"]
    for key in ("vault_token", "vault_token_file", "vault_auth"):
        module.pop(key, None)
    module["vault_token"] = cli.vault_token("module")
    (tmp_path / "homeserver.yaml").write_text(json.dumps(synapse))
    config = ("-c", str(tmp_path / "homeserver.yaml"))
    ended = cli.run(*verb, config=config, VAULT_TOKEN=None)
    ended.check_failure(
        f"The token was the module's, from vault_token in {tmp_path}/homeserver.yaml",
        "policy --for provisioning",
    )


@pytest.mark.parametrize("verb", [("rotate", USER), ("revoke", "--yes", USER)])
def test_the_variable_with_the_token_is_named(
    cli: CommandLine, useless: str, verb: tuple[str, ...]
) -> None:
    ended = cli.run(*verb, VAULT_TOKEN=useless)
    ended.check_failure(
        "The token was that of VAULT_TOKEN.",
        f"Check vault_path_root, which is {PATH_ROOT}: the policy has to cover secret/data/",
        "policy --for provisioning",
    )


def test_the_option_with_the_token_is_named(cli: CommandLine, useless: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(useless)
    ended = cli.run("rotate", USER, "--vault-token-file", tmp_path / "token")
    ended.check_failure("The token was that of --vault-token-file.")


@pytest.mark.parametrize("verb", [("login", USER), ("exec", USER, "--", "true")])
def test_a_bot_is_never_told_to_take_the_policy_that_writes(
    cli: CommandLine, useless: str, verb: tuple[str, ...]
) -> None:
    ended = cli.run(*verb, VAULT_TOKEN=useless)
    ended.check_failure(f"policy --for-user {USER}", "The token was that of VAULT_TOKEN.")
    assert "provisioning" not in ended.err


def test_the_policy_of_a_bot_suffices_for_its_login_and_no_other(cli: CommandLine) -> None:
    policy = cli.run("policy", "--for-user", USER).check_success().out
    token = cli.site.confidential.add(cli.site.openbao.create_token("cli-bot", policy))
    assert cli.run("login", USER, "--json", VAULT_TOKEN=token).check_success().json
    other = USER.replace("tokens", "tokens-2")
    cli.run("provision", "--no-token", other).check_success()
    cli.run("login", other, VAULT_TOKEN=token).check_failure("no policy of the token allows it")
    cli.run("rotate", USER, VAULT_TOKEN=token).check_failure("no policy of the token allows it")
