"""Configuration of how Vault is reached and read: right, wrong and half given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .configurations import check_accepted, config_with, error_of
from .servers.pki import Authority

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("without_vault_in_the_environment")


@pytest.mark.parametrize(
    ("tls", "key", "expectation"),
    [
        ({"ca_cert": "/nowhere"}, "ca_cert", "cannot read /nowhere"),
        ({"ca_cert": "no.pem"}, "ca_cert", "no certificate"),
        ({"ca_cert": 5}, "ca_cert", "must be a string, not a number"),
        ({"ca_path": "/nowhere"}, "ca_path", "cannot read /nowhere"),
        ({"ca_path": "empty"}, "ca_path", "no file with a certificate"),
        ({"client_cert": "good.pem"}, "client_key", "client_cert needs its key"),
        ({"client_key": "good-key.pem"}, "client_cert", "client_key needs its certificate"),
        ({"client_cert": "no.pem", "client_key": "good-key.pem"}, "client_cert", "PEM"),
        ({"client_cert": "good.pem", "client_key": "no.pem"}, "client_", "PEM"),
        ({"skip_verify": "yes"}, "skip_verify", "true or false"),
        ({"skip_verify": ""}, "skip_verify", "true or false"),
        ({"cacert": "x"}, "cacert", "did you mean ca_cert?"),
    ],
    ids=str,
)
def test_half_of_an_identity_in_tls_names_what_is_missing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tls: dict[str, Any],
    key: str,
    expectation: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "no.pem").write_text("s3cret")
    Authority("authority").issue("good", tmp_path)
    error = error_of(config_with(vault_tls=tls))
    [path] = error.path or []
    assert path.startswith(f"vault_tls.{key}")
    assert error.msg.startswith(f"{path}: ")
    assert expectation in error.msg


def test_tls_is_accepted_in_every_form(tmp_path: Path) -> None:
    authority = Authority("authority")
    certificate, key = authority.issue("good", tmp_path)
    (tmp_path / "ca.pem").write_text(authority.certificate)
    for tls in (
        None,
        {},
        {"ca_cert": str(tmp_path / "ca.pem"), "ca_path": None, "skip_verify": None},
        {"ca_path": str(tmp_path)},
        {"client_cert": str(certificate), "client_key": str(key), "skip_verify": True},
    ):
        check_accepted(config_with(vault_tls=tls))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("CACERT", "ca_cert"),
        ("CAPATH", "ca_path"),
        ("CLIENT_CERT", "client_key"),
        ("CLIENT_KEY", "client_cert"),
    ],
)
@pytest.mark.parametrize("tool", ["VAULT", "BAO"])
def test_what_the_environment_says_of_tls_is_blamed_on_it(
    monkeypatch: pytest.MonkeyPatch, tool: str, name: str, key: str
) -> None:
    monkeypatch.setenv(f"{tool}_{name}", "/nowhere")
    [path] = error_of(config_with()).path or []
    assert path in {f"{tool}_{name}", f"vault_tls.{key}"}
    # The other way round: what is configured is looked at alone.
    if name == "CACERT":
        assert error_of(config_with(vault_tls={"ca_cert": "/no"})).path == ("vault_tls.ca_cert",)


@pytest.mark.parametrize("value", ["yes", "2", "on", " "])
def test_an_unclear_word_on_verification_is_named(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("VAULT_SKIP_VERIFY", value)
    error = error_of(config_with())
    assert error.path == ("VAULT_SKIP_VERIFY",)
    assert "true or false" in error.msg


@pytest.mark.parametrize(
    ("key", "value", "path", "expectation"),
    [
        ("vault_url", [], "vault_url", "empty list"),
        ("vault_url", ["https://a:8200", "b:8200"], "vault_url[1]", "http:// or https://"),
        ("vault_url", ["https://a:8200", 5], "vault_url[1]", "a string, not a number"),
        ("vault_url", ["https://a:8200", ""], "vault_url[1]", "http:// or https://"),
        ("vault_url", {"a": 1}, "vault_url", "not a mapping"),
        ("vault_namespace", "te\nam", "vault_namespace", "printable ASCII"),
        ("vault_namespace", "tëam", "vault_namespace", "printable ASCII"),
        ("vault_namespace", "/", "vault_namespace", "printable ASCII"),
        ("vault_namespace", ["team"], "vault_namespace", "a string, not a list"),
        ("vault_kv_version", 3, "vault_kv_version", "auto, 1 or 2"),
        ("vault_kv_version", "v2", "vault_kv_version", "auto, 1 or 2"),
        ("vault_kv_version", True, "vault_kv_version", "auto, 1 or 2"),
        ("vault_auth", "approle", "vault_auth", "a mapping of keys, not a string"),
        ("vault_tls", True, "vault_tls", "a mapping of keys, not true or false"),
        ("max_concurrent_lookups", 0, "max_concurrent_lookups", "from 1 to"),
        ("max_concurrent_lookups", 1.5, "max_concurrent_lookups", "from 1 to"),
        ("max_concurrent_lookups", "256", "max_concurrent_lookups", "not a string"),
        ("cache", "on", "cache", "a mapping of keys, not a string"),
        ("cache", {"ttl": -1}, "cache.ttl", "from zero up"),
        ("cache", {"ttl": "soon"}, "cache.ttl", '"250ms", "5s", "10m" or "1h"'),
        ("cache", {"stale_if_error": True}, "cache.stale_if_error", "not true or false"),
        ("cache", {"max_entries": 0}, "cache.max_entries", "from 1 to"),
        ("cache", {"stale_on_error": 1}, "cache.stale_on_error", "did you mean stale_if_error?"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_wrong_value_is_named_with_what_is_allowed(
    key: str, value: object, path: str, expectation: str
) -> None:
    config = config_with(**{key: value})
    if key == "vault_auth":
        config["vault_token"] = None
    error = error_of(config)
    assert error.path == (path,)
    assert error.msg.startswith(f"{path}: ")
    assert expectation in error.msg


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("vault_url", ["https://a:8200", "https://b:8200"]),
        ("vault_namespace", "/team/matrix/"),
        ("vault_namespace", None),
        ("vault_kv_version", "auto"),
        ("vault_kv_version", 1),
        ("vault_kv_version", "2"),
        ("vault_kv_version", None),
        ("max_concurrent_lookups", 1),
        ("cache", None),
        ("cache", {}),
        ("cache", {"ttl": "5m", "stale_if_error": "1h", "max_entries": 100}),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_right_value_is_accepted(key: str, value: object) -> None:
    check_accepted(config_with(**{key: value}))


def test_a_namespace_that_no_header_can_carry_is_named_in_the_environment_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VAULT_NAMESPACE", "te\nam")
    assert error_of(config_with()).path == ("VAULT_NAMESPACE",)
