"""Configuration: what is accepted, and what stops Synapse's start with the fix."""

from __future__ import annotations

import datetime
import os
from typing import TYPE_CHECKING

import pytest
import yaml
from synapse_vault_auth_provider import VaultAuthProvider

from .configurations import OF_2018, TOKEN, config_with, error_of
from .servers import Registration, Synapse

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("without_vault_in_the_environment")


def test_a_configuration_of_2018_is_accepted_and_shows_no_secret() -> None:
    settings = VaultAuthProvider.parse_config(yaml.safe_load(OF_2018))
    for shown in (repr(settings), str(settings), f"{settings}"):
        assert "s3cret" not in shown
        assert "matrix/users" in shown


@pytest.mark.parametrize("absent", [{}, {"vault_token": ""}, {"vault_token": None}], ids=str)
@pytest.mark.parametrize("tool", ["VAULT", "BAO"])
def test_the_environment_fills_in_for_address_and_token(
    monkeypatch: pytest.MonkeyPatch, absent: dict[str, object], tool: str
) -> None:
    monkeypatch.setenv(f"{tool}_ADDR", "http://from-environment:8200")
    monkeypatch.setenv(f"{tool}_TOKEN", TOKEN)
    settings = VaultAuthProvider.parse_config({"vault_path_root": "matrix/users", **absent})
    assert "http://from-environment:8200" in repr(settings)
    assert "s3cret" not in repr(settings)


def test_the_configuration_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", "http://from-environment:8200")
    assert "https://localhost:8200" in repr(VaultAuthProvider.parse_config(config_with()))


def test_the_environment_is_read_when_the_configuration_is(monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_with(vault_token="")
    assert error_of(config).path == ("vault_token",)
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    VaultAuthProvider.parse_config(config)


def test_a_bad_token_in_the_environment_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "hvs.s3cret\nhvs.s3cret")
    error = error_of(config_with(vault_token=None))
    assert error.path == ("VAULT_TOKEN",)
    assert "letters, digits and punctuation of ASCII" in error.msg


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
    ("key", "value", "expectation"),
    [
        ("vault_url", None, "required"),
        ("vault_url", "", "VAULT_ADDR"),
        ("vault_url", 8200, "must be a string, not a number"),
        ("vault_url", "localhost:8200", "must begin with http:// or https://"),
        ("vault_url", "https://user:s3cret@localhost", "no user name or password"),
        ("vault_url", "https://localhost/v1", 'leave out the "/v1"'),
        ("vault_url", datetime.date(2018, 11, 1), "a string"),
        ("vault_token", "", "VAULT_TOKEN"),
        ("vault_token", "   ", "empty"),
        ("vault_token", "s3cret\ns3cret", "letters, digits and punctuation of ASCII"),
        ("vault_token", ["s3cret"], "must be a string, not a list"),
        ("vault_token", {"s3cret": "s3cret"}, "must be a string, not a mapping"),
        ("vault_token", b"s3cret", "a string"),
        ("vault_token", 5, "must be a string, not a number"),
        ("vault_path_root", None, "required"),
        ("vault_path_root", "///", "more than slashes"),
        ("vault_path_root", "matrix/../users", 'no ".." segment'),
        ("vault_path_root", True, "must be a string, not true or false"),
        ("vault_kv_mount_point", "kv\n", "no control character"),
        ("vault_kv_mount_point", 2, "must be a string, not a number"),
        ("request_timeout", "soon", '"250ms", "5s", "10m" or "1h"'),
        ("request_timeout", 0, "above zero"),
        ("request_timeout", float("nan"), "a number"),
        ("request_timeout", float("inf"), "a number"),
        ("request_timeout", -1, "from zero up"),
        ("login_timeout", "8d", "at most 7d"),
        ("login_timeout", "-5s", "from zero up"),
        ("login_timeout", False, "not true or false"),
        ("login_timeout", datetime.time(1), "a number"),
        ("rotation_grace", "a while", '"250ms", "5s", "10m" or "1h"'),
        ("rotation_grace", -1, "from zero up"),
        ("rotation_grace", "8d", "at most 7d"),
        ("rotation_grace", True, "not true or false"),
        ("rotation_grace", ["10m"], "not a list"),
        ("m_login_password_support_enabled", "yes", "must be true or false, not a string"),
        ("m_login_password_support_enabled", 1, "must be true or false, not a number"),
        ("allow_registration", "true", "must be true or false, not a string"),
        ("allow_registration", [], "must be true or false, not a list"),
        ("health_endpoint", "/health", "must be true or false, not a string"),
        ("health_endpoint", {}, "must be true or false, not a mapping"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_wrong_value_is_named_with_what_is_allowed(
    key: str, value: object, expectation: str
) -> None:
    error = error_of(config_with(**{key: value}))
    assert error.path == (key,)
    assert error.msg.startswith(f"{key}: ")
    assert expectation in error.msg


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("vault_kv_mount", "vault_kv_mount_point"),
        ("vault_adress", "vault_url"),
        ("vault_address", "vault_url"),
        ("vault_addr", "vault_url"),
        ("valt_token", "vault_token"),
        ("vault-token", "vault_token"),
        ("VAULT_PATH_ROOT", "vault_path_root"),
        ("request_timout", "request_timeout"),
        ("login_time_out", "login_timeout"),
    ],
)
def test_a_misspelt_key_is_named_with_the_one_meant(misspelt: str, meant: str) -> None:
    error = error_of(config_with(**{misspelt: "s3cret"}))
    assert error.path == (misspelt,)
    assert f"did you mean {meant}?" in error.msg


def test_a_key_like_no_other_is_answered_with_all_there_are() -> None:
    error = error_of(config_with(colour="s3cret"))
    assert error.path == ("colour",)
    assert all(key in error.msg for key in yaml.safe_load(OF_2018))


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
    synapse.spawn(synapse.command, synapse.environment)
    assert synapse.wait() == 1
    output = synapse.output()
    assert f"{registration.value}.<item 0>.config.{key}'" in output
    assert f"{key}: " in output
    assert fix in output
    assert "s3cret" not in output + synapse.log()
    assert "Traceback" not in output
    assert not (tmp_path / "synapse.pid").exists()
