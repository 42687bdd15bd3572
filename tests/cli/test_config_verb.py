"""`synapse-vault config`: what it prints is what the module takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from synapse_vault_auth_provider import VaultAuthProvider
from synapse_vault_auth_provider.cli.homeserver_yaml import HomeserverYaml

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Ended

LEAST = ("config", "--vault-url", "https://vault.example.org:8200", "--path-root", "matrix/users")


def module_of(text: str) -> Any:
    return HomeserverYaml(yaml.safe_load(text)).module()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    paths = {name: tmp_path / name for name in ("token", "role-id", "secret-id")}
    for name, path in paths.items():
        path.write_text(f"s3cret-{name}\n")
    return {name: str(path) for name, path in paths.items()}


def test_a_token_in_a_file(command: Callable[..., Ended], files: dict[str, str]) -> None:
    ended = command(*LEAST, "--mount", "kv", "--vault-token-file", files["token"])
    assert (ended.code, ended.err) == (0, "")
    assert "s3cret" not in ended.out
    module = module_of(ended.out)
    assert module == {
        "vault_url": "https://vault.example.org:8200",
        "vault_token_file": files["token"],
        "vault_kv_mount_point": "kv",
        "vault_path_root": "matrix/users",
    }
    VaultAuthProvider.parse_config(module)
    as_json = command(*LEAST, "--mount=kv", "--vault-token-file", files["token"], "--json").out
    assert module_of(json.dumps(json.loads(as_json))) == module


def test_a_login_with_approle(command: Callable[..., Ended], files: dict[str, str]) -> None:
    ended = command(
        *LEAST,
        *("--auth", "approle", "--auth-mount", "roles"),
        *(
            "--approle-role-id-file",
            files["role-id"],
            "--approle-secret-id-file",
            files["secret-id"],
        ),
        *("--vault-namespace", "team"),
    )
    assert (ended.code, ended.err) == (0, "")
    module = module_of(ended.out)
    assert module["vault_auth"]["method"] == "approle"
    assert module["vault_auth"]["mount"] == "roles"
    VaultAuthProvider.parse_config(module)


def test_the_address_may_come_from_the_environment(
    command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:8200")
    ended = command("config", "--path-root=u", "--vault-token-file", files["token"])
    assert module_of(ended.out)["vault_url"] == "http://127.0.0.1:8200"


def test_files_may_be_synapses_alone(command: Callable[..., Ended]) -> None:
    ended = command(*LEAST, "--vault-token-file", "/nowhere/token")
    assert ended.code == 0
    assert module_of(ended.out)["vault_token_file"] == "/nowhere/token"
    assert "cannot read /nowhere/token" in ended.err
    assert "Synapse must be able to" in ended.err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "Give --vault-token-file or --auth."),
        (("--vault-token-file", "hvs.s3cret"), "whole path"),
        (("--vault-ca-cert", "s3cret/s3cret"), "--vault-ca-cert must be a whole path"),
        (("--auth", "kubernetes"), "--auth kubernetes needs --kubernetes-role."),
        (
            ("--auth", "approle", "--kubernetes-role", "r"),
            "--kubernetes-role needs --auth kubernetes.",
        ),
        (("--auth", "approle"), "--auth approle needs --approle-role-id-file."),
        (("--kubernetes-role", "r"), "--kubernetes-role needs --auth kubernetes."),
        (("--auth-mount", "m"), "--auth-mount is not possible without --auth."),
    ],
    ids=str,
)
def test_a_mistake_is_told(
    command: Callable[..., Ended], options: tuple[str, ...], expected: str
) -> None:
    ended = command(*LEAST, *options)
    assert ended.code != 0
    assert ended.out == ""
    assert expected in ended.err
    assert "s3cret" not in ended.err


def test_what_is_missing_is_named(command: Callable[..., Ended]) -> None:
    command("config", "--path-root=u").check_refused("Give --vault-url.")
    command("config", "--vault-url=http://v", "--path-root=u").check_refused(
        "vault_token: required", "Give --vault-token-file or --auth."
    )


def test_a_path_that_repeats_the_mount_is_odd(
    command: Callable[..., Ended], files: dict[str, str]
) -> None:
    ended = command(*LEAST, "--path-root=secret/data/u", "--vault-token-file", files["token"])
    assert "begins with the mount" in ended.err
    wrong = command(*LEAST, "--path-root=a/../b", "--vault-token-file", files["token"])
    wrong.check_refused("error: vault_path_root: ")
