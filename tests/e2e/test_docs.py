"""What the manual says of Vault holds for OpenBao: policies, roles, and what is stored."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider.provisioning import Provisioner, VaultError

from tests.documents import PROVISIONING, all_blocks, blocks, heredocs
from tests.harness.accounts import PATH_ROOT, READ_USERS
from tests.harness.documented import run_example
from tests.pythons import ROOT
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from tests.harness.deployment import Deployment
    from tests.servers import OpenBao

POLICIES = {
    heredoc.text: str(block)
    for block in all_blocks("sh")
    for heredoc in heredocs(block)
    if " policy write " in heredoc.command
} | {block.text: str(block) for block in all_blocks("hcl") if block.text.startswith("path ")}
"""Each policy, and where it is last."""

ROLES = {
    heredoc.command.split()[2]: heredoc.text
    for block in all_blocks("sh")
    for heredoc in heredocs(block)
    if " write auth/" in heredoc.command
}
"""Each path that a role is written to, with the role."""

(FOR_PROVISIONING,) = (block.text for block in blocks(PROVISIONING, "hcl"))

(FOR_MODULE,) = (text for text in POLICIES if text.startswith(READ_USERS))

RULE = re.compile(
    r'^path "(?P<path>.+)" { capabilities = (?P<capabilities>\[.+\]) }$', re.MULTILINE
)

VERBS: dict[str, Callable[[Provisioner, str], object]] = {
    "provision": lambda it, name: it.provision_user(name, display_name="A", external_id="1"),
    "provision again": lambda it, name: it.provision_user(name, external_id="1"),
    "login": lambda it, name: it.login(name, logout_others=True),
    "rotate": lambda it, name: it.rotate_secret(name),
    "profile": lambda it, name: it.update_profile(name, display_name="B"),
    "list": lambda it, _: it.list_users(),
    "revoke": lambda it, name: it.revoke_user(name),
}
"""What a provisioner does with an account, from its beginning to its end."""


def live(provisioner: Provisioner, name: str) -> None:
    """Do all of that with one account."""
    for verb in VERBS.values():
        verb(provisioner, name)


def less(policy: str) -> Iterator[tuple[str, str]]:
    """Return the policy without each of its capabilities, and which one that is."""
    for rule in RULE.finditer(policy):
        capabilities = json.loads(rule["capabilities"])
        for capability in capabilities:
            rest = json.dumps([one for one in capabilities if one != capability])
            start, end = rule.span("capabilities")
            _, part, *_ = rule["path"].split("/")
            yield f"{part} {capability}", policy[:start] + rest + policy[end:]


@pytest.fixture
def opened(modules: Deployment) -> Callable[..., Provisioner]:
    """Return what makes a provisioner whose Vault token has one policy alone."""

    def opened(policy: str, **rights: str) -> Provisioner:
        token = modules.openbao.create_token("documented", policy)
        return Provisioner(
            modules.synapse.url,
            SERVER_NAME,
            vault_url=modules.openbao.url,
            vault_token=modules.confidential.add(token),
            vault_path_root=PATH_ROOT,
            **rights,
        )

    return opened


@pytest.mark.parametrize("policy", POLICIES, ids=POLICIES.get)
def test_openbao_takes_the_policy(openbao: OpenBao, policy: str) -> None:
    openbao.cli("policy", "write", "documented", "-", stdin=policy)


def test_the_readme_shows_how_to_see_the_version_of_a_kv_engine(openbao: OpenBao) -> None:
    openbao.cli("secrets", "enable", "-path=documented", "kv")
    try:
        listed = openbao.cli("secrets", "list", "-detailed").splitlines()
    finally:
        openbao.cli("secrets", "disable", "documented")
    lines = {words[0]: words for words in map(str.split, listed) if words}
    assert lines["secret/"][1] == lines["documented/"][1] == "kv"
    assert "map[version:2]" in lines["secret/"]
    assert not any("version:" in word for word in lines["documented/"])


def test_an_auth_method_that_is_enabled_already_is_refused_as_on_the_page(openbao: OpenBao) -> None:
    page = (ROOT / "docs" / "vault.md").read_text()
    (refusal,) = set(re.findall(r"`(path is already in use at [^`]+)`", page))
    path = refusal.split()[-1]
    methods = openbao.api("GET", "sys/auth")["data"]
    if path not in methods:
        openbao.cli("auth", "enable", path.strip("/"))
    try:
        with pytest.raises(RuntimeError, match=re.escape(refusal)):
            openbao.cli("auth", "enable", path.strip("/"))
        assert path in openbao.cli("auth", "list")
    finally:
        if path not in methods:
            openbao.cli("auth", "disable", path)


def test_synapses_own_tool_makes_an_account_as_in_the_readme(
    modules: Deployment, tmp_path: Path
) -> None:
    readme = blocks(ROOT / "README.md", "sh")
    (example,) = (block for block in readme if "register_new_matrix_user" in block.text)
    tool = Path(sys.executable).parent / "register_new_matrix_user"
    options = subprocess.run([tool, "--help"], capture_output=True, text=True, check=True).stdout
    if "--password-file" not in options:
        pytest.skip("this Synapse's tool reads no file with a password")
    replaced = {
        "sudo register_new_matrix_user": str(tool),
        "/etc/matrix-synapse/homeserver.yaml": str(modules.synapse.config_path),
        "--user alice": "--user documented-by-hand",
    }
    assert "Success!" in run_example(example, modules.openbao, tmp_path, replaced)
    account = modules.account(f"@documented-by-hand:{SERVER_NAME}")
    modules.put(account.user_id, {"login_secret": account.login_secret})
    modules.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)


@pytest.mark.parametrize("path", ROLES)
def test_openbao_takes_the_role(openbao: OpenBao, path: str) -> None:
    mount = path.split("/")[1]
    openbao.cli("auth", "enable", f"-path={mount}", "jwt")
    try:
        openbao.cli("write", path, "-", stdin=ROLES[path])
        kept = json.loads(openbao.cli("read", "-format=json", path))["data"]
    finally:
        openbao.cli("auth", "disable", mount)
    role = json.loads(ROLES[path])
    assert {key: kept.get(key) for key in role if not key.endswith("_ttl")} == {
        key: value for key, value in role.items() if not key.endswith("_ttl")
    }


@pytest.mark.parametrize("right", ["registration_shared_secret", "admin_access_token"])
def test_the_policy_of_provisioning_allows_every_verb(
    modules: Deployment, opened: Callable[..., Provisioner], right: str
) -> None:
    rights = {"registration_shared_secret": modules.synapse.shared_secret}
    if right == "admin_access_token":
        with opened(FOR_PROVISIONING, **rights) as registering:
            admin = registering.provision_user("documented-admin", is_admin=True)
        rights = {right: modules.confidential.add(admin.access_token or "")}
    with opened(FOR_PROVISIONING, **rights) as provisioner:
        live(provisioner, f"documented-{right}")


@pytest.mark.parametrize(("missing", "policy"), list(less(FOR_PROVISIONING)))
def test_the_policy_of_provisioning_allows_no_more_than_is_needed(
    modules: Deployment, opened: Callable[..., Provisioner], missing: str, policy: str
) -> None:
    name = f"documented-{missing.replace(' ', '-')}"
    with opened(policy, registration_shared_secret=modules.synapse.shared_secret) as provisioner:
        with pytest.raises(VaultError) as caught:
            live(provisioner, name)
        assert caught.value.status == 403


def test_the_policy_of_the_module_logs_in_and_does_no_more(
    modules: Deployment, opened: Callable[..., Provisioner]
) -> None:
    account = modules.new_account()
    shared_secret = modules.synapse.shared_secret
    with opened(FOR_MODULE, registration_shared_secret=shared_secret) as provisioner:
        assert provisioner.login(account.user_id).matrix_user_id == account.user_id
        for verb, name in (
            ("provision", "documented-new"),
            ("rotate", account.localpart),
            ("list", account.localpart),
            ("revoke", account.localpart),
        ):
            with pytest.raises(VaultError) as caught:
                VERBS[verb](provisioner, name)
            assert caught.value.status == 403
        assert provisioner.login(account.user_id).matrix_user_id == account.user_id


def test_an_entry_has_the_fields_that_the_manual_names(
    modules: Deployment, opened: Callable[..., Provisioner]
) -> None:
    (documented,) = (
        entry
        for entry in (json.loads(block.text) for block in blocks(PROVISIONING, "json"))
        if entry["provisioning"]["state"] == "done"
    )
    shared_secret = modules.synapse.shared_secret
    with opened(FOR_PROVISIONING, registration_shared_secret=shared_secret) as provisioner:
        user_id = provisioner.provision_user(
            "documented-entry", user_type="bot", external_id=documented["external_id"]
        ).matrix_user_id
    stored = modules.openbao.api("GET", f"secret/data/{PATH_ROOT}/{user_id}")["data"]["data"]
    modules.confidential.add(stored["login_secret"])
    assert len(stored.pop("login_secret")) == len(documented.pop("login_secret"))
    assert stored == documented
