"""What counts when options, environment and Synapse's configuration say different things."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from synapse_vault_auth_provider.cli.connection import Connection
from synapse_vault_auth_provider.provisioning import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Ended

pytestmark = pytest.mark.usefixtures("without_vault_in_the_environment")

OF_THE_MODULE = {
    "vault_url": "https://file:8200",
    "vault_path_root": "of/file",
    "vault_kv_mount_point": "of-file",
    "vault_kv_version": 2,
    "vault_namespace": "of-file",
    "request_timeout": "5s",
    "vault_token": "of-file",
}


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., Connection]:
    """Return what makes a connection with a configuration of Synapse."""

    def connect(
        module: dict[str, Any] | None = None, synapse: dict[str, Any] | None = None, **options: Any
    ) -> Connection:
        entry = {
            "module": "synapse_vault_auth_provider.VaultAuthProvider",
            "config": OF_THE_MODULE if module is None else module,
        }
        values = {"server_name": "of.file", "modules": [entry], **(synapse or {})}
        path = tmp_path / "homeserver.yaml"
        path.write_text(json.dumps(values))
        return Connection(config_paths=(path,), **options)

    return connect


def test_without_a_file_all_is_left_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SYNAPSE_VAULT_HOMESERVER": "http://of.environment",
        "SYNAPSE_VAULT_SERVER_NAME": "of.environment",
        "SYNAPSE_VAULT_PATH_ROOT": "of/environment",
        "VAULT_ADDR": "http://127.0.0.1:8200",
        "VAULT_TOKEN": "of-environment",
    }.items():
        monkeypatch.setenv(name, value)
    for opened in (Connection().open(), Connection().open_as_module()):
        assert opened.homeserver == "http://of.environment"
        assert opened.server_name == "of.environment"
    assert Connection().settings().kv_location() == ("secret", None, "of/environment")


def test_an_option_counts_before_the_environment_and_that_before_the_file(
    configured: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    synapse = {"public_baseurl": "https://of.file"}
    of_file = configured(synapse=synapse)
    assert of_file.open().homeserver == "https://of.file"
    assert of_file.open().server_name == "of.file"
    assert of_file.settings().kv_location() == ("of-file", 2, "of/file")
    monkeypatch.setenv("SYNAPSE_VAULT_SERVER_NAME", "of.environment")
    monkeypatch.setenv("SYNAPSE_VAULT_PATH_ROOT", "of/environment")
    assert of_file.open().server_name == "of.environment"
    assert of_file.settings().kv_location() == ("of-file", 2, "of/environment")
    options = {"homeserver": "https://option", "server_name_option": "option"}
    opened = configured(synapse=synapse, **options).open()
    assert (opened.homeserver, opened.server_name) == ("https://option", "option")


def test_the_doctor_looks_at_what_the_module_would_use(
    configured: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNAPSE_VAULT_PATH_ROOT", "of/environment")
    connection = configured(server_name_option="option", homeserver="https://option")
    opened = connection.open_as_module()
    assert (opened.homeserver, opened.server_name) == ("https://option", "of.file")
    assert connection.settings(as_module=True).kv_location() == ("of-file", 2, "of/file")


def test_the_file_with_the_shared_secret_is_named_as_synapse_names_it(
    configured: Callable[..., Connection],
) -> None:
    path = {"public_baseurl": "https://of.file", "registration_shared_secret_path": "/of/file"}
    with pytest.raises(ConfigurationError, match=r"registration_shared_secret_file: .*/of/file"):
        configured(synapse=path).open()


def test_a_key_that_cannot_be_read_is_named(configured: Callable[..., Connection]) -> None:
    with pytest.raises(ConfigurationError, match="did you mean vault_kv_mount_point"):
        configured({"vault_kv_mount": "kv"}).open()


def test_options_of_the_whole_command_may_stand_behind_the_verb(
    command: Callable[..., Ended], tmp_path: Path
) -> None:
    (tmp_path / "homeserver.yaml").write_text("server_name: of.file\n")
    hashed = command("hash", "alice", "--json", "-c", "homeserver.yaml", stdin="s3cret")
    assert json.loads(hashed.out)["matrix_user_id"] == "@alice:of.file"
    hashed = command("hash", "--server-name", "of.option", "--json", "alice", stdin="s3cret")
    assert json.loads(hashed.out)["matrix_user_id"] == "@alice:of.option"
    policy = command("policy", "--for=module", "--path-root", "users", "--mount=kv")
    assert '"kv/data/users/*"' in policy.out
    # What comes behind the command of exec is that command's.
    command("exec", "-c", "nowhere", "alice", "--", "true").check_refused("cannot read nowhere")
    command("exec", "alice", "true", "-c", "nowhere").check_refused("homeserver: required")


def test_every_option_is_taken_from_the_environment_too(
    command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = []
    for name in ("one", "two"):
        files.append(tmp_path / name)
        files[-1].write_text(f"server_name: {name}.org\n")
    monkeypatch.setenv("SYNAPSE_VAULT_CONFIG", os.pathsep.join(map(str, files)))
    by_file = command("hash", "alice", "--json", stdin="s3cret").out
    assert json.loads(by_file)["matrix_user_id"] == "@alice:two.org"
    by_option = command("-c", "one", "hash", "alice", "--json", stdin="s3cret").out
    assert json.loads(by_option)["matrix_user_id"] == "@alice:one.org"


def test_a_missing_setting_is_named_with_its_option(
    command: Callable[..., Ended], configured: Callable[..., Connection]
) -> None:
    file = "or name Synapse's configuration with -c."
    command("rotate", "bot").check_refused(f"Give --homeserver, {file}")
    command("--homeserver=http://h", "rotate", "bot").check_refused(f"Give --server-name, {file}")
    without_root = {**OF_THE_MODULE, "vault_path_root": None}
    (path,) = configured(without_root).config_paths
    given = ("--homeserver=http://h", "-c", str(path))
    command(*given, "rotate", "bot").check_refused("Give --path-root.")
