"""Every shell example of the page about the secrets engine, run one after the other."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.documents import Block, blocks
from tests.harness.command_line import COMMAND
from tests.harness.secrets_engine import MODULE_POLICY, MOUNT, Engine, EngineSite
from tests.pythons import ROOT
from tests.servers import Relay
from tests.servers.engine_of_2018 import EngineOf2018
from tests.servers.openbao import bao_command
from tests.servers.plugin import engine_binary
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.confidential import Confidential
    from tests.harness.stack import Stack

PAGE = ROOT / "docs" / "secrets-engine.md"

EXAMPLES = list(blocks(PAGE, "sh"))

BOT_POLICY = f"""
path "{MOUNT}/user/alice/{SERVER_NAME}" {{ capabilities = ["read"] }}
path "auth/token/revoke-self" {{ capabilities = ["update"] }}
"""


class Shell:
    """Runs examples as an administrator, with servers of the tests in place of those shown."""

    def __init__(self, site: EngineSite, old: EngineOf2018, plugins: Path, directory: Path) -> None:
        self.site = site
        self.directory = directory
        self.replaced = {
            "/etc/openbao/plugins": str(plugins),
            "dist/vault-plugin-secrets-matrix": str(engine_binary()),
            "https://matrix.example.org": site.synapse.url,
            "/opt/bot/bin/bot": "true",
            "contrib/move_secrets_engine.py": (
                f"{ROOT}/contrib/move_secrets_engine.py --from-address {old.url}"
            ),
            # The examples after that one go on with the mount.
            "bao secrets disable matrix": "bao secrets disable matrix-new",
        }
        programs = directory / "bin"
        programs.mkdir()
        (programs / "bao").symlink_to(bao_command())
        (programs / "synapse-vault").symlink_to(COMMAND)
        (directory / "shared_secret").write_text(site.synapse.shared_secret)
        self.environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(directory),
            **dict.fromkeys(("BAO_ADDR", "VAULT_ADDR"), site.openbao.url),
            "LOGIN_SECRET": site.confidential.add("a-login-secret-that-exists-already"),
            "OLD_VAULT_TOKEN": old.token,
            "SYNAPSE_VAULT_HOMESERVER": site.synapse.url,
            "SYNAPSE_VAULT_SERVER_NAME": SERVER_NAME,
            "SYNAPSE_VAULT_REGISTRATION_SHARED_SECRET_FILE": str(directory / "shared_secret"),
        }

    def run(self, block: Block) -> str:
        """Run an example, which must succeed, and return what it prints."""
        program = block.text
        for shown, meant in self.replaced.items():
            program = program.replace(shown, meant)
        token = self.site.openbao.root_token
        if "revoke -self" in program:
            token = self.site.openbao.create_token("documented-bot", BOT_POLICY)
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", program],
            cwd=self.directory,
            env={**self.environment, **dict.fromkeys(("BAO_TOKEN", "VAULT_TOKEN"), token)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ended.returncode == 0, f"{program}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout


@pytest.fixture(scope="module")
def shell(
    file_stack: Stack, confidential: Confidential, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shell]:
    plugins = tmp_path_factory.mktemp("documented") / "plugins"
    plugins.mkdir()
    openbao = file_stack.start_openbao("documented", plugins=plugins.resolve(), log_level="trace")
    token = confidential.add(openbao.create_token("module", MODULE_POLICY))
    deployment = file_stack.start_homeserver(
        "documented",
        openbao=openbao,
        vault_token=token,
        vault_kv_mount_point=MOUNT,
        vault_kv_version=1,
        vault_path_root="login",
    )
    for name in ("alice", "carol"):
        deployment.synapse.register(name)
    with Relay(deployment.synapse.url) as relay, EngineOf2018() as old:
        old.homeservers[SERVER_NAME] = deployment.synapse.url
        old.users[f"@dave:{SERVER_NAME}"] = confidential.add("a-login-secret-of-the-year-2018")
        engine = Engine(openbao, confidential)
        directory = tmp_path_factory.mktemp("shell")
        yield Shell(EngineSite(engine, deployment, relay), old, plugins.resolve(), directory)


@pytest.mark.parametrize("block", EXAMPLES, ids=str)
def test_the_example_works(shell: Shell, block: Block) -> None:
    if "curl" in block.text and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    path = f"config/user/alice/{SERVER_NAME}"
    if "revoke alice" in block.text:
        # An example before that one has removed the user.
        shell.site.engine.write(path)
    if "list matrix/pending" in block.text:
        # Vault's command fails if there is nothing to list.
        shell.site.engine.write(path)
        shell.site.configure()
        lease = shell.site.engine.lease("alice")
        shell.site.relay.close()
        shell.site.engine.revoke(lease.lease_id)
        assert shell.run(block)
        shell.site.relay.listen()
        return
    shell.run(block)


def test_after_all_of_them_the_engine_still_works(shell: Shell) -> None:
    site = shell.site
    lease = site.engine.lease("alice")
    assert site.is_alive(lease)
    site.engine.revoke(lease.lease_id)
    assert not site.is_alive(lease)


def test_the_policy_of_the_page_is_the_commands_own(shell: Shell) -> None:
    printed = subprocess.run(
        [COMMAND, "--engine", MOUNT, "policy", "--for-user", "alice"],
        env=shell.environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rules = [line for line in printed.splitlines() if line.startswith("path ")]
    page = PAGE.read_text()
    assert rules
    assert all(rule in page for rule in rules), rules
