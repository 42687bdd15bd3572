"""`synapse-vault policy`. That the policies suffice is a matter of the end-to-end tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Ended


@pytest.fixture
def path_root(
    without_vault_in_the_environment: None,  # noqa: ARG001 (this is set after it)
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SYNAPSE_VAULT_PATH_ROOT", "/matrix//users/")


@pytest.mark.usefixtures("path_root")
def test_the_module_may_read_the_users_entries_alone(command: Callable[..., Ended]) -> None:
    assert command("policy", "--for", "module").out.splitlines()[1:] == [
        'path "secret/data/matrix/users/*" { capabilities = ["read"] }'
    ]


@pytest.mark.usefixtures("path_root")
def test_version_1_has_other_paths(
    command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNAPSE_VAULT_KV_VERSION", "1")
    monkeypatch.setenv("SYNAPSE_VAULT_KV_MOUNT_POINT", "kv/deep/")
    assert command("policy", "--for", "module").out == (
        "# For the module, with a KV engine of version 1.\n"
        'path "kv/deep/matrix/users/*" { capabilities = ["read"] }\n'
    )
    both = command("policy")
    assert both.out == command("policy", "--for", "module").out
    assert both.err == "warning: provisioning needs a KV engine of version 2\n"
    command("policy", "--for", "provisioning").check_refused("needs a KV engine of version 2")


@pytest.mark.usefixtures("path_root")
def test_both_are_printed_if_none_is_named(command: Callable[..., Ended]) -> None:
    one, other = (command("policy", "--for", whose).out for whose in ("module", "provisioning"))
    assert command("policy").out == f"{one}\n{other}"
    assert json.loads(command("policy", "--json").out) == {"module": one, "provisioning": other}
    assert json.loads(command("policy", "--json", "--for", "module").out) == {"module": one}


def test_synapses_configuration_says_where(
    command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = {
        "vault_path_root": 'odd"\\root',
        "vault_kv_mount_point": "kv",
        "vault_kv_version": 2,
    }
    module = {"module": "synapse_vault_auth_provider.VaultAuthProvider", "config": config}
    (tmp_path / "homeserver.yaml").write_text(json.dumps({"modules": [module]}))
    arguments = ("-c", "homeserver.yaml", "policy", "--for", "module")
    assert command(*arguments).out == (
        "# For the module, with a KV engine of version 2.\n"
        'path "kv/data/odd\\"\\\\root/*" { capabilities = ["read"] }\n'
    )
    monkeypatch.setenv("SYNAPSE_VAULT_PATH_ROOT", "users")
    assert '"kv/data/users/*"' in command(*arguments).out


def test_the_path_root_must_be_known(command: Callable[..., Ended]) -> None:
    command("policy").check_refused("vault_path_root", "Give --path-root")


@pytest.mark.usefixtures("path_root")
def test_no_other_version_is_known(
    command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNAPSE_VAULT_KV_VERSION", "3")
    command("policy").check_refused("error: SYNAPSE_VAULT_KV_VERSION: must be auto, 1 or 2")


@pytest.mark.usefixtures("path_root")
@pytest.mark.parametrize("user", ["bot", "@bot:example.org"])
def test_a_bot_reads_its_own_secret_alone(command: Callable[..., Ended], user: str) -> None:
    ended = command("--server-name", "example.org", "policy", "--for-user", user)
    assert ended.out.splitlines()[1:] == [
        'path "secret/data/matrix/users/@bot:example.org" { capabilities = ["read"] }'
    ]
    as_json = json.loads(
        command("--server-name=example.org", "policy", "--json", "--for-user", user).out
    )
    assert as_json == {"@bot:example.org": ended.out}


@pytest.mark.usefixtures("path_root")
@pytest.mark.parametrize("user", ["@a/+/b:x", "@a/+:x", "@*:x", "@a*b:x", "@{{identity:x", "+/a"])
def test_a_policy_never_opens_more_than_it_says(command: Callable[..., Ended], user: str) -> None:
    ended = command("--server-name", "x", "policy", "--for-user", user)
    if user in ("@a/+:x", "+/a"):
        # The part is longer than the plus.
        assert (ended.code, ended.out.count("path ")) == (0, 1)
    else:
        ended.check_refused("which mean more in a policy", "other users' secrets")


@pytest.mark.parametrize("root", ["a/+/b", "users*", "{{identity.entity.id}}"])
@pytest.mark.parametrize("user", [(), ("--for-user", "@bot:example.org")], ids=["module", "user"])
def test_nor_does_the_path_of_the_entries(
    command: Callable[..., Ended], root: str, user: tuple[str, ...]
) -> None:
    options = ("--server-name", "example.org", "--path-root", root)
    command(*options, "policy", *user).check_refused("the path of the entries has")


@pytest.mark.usefixtures("path_root")
def test_a_user_is_one_of_a_homeserver(command: Callable[..., Ended]) -> None:
    command("policy", "--for-user", "bot").check_refused("add --server-name")
    command("--server-name=x.org", "policy", "--for-user", "@a:y.org").check_refused("homeserver")
    command("--server-name=x.org", "policy", "--for-user", "a\udc80").check_refused("Unicode")
    command("policy", "--for", "module", "--for-user", "@a:x").check_refused("either", code=2)
