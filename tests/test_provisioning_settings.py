"""What a provisioner is told: right, wrong, from files and from the environment."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from synapse_vault_auth_provider.provisioning import (
    ConfigurationError,
    Provisioner,
    ProvisioningError,
    UnreachableError,
)

from .servers.port import ReservedPort

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

NOBODY_LISTENS = ReservedPort()

ENOUGH: dict[str, Any] = {
    "homeserver": "http://localhost:8008/",
    "server_name": "example.org",
    "vault_url": "http://localhost:8200",
    "vault_token": "hvs.s3cret",
    "vault_path_root": "matrix/users",
}

IN_THE_ENVIRONMENT = {
    "SYNAPSE_VAULT_HOMESERVER": "https://matrix.example.org",
    "SYNAPSE_VAULT_SERVER_NAME": "example.org",
    "SYNAPSE_VAULT_PATH_ROOT": "matrix/users",
    "VAULT_ADDR": "http://localhost:8200",
    "VAULT_TOKEN": "hvs.s3cret",
}

pytestmark = pytest.mark.usefixtures("without_vault_in_the_environment")


@pytest.fixture(autouse=True)
def without_us_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("SYNAPSE_VAULT_"):
            monkeypatch.delenv(name)


def error_of(call: Callable[[], object]) -> ConfigurationError:
    """Return the error that a call ends with, after a look for secrets in it."""
    with pytest.raises(ConfigurationError) as caught:
        call()
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert "s3cret" not in shown
    return caught.value


def test_it_is_told_enough() -> None:
    provisioner = Provisioner(**ENOUGH)
    assert provisioner.homeserver == "http://localhost:8008"
    assert provisioner.server_name == "example.org"
    assert repr(provisioner) == "<Provisioner of example.org at http://localhost:8008>"
    first, second, *rest = ENOUGH.values()
    named = dict(zip(list(ENOUGH)[2:], rest, strict=True))
    assert Provisioner(first, second, **named).server_name == "example.org"


@pytest.mark.parametrize(
    ("changes", "key", "message"),
    [
        ({"homeserver": None}, "homeserver", "SYNAPSE_VAULT_HOMESERVER"),
        ({"server_name": None}, "server_name", "SYNAPSE_VAULT_SERVER_NAME"),
        ({"vault_path_root": None}, "vault_path_root", "vault_path_root"),
        ({"vault_token": None}, "vault_token", "vault_token"),
        ({"homeserver": "localhost:8008"}, "homeserver", "must begin with http://"),
        ({"homeserver": "http://a:s3cret@b"}, "homeserver", "user name or password"),
        ({"homeserver": 7}, "homeserver", "must be a string"),
        ({"server_name": "https://example.org"}, "server_name", "no URL"),
        ({"server_name": "@a:example.org"}, "server_name", "no @"),
        ({"server_name": ""}, "server_name", ""),
        ({"vault_url": "localhost:8200"}, "vault_url", "http"),
        ({"homserver": "x"}, "homserver", "did you mean homeserver?"),
        ({"vault_tokn": "s3cret"}, "vault_tokn", "did you mean vault_token?"),
        ({"admin_token": "s3cret"}, "admin_token", "unknown key"),
        ({"timeout": "soon"}, "timeout", "seconds"),
        ({"timeout": 0}, "timeout", ""),
        ({"timeout": -1}, "timeout", ""),
        ({"timeout": float("nan")}, "timeout", ""),
        ({"vault_kv_version": 3}, "vault_kv_version", ""),
        ({"admin_access_token": 7}, "admin_access_token", "must be a string"),
        (
            {"admin_access_token": "s3cret", "admin_access_token_file": "/x"},
            "admin_access_token",
            "admin_access_token_file",
        ),
        (
            {"registration_shared_secret_file": "/nowhere/at/all"},
            "registration_shared_secret_file",
            "/nowhere/at/all",
        ),
        ({"admin_access_token_file": Path("/nowhere")}, "admin_access_token_file", "/nowhere"),
        ({"vault_url": complex(1)}, "vault_url", ""),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(changes: dict[str, Any], key: str, message: str) -> None:
    settings = {key: value for key, value in {**ENOUGH, **changes}.items() if value is not None}
    error = error_of(lambda: Provisioner(**settings))
    assert error.key is not None
    assert error.key.startswith(key)
    assert str(error).startswith(error.key)
    assert message in str(error)
    assert isinstance(error, ProvisioningError)
    assert (error.status, error.errcode, error.retry_after) == (None, None, None)


def test_all_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in IN_THE_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    provisioner = Provisioner()
    assert provisioner.homeserver == "https://matrix.example.org"
    assert Provisioner("http://localhost").homeserver == "http://localhost"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SYNAPSE_VAULT_HOMESERVER", "localhost"),
        ("SYNAPSE_VAULT_SERVER_NAME", "a b"),
        ("SYNAPSE_VAULT_TIMEOUT", "soon"),
        ("SYNAPSE_VAULT_KV_VERSION", "3"),
        ("SYNAPSE_VAULT_KV_MOUNT_POINT", "a/../b"),
        ("SYNAPSE_VAULT_PATH_ROOT", "a/../b"),
        ("SYNAPSE_VAULT_REGISTRATION_SHARED_SECRET_FILE", "/nowhere"),
        ("SYNAPSE_VAULT_ADMIN_ACCESS_TOKEN_FILE", "/nowhere"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for good, text in IN_THE_ENVIRONMENT.items():
        monkeypatch.setenv(good, text)
    monkeypatch.setenv(name, value)
    error = error_of(Provisioner)
    assert error.key == name
    assert str(error).startswith(f"{name}: ")


def test_an_error_has_all_that_is_known() -> None:
    error = ProvisioningError("it broke", advice="fix it", status=403, errcode="M_X")
    assert str(error) == "it broke; fix it"
    assert (error.message, error.retry_after, error.key) == ("it broke", None, None)
    assert str(ProvisioningError("it broke")) == "it broke"


@pytest.mark.parametrize("given", [{}, {"admin_access_token": ""}], ids=str)
def test_no_right_to_create_accounts(given: dict[str, str]) -> None:
    provisioner = Provisioner(**ENOUGH, **given)
    error = error_of(lambda: provisioner.provision_user("alice"))
    assert error.key == "admin_access_token"
    assert "registration_shared_secret" in str(error)


@pytest.mark.parametrize("token", ["a b", "tök", "a\nb"])
def test_an_admin_token_that_no_header_can_carry(token: str) -> None:
    provisioner = Provisioner(**ENOUGH, admin_access_token=token)
    assert error_of(lambda: provisioner.provision_user("alice")).key == "admin_access_token"


def test_a_subclass() -> None:
    class Service(Provisioner):
        """One with settings of its own."""

        def __new__(cls, name: str) -> Self:
            return super().__new__(cls, **{**ENOUGH, "server_name": name})

        def __init__(self, name: str) -> None:
            self.name = name

    service = Service("example.com")
    assert (service.name, service.server_name) == ("example.com", "example.com")


def test_credentials_in_files_are_read_when_they_are_needed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    settings = {**ENOUGH, "homeserver": f"http://127.0.0.1:{NOBODY_LISTENS}", "timeout": 0.2}
    provisioner = Provisioner(**settings, registration_shared_secret_file=secret)
    with pytest.raises(UnreachableError):
        provisioner.provision_user("alice")
