"""What counts when options, environment and Synapse's configuration say different things."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from synapse_vault_auth_provider.cli import connection as connection_module
from synapse_vault_auth_provider.cli.connection import Connection
from synapse_vault_auth_provider.cli.failure import CommandError

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

OF_LOGINS = {
    "login_timeout": "10s",
    "max_concurrent_lookups": 8,
    "cache": {"ttl": "5s"},
    "m_login_password_support_enabled": True,
    "allow_registration": True,
    "health_endpoint": True,
    "rotation_grace": "1h",
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


def test_without_a_file_all_is_left_to_the_environment() -> None:
    assert Connection().arguments() == {}
    assert Connection().vault_settings() == {}


def test_what_only_logins_know_is_left_out(configured: Callable[..., Connection]) -> None:
    connection = configured({**OF_THE_MODULE, **OF_LOGINS})
    assert connection.vault_settings() == OF_THE_MODULE


def test_an_unknown_key_stays_to_be_refused_by_name(configured: Callable[..., Connection]) -> None:
    assert "vault_kv_mount" in configured({"vault_kv_mount": "kv"}).vault_settings()


@pytest.mark.parametrize("key", ["homeserver", "server_name", "timeout", "admin_access_token"])
def test_a_key_of_something_else_is_refused_by_name(
    configured: Callable[..., Connection], key: str
) -> None:
    with pytest.raises(CommandError, match=f"{key}: unknown key in the module's configuration"):
        configured({key: "s3cret"}).vault_settings()


@pytest.mark.parametrize(
    ("variable", "replaced"),
    [
        ("VAULT_ADDR", "vault_url"),
        ("BAO_ADDR", "vault_url"),
        ("VAULT_TOKEN", "vault_token"),
        ("BAO_TOKEN", "vault_token"),
        ("SYNAPSE_VAULT_TOKEN_FILE", "vault_token"),
        ("VAULT_NAMESPACE", "vault_namespace"),
        ("BAO_NAMESPACE", "vault_namespace"),
        ("SYNAPSE_VAULT_PATH_ROOT", "vault_path_root"),
        ("SYNAPSE_VAULT_KV_MOUNT_POINT", "vault_kv_mount_point"),
        ("SYNAPSE_VAULT_KV_VERSION", "vault_kv_version"),
    ],
)
def test_the_environment_replaces_a_key_of_the_file(
    configured: Callable[..., Connection],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    replaced: str,
) -> None:
    monkeypatch.setenv(variable, "")
    assert configured().vault_settings() == OF_THE_MODULE
    monkeypatch.setenv(variable, "of-environment")
    expected = {key: value for key, value in OF_THE_MODULE.items() if key != replaced}
    assert configured().vault_settings() == expected


@pytest.mark.parametrize(
    "way",
    [{"vault_token": "of-file"}, {"vault_token_file": "/f"}, {"vault_auth": {"method": "approle"}}],
    ids=str,
)
def test_a_token_replaces_every_way_to_one(
    configured: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch, way: dict[str, Any]
) -> None:
    assert configured(way).vault_settings() == way
    option = configured(way, vault_token_file=Path("/option"))
    assert option.vault_settings() == {"vault_token_file": "/option"}
    monkeypatch.setenv("VAULT_TOKEN", "of-environment")
    assert configured(way).vault_settings() == {}
    assert option.vault_settings() == {"vault_token_file": "/option"}


@pytest.mark.parametrize(
    ("variable", "left"),
    [
        ("VAULT_CACERT", {"client_cert", "client_key", "skip_verify"}),
        ("BAO_CAPATH", {"client_cert", "client_key", "skip_verify"}),
        ("VAULT_CLIENT_CERT", {"ca_cert", "skip_verify"}),
        ("BAO_CLIENT_KEY", {"ca_cert", "skip_verify"}),
        ("VAULT_SKIP_VERIFY", {"ca_cert", "client_cert", "client_key"}),
    ],
)
def test_the_environment_replaces_certificates_matter_by_matter(
    configured: Callable[..., Connection],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    left: set[str],
) -> None:
    tls = {"ca_cert": "/ca", "client_cert": "/c", "client_key": "/k", "skip_verify": False}
    monkeypatch.setenv(variable, "/of-environment")
    assert configured({"vault_tls": tls}).vault_settings()["vault_tls"].keys() == left


def test_what_is_no_mapping_of_certificates_stays_to_be_refused(
    configured: Callable[..., Connection],
) -> None:
    assert configured({"vault_tls": "ca.pem"}).vault_settings() == {"vault_tls": "ca.pem"}


def test_the_file_names_the_homeserver_unless_an_option_does(
    configured: Callable[..., Connection],
) -> None:
    assert configured(synapse={"public_baseurl": "https://of.file"}).arguments() == {
        "homeserver": "https://of.file",
        "server_name": "of.file",
    }
    options = {"homeserver": "https://option", "server_name_option": "option"}
    assert configured(synapse={"public_baseurl": "https://of.file"}, **options).arguments() == {
        "homeserver": "https://option",
        "server_name": "option",
    }


def test_the_shared_secret_is_that_of_the_file_unless_another_is_given(
    configured: Callable[..., Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    def given(connection: Connection) -> dict[str, Any]:
        return {k: v for k, v in connection.arguments().items() if k.startswith("registration")}

    inline = {"registration_shared_secret": "of-file"}
    path = {"registration_shared_secret_path": "/of/file"}
    option = {"registration_shared_secret_file": Path("/option")}
    assert given(configured(synapse=inline)) == inline
    assert given(configured(synapse=path)) == {"registration_shared_secret_file": "/of/file"}
    assert given(configured(synapse=inline, **option)) == option
    assert given(configured(synapse=path, **option)) == option
    monkeypatch.setenv("SYNAPSE_VAULT_REGISTRATION_SHARED_SECRET", "of-environment")
    assert given(configured(synapse=inline)) == {}


class Opened:
    """Remembers what a provisioner would have been made of, and with which variables."""

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        self.variables = {name for name in os.environ if name.startswith(("VAULT_", "SYNAPSE_V"))}


@pytest.fixture
def opened_as_module(monkeypatch: pytest.MonkeyPatch) -> Callable[[Connection], Opened]:
    monkeypatch.setattr(connection_module, "Provisioner", Opened)

    def open_as_module(connection: Connection) -> Opened:
        opened: Any = connection.open_as_module()
        return opened  # type: ignore[no-any-return]

    return open_as_module


def test_the_doctor_looks_at_what_the_module_would_use(
    configured: Callable[..., Connection],
    opened_as_module: Callable[[Connection], Opened],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (
        "VAULT_TOKEN",
        "VAULT_ADDR",
        "SYNAPSE_VAULT_PATH_ROOT",
        "SYNAPSE_VAULT_KV_VERSION",
    ):
        monkeypatch.setenv(name, "of-environment")
    connection = configured(server_name_option="option", homeserver="https://option")
    opened = opened_as_module(connection)
    assert opened.arguments == {
        "homeserver": "https://option",
        "server_name": "of.file",
        **OF_THE_MODULE,
    }
    # Those that the module knows may fill in for what the file does not say.
    assert opened.variables == {"VAULT_TOKEN", "VAULT_ADDR"}
    assert os.environ["SYNAPSE_VAULT_PATH_ROOT"] == "of-environment"


def test_the_doctor_goes_by_the_environment_where_no_file_names_the_module(
    opened_as_module: Callable[[Connection], Opened], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNAPSE_VAULT_PATH_ROOT", "of-environment")
    assert opened_as_module(Connection()).variables == {"SYNAPSE_VAULT_PATH_ROOT"}


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
