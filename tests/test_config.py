"""Configuration: what stops Synapse's start, and with which error.

Which values are right is for the unit tests of `src/settings/`. Here is how errors arrive in
Python, and what only Python can be given.
"""

from __future__ import annotations

import datetime
import os
from typing import TYPE_CHECKING

import pytest
import yaml
from synapse.module_api.errors import ConfigError
from synapse_vault_auth_provider import VaultAuthProvider
from synapse_vault_auth_provider.config import IncompleteSettings

from .configurations import (
    OF_2018,
    TOKEN,
    check_accepted,
    config_with,
    error_of,
    settings_to_serve,
)
from .servers import Registration, Synapse
from .servers.process import START_TIMEOUT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("without_vault_in_the_environment")


def test_a_configuration_of_2018_is_accepted_and_shows_no_secret() -> None:
    settings = VaultAuthProvider.parse_config(yaml.safe_load(OF_2018))
    for shown in (repr(settings), str(settings), f"{settings}"):
        assert "s3cret" not in shown
        assert "matrix/users" in shown


@pytest.mark.parametrize("tool", ["VAULT", "BAO"])
def test_the_environment_fills_in_for_address_and_token(
    monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    monkeypatch.setenv(f"{tool}_ADDR", "http://from-environment:8200")
    monkeypatch.setenv(f"{tool}_TOKEN", TOKEN)
    shown = check_accepted({"vault_path_root": "matrix/users"})
    assert "http://from-environment:8200" in shown


def test_the_environment_is_read_when_the_configuration_is(monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_with(vault_token="")
    assert error_of(config).path == ("vault_token",)
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    VaultAuthProvider.parse_config(config)


def test_a_variable_that_is_not_needed_may_hold_any_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_COLOUR", os.fsdecode(b"\xff"))
    VaultAuthProvider.parse_config(config_with())


@pytest.mark.parametrize(
    ("name", "key"), [("VAULT_ADDR", "vault_url"), ("VAULT_TOKEN", "vault_token")]
)
def test_a_variable_that_is_not_utf_8_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, key: str
) -> None:
    monkeypatch.setenv(name, "http://s3cret" + os.fsdecode(b"\xff"))
    assert error_of(config_with(**{key: None})).path == (name,)


@pytest.mark.parametrize(
    ("key", "value", "path", "expectation"),
    [
        ("vault_url", None, "vault_url", "required"),
        ("vault_url", 8200, "vault_url", "must be a string, not a number"),
        ("vault_url", datetime.date(2018, 11, 1), "vault_url", "a string"),
        ("vault_url", ["https://a:8200", 5], "vault_url[1]", "a string, not a number"),
        ("vault_token", "s3cret\ns3cret", "vault_token", "digits and punctuation of ASCII"),
        ("vault_token", {"s3cret": "s3cret"}, "vault_token", "a string, not a mapping"),
        ("vault_token", b"s3cret", "vault_token", "a string"),
        ("vault_token_file", "/nowhere", "vault_token_file", "there is vault_token as well"),
        ("vault_auth", {"secret_id": "s3cret"}, "vault_auth", "there is vault_token as well"),
        ("vault_tls", {"ca_cert": "/nowhere"}, "vault_tls.ca_cert", "cannot read /nowhere"),
        ("vault_path_root", "matrix/../users", "vault_path_root", 'no ".." segment'),
        ("request_timeout", 0, "request_timeout", "above zero"),
        ("request_timeout", float("nan"), "request_timeout", "a number"),
        ("request_timeout", float("inf"), "request_timeout", "a number"),
        ("login_timeout", datetime.time(1), "login_timeout", "a number"),
        ("cache", {"ttl": -1}, "cache.ttl", "from zero up"),
        ("allow_registration", "true", "allow_registration", "true or false, not a string"),
        ("vault_kv_mount", "s3cret", "vault_kv_mount", "did you mean vault_kv_mount_point?"),
        ("colour", "s3cret", "colour", "known keys: "),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_error_names_its_key_and_what_is_allowed(
    key: str, value: object, path: str, expectation: str
) -> None:
    error = error_of(config_with(**{key: value}))
    assert error.path == (path,)
    assert error.msg.startswith(f"{path}: ")
    assert expectation in error.msg


def test_a_secret_that_is_none_is_not_shown() -> None:
    auth = {"method": "approle", "role_id": "r", "secret_id": ["s3cret"]}
    error = error_of(config_with(vault_token=None, vault_auth=auth))
    assert error.path == ("vault_auth.secret_id",)


@pytest.mark.parametrize("config", [None, "s3cret", 5, ["s3cret"], True], ids=str)
def test_what_is_no_mapping_is_refused(config: object) -> None:
    error = error_of(config)
    assert error.path == ("config",)
    assert "must be a mapping of keys to values" in error.msg


@pytest.mark.parametrize("key", [1, None, True, 1.5, datetime.date(2018, 11, 1)], ids=str)
def test_a_key_that_is_no_string_is_refused(key: object) -> None:
    error = error_of({**config_with(), key: "s3cret"})
    assert error.path == (repr(key),)
    assert "keys must be strings" in error.msg


def of_its_own() -> list[object]:
    """Return what ``&list [*list]`` is in YAML."""
    value: list[object] = []
    value.append(value)
    return value


def deep(levels: int) -> list[object]:
    """Return a list in a list in a list."""
    value: list[object] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [of_its_own(), deep(1000), deep(100_000), {1, 2}, "s3cret\ud800", 10**400, 10**5000],
    ids=["itself", "deep", "deeper", "set", "surrogate", "long", "longer"],
)
@pytest.mark.parametrize("key", ["vault_url", "vault_token", "request_timeout", "unknown"])
def test_whatever_yaml_can_hold_is_answered_with_an_error_that_names_the_key(
    key: str, value: object
) -> None:
    assert error_of(config_with(**{key: value})).path == (key,)


@pytest.mark.parametrize(
    "key",
    ["colour\ud800", "colour\n", "", "c" * 100_000],
    ids=["surrogate", "line", "empty", "long"],
)
def test_an_odd_key_is_answered_with_an_error_of_one_short_line(key: str) -> None:
    error = error_of(config_with(**{key: "s3cret"}))
    assert "unknown key" in error.msg or "keys must be strings" in error.msg
    assert len(error.msg.splitlines()) == 1
    assert len(error.msg) < 1000
    error.msg.encode()


@pytest.mark.parametrize("registration", Registration)
@pytest.mark.parametrize(
    ("changes", "environment", "key", "fix"),
    [
        (
            {"vault_kv_mount": "kv"},
            {},
            "vault_kv_mount",
            "unknown key; did you mean vault_kv_mount_point?",
        ),
        (
            {"vault_token": None},
            {"VAULT_TOKEN": "hvs.s3cret\nhvs.s3cret"},
            "VAULT_TOKEN",
            "tokens are letters, digits and punctuation of ASCII",
        ),
    ],
    ids=["key", "token"],
)
def test_synapse_does_not_start(
    tmp_path: Path,
    registration: Registration,
    changes: dict[str, object],
    environment: dict[str, str],
    key: str,
    fix: str,
) -> None:
    synapse = Synapse(
        tmp_path,
        config_with(**changes),
        registration=registration,
        environment=environment,
        # A parent that gets as far as to fork ends with 0, and leaves a file with the child's id.
        settings={"daemonize": True},
    )
    synapse.launch()
    assert synapse.wait(START_TIMEOUT) == 1
    output = synapse.output()
    assert f"{registration.value}.<item 0>.config.{key}'" in output
    assert f"{key}: " in output
    assert fix in output
    assert "s3cret" not in output + synapse.log()
    assert "Traceback" not in output
    assert not (tmp_path / "synapse.pid").exists()


def test_a_path_root_that_repeats_the_mount_is_warned_of() -> None:
    settings = settings_to_serve(config_with(vault_path_root="data/matrix/users"))
    (warning,) = settings.warnings
    assert 'begins with "data/"' in warning


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"vault_token": None}, "vault_token"),
        ({"vault_token": None, "vault_token_file": "/nowhere"}, "vault_token_file"),
        (
            {"vault_token": None, "vault_auth": {"method": "jwt", "role": "r", "jwt_file": "/no"}},
            "vault_auth.jwt_file",
        ),
        ({"vault_tls": {"ca_cert": "/nowhere"}}, "vault_tls.ca_cert"),
        ({"vault_headers": {"X-Access": {"file": "/nowhere"}}}, "vault_headers.X-Access"),
    ],
    ids=["token", "token file", "secret", "TLS", "header"],
)
def test_what_only_this_process_lacks_is_no_mistake_until_clients_are_served(
    changes: dict[str, object], key: str
) -> None:
    assert error_of(config_with(**changes)).path == (key,)
    settings = VaultAuthProvider.parse_config(config_with(**changes))
    assert isinstance(settings, IncompleteSettings)
    assert "s3cret" not in repr(settings)
    # It hides no other mistake, wherever that is.
    for mistake in ({"request_timeout": "s3cret"}, {"cache": {"ttl": -1}}, {"unknown": 1}):
        with pytest.raises(ConfigError) as caught:
            VaultAuthProvider.parse_config(config_with(**changes, **mistake))
        assert caught.value.path != (key,)


def test_a_file_that_can_be_read_and_is_no_certificate_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ConfigError):
        VaultAuthProvider.parse_config(config_with(vault_tls={"ca_cert": f"{tmp_path}/ca.pem"}))
