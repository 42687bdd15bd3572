"""The page about the secrets engine: all of its examples, run one after the other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.documents import Block, blocks
from tests.harness.command_line import COMMAND
from tests.harness.secrets_engine import MOUNT, Engine, EngineSite
from tests.harness.waiting import wait_until
from tests.pythons import ROOT
from tests.servers import Relay
from tests.servers.auth_methods import jwt
from tests.servers.engine_of_2018 import EngineOf2018
from tests.servers.openbao import bao_command
from tests.servers.pki import SigningKey
from tests.servers.plugin import engine_binary
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.harness.confidential import Confidential
    from tests.harness.deployment import Deployment
    from tests.harness.stack import Stack

MANUAL = ROOT / "docs" / "secrets-engine.md"

BLOCKS = list(blocks(MANUAL))

NEXT_VERSION = "v0.2.0"
"""The version that the page upgrades to."""

BOT_POLICY = f"""
path "{MOUNT}/user/alice/{SERVER_NAME}" {{ capabilities = ["read"] }}
path "auth/token/revoke-self" {{ capabilities = ["update"] }}
"""


class Page:
    """Goes through the page: servers of the tests are in place of those shown, and so are files."""

    def __init__(
        self, stack: Stack, confidential: Confidential, old: EngineOf2018, directory: Path
    ) -> None:
        self.stack = stack
        self.confidential = confidential
        self.directory = directory
        self.plugins = directory / "plugins"
        self.plugins.mkdir()
        self.relay = Relay("http://127.0.0.1:1")
        self.replaced = {
            "/etc/openbao/plugins": str(self.plugins),
            "/etc/bot": str(directory / "etc-bot"),
            "/run/bot": str(directory),
            "dist/vault-plugin-secrets-matrix": str(engine_binary()),
            "https://matrix.example.org": self.relay.url,
            "https://vault-1.example.org:8200": "http://127.0.0.1:8200",
            "/opt/bot/bin/bot": "true",
            "systemctl reload bot": f"touch {directory / 'reloaded'}",
            '["systemctl", "reload", "bot"]': f'["touch", "{directory / "reloaded"}"]',
            "python3 ci/announce.py": "printenv MATRIX_USER_ID",
            "contrib/move_secrets_engine.py": (
                f"{ROOT}/contrib/move_secrets_engine.py --from-address {old.url}"
            ),
            # The examples after that one go on with the mount.
            "bao secrets disable matrix": "bao secrets disable matrix-new",
        }
        config = self.meant(next(block.text for block in BLOCKS if block.language == "hcl"))
        assert "plugin_directory" in config
        self.openbao = stack.start_openbao("documented", config=config, log_level="trace")
        self.replaced["https://vault.example.org:8200"] = self.openbao.url
        self.engine = Engine(self.openbao, confidential)
        self.deployment: Deployment | None = None
        self.old_token = old.token

    @property
    def site(self) -> EngineSite:
        """The engine and the homeserver, once the page has configured it."""
        assert self.deployment is not None
        return EngineSite(self.engine, self.deployment, self.relay)

    def meant(self, text: str) -> str:
        """Return what is meant by a text of the page."""
        for shown, meant in self.replaced.items():
            text = text.replace(shown, meant)
        return text

    def start_homeserver(self, homeserver_yaml: str) -> None:
        """Start the homeserver that the page configures."""
        (module,) = yaml.safe_load(self.meant(homeserver_yaml))["modules"]
        settings = module["config"]
        settings["vault_token_file"] = str(self.directory / "module-token")
        self.deployment = self.stack.start_homeserver(
            "documented", openbao=self.openbao, module=module["module"], **settings
        )
        self.relay.target = self.deployment.synapse.url
        for name in ("alice", "carol", "announcer"):
            self.deployment.synapse.register(name)

    def use_next_version(self) -> None:
        """Have the binary say that it is of the version that the page upgrades to."""
        binary = engine_binary().read_bytes()
        shown = f"v{version('synapse-vault-auth-provider')}"
        assert len(shown) == len(NEXT_VERSION)
        path = self.directory / "next-version"
        path.write_bytes(binary.replace(shown.encode(), NEXT_VERSION.encode()))
        self.replaced["dist/vault-plugin-secrets-matrix"] = str(path)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of an administrator's shell."""
        programs = self.directory / "bin"
        if not programs.exists():
            programs.mkdir()
            for name in ("bao", "vault"):
                (programs / name).symlink_to(bao_command())
            (programs / "synapse-vault").symlink_to(COMMAND)
        found = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(self.directory),
            **dict.fromkeys(("BAO_ADDR", "VAULT_ADDR"), self.openbao.url),
            "LOGIN_SECRET": self.confidential.add("a-login-secret-that-exists-already"),
            "OLD_VAULT_TOKEN": self.old_token,
            "SYNAPSE_VAULT_SERVER_NAME": SERVER_NAME,
        }
        if self.deployment is not None:
            shared_secret = self.directory / "shared_secret"
            shared_secret.write_text(self.deployment.synapse.shared_secret)
            found["SYNAPSE_VAULT_HOMESERVER"] = self.deployment.synapse.url
            found["SYNAPSE_VAULT_REGISTRATION_SHARED_SECRET_FILE"] = str(shared_secret)
        return found

    def run(self, script: str, token: str | None = None, **environment: str) -> str:
        """Run a script in shell, which must succeed, and return what it prints."""
        program = self.meant(script)
        tokens = dict.fromkeys(("BAO_TOKEN", "VAULT_TOKEN"), token or self.openbao.root_token)
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", program],
            cwd=self.directory,
            env={**self.environment, **tokens, **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert ended.returncode == 0, f"{program}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def run_agent(self, config: str) -> None:
        """Run the agent that the page configures until it has done its work."""
        token, path = self.directory / "access-token", self.directory / "agent.hcl"
        path.write_text(self.meant(config))
        with (self.directory / "agent.out").open("wb") as output:
            agent = subprocess.Popen(
                [bao_command(), "agent", f"-config={path}"],
                env={"HOME": str(self.directory), "PATH": os.environ["PATH"]},
                stdout=output,
                stderr=output,
            )
        try:
            wait_until("the bot is told of a token", (self.directory / "reloaded").exists)
            read = self.confidential.add(token.read_text().strip())
            assert self.site.user_of(read) == f"@alice:{SERVER_NAME}"
            assert token.stat().st_mode & 0o777 == 0o400
            # It could begin again with the same files.
            assert (self.directory / "etc-bot" / "secret-id").exists()
        finally:
            agent.terminate()
            agent.wait(30)

    def run_job(self, job: dict[str, Any]) -> None:
        """Do what a job of the page does, with an identity that Vault takes."""
        issuer = SigningKey()
        audience = self.meant(job["id_tokens"]["VAULT_ID_TOKEN"]["aud"])
        self.engine.write(f"config/user/announcer/{SERVER_NAME}")
        policy = self.run("synapse-vault --engine matrix policy --for-user announcer")
        self.openbao.cli("policy", "write", "announcer", "-", stdin=policy)
        jwt(self.openbao, "jwt", "announcer", issuer.public_key, audience, role="announcer")
        claims = {"sub": "the-job", "aud": audience}
        printed = self.run(
            "\n".join(job["script"]), token="none", VAULT_ID_TOKEN=issuer.sign(**claims)
        )
        assert printed.strip() == f"@announcer:{SERVER_NAME}"


@pytest.fixture(scope="module")
def page(
    file_stack: Stack, confidential: Confidential, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    with EngineOf2018() as old:
        directory = tmp_path_factory.mktemp("documented").resolve()
        found = Page(file_stack, confidential, old, directory)
        old.homeservers[SERVER_NAME] = found.relay.url
        old.users[f"@dave:{SERVER_NAME}"] = confidential.add("a-login-secret-of-the-year-2018")
        with found.relay:
            yield found


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_the_example_works(page: Page, block: Block) -> None:
    if block.language == "sh":
        run_shell(page, block.text)
    elif "auto_auth" in block.text:
        page.run_agent(block.text)
    elif "modules:" in block.text:
        page.start_homeserver(block.text)
    elif block.language == "yaml" and "script:" in block.text:
        (job,) = yaml.safe_load(block.text).values()
        page.run_job(job)
    elif block.language == "text":
        shown = {line.split()[0] for line in block.text.splitlines()[2:]}
        answer = json.loads(page.run(f"bao read -format=json {MOUNT}/user/alice/{SERVER_NAME}"))
        assert shown - {"lease_renewable"} == {"lease_id", "lease_duration", *answer["data"]}
    else:
        # The server's own configuration, with which it runs, and what only others understand.
        assert block.language in ("hcl", "yaml")


def run_shell(page: Page, script: str) -> None:
    """Run an example in shell, with what it takes for granted."""
    if "curl" in script and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    token = None
    if "revoke -self" in script:
        token = page.openbao.create_token("documented-bot", BOT_POLICY)
    if "revoke alice" in script:
        # An example before that one has removed the user.
        page.engine.write(f"config/user/alice/{SERVER_NAME}")
    kept = None
    if "plugin reload" in script:
        page.use_next_version()
        # An example before that one has removed the user.
        page.engine.write(f"config/user/alice/{SERVER_NAME}")
        kept = page.engine.lease("alice")
    if "list matrix/pending" in script:
        # Vault's command fails if there is nothing to list.
        page.engine.write(f"config/user/alice/{SERVER_NAME}")
        lease = page.engine.lease("alice")
        page.relay.close()
        page.engine.revoke(lease.lease_id)
    printed = page.run(script, token)
    page.relay.listen()
    if "-policy=synapse-login" in script:
        module_token = page.confidential.add(printed.strip().splitlines()[-1])
        (page.directory / "module-token").write_text(module_token)
    if "list matrix/pending" in script:
        assert printed
    if kept is not None:
        mounts = page.openbao.api("GET", "sys/mounts")
        assert mounts[f"{MOUNT}/"]["running_plugin_version"] == NEXT_VERSION
        assert page.site.is_alive(kept)
        page.engine.revoke(kept.lease_id)
        assert not page.site.is_alive(kept)


def test_after_all_of_them_the_engine_still_works(page: Page) -> None:
    site = page.site
    lease = site.engine.lease("alice")
    assert site.is_alive(lease)
    site.engine.revoke(lease.lease_id)
    assert not site.is_alive(lease)


def test_the_policy_of_the_page_is_the_commands_own(page: Page) -> None:
    printed = page.run(f"synapse-vault --engine {MOUNT} policy --for-user alice")
    rules = [line for line in printed.splitlines() if line.startswith("path ")]
    text = MANUAL.read_text()
    assert rules
    assert all(rule in text for rule in rules), rules
