"""Configuration of the module's identity: right, wrong, half given and given twice."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from .configurations import check_accepted, config_with, error_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("without_vault_in_the_environment")

SECRET = "s3cret"

APPROLE = {"method": "approle", "role_id": "r", "secret_id": SECRET}


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], str]:
    """Return what writes a file and returns its path."""
    numbers = itertools.count()

    def write(content: bytes) -> str:
        path = tmp_path / f"file-{next(numbers)}"
        path.write_bytes(content)
        return str(path)

    return write


def with_auth(**auth: Any) -> dict[Any, Any]:
    return config_with(vault_token=None, vault_auth=auth)


def test_an_identity_is_accepted_in_every_form(file: Callable[[bytes], str]) -> None:
    secret = file(b"s3cret\n")
    for auth in (
        APPROLE,
        {**APPROLE, "mount": "auth/roles/matrix/", "secret_id_wrapped": True},
        {"method": "approle", "role_id_file": secret, "secret_id_file": secret},
        {"method": "kubernetes", "role": "r", "jwt_file": secret},
        {"method": "jwt", "jwt": SECRET},
        {"method": "jwt", "jwt_file": secret, "role": "r"},
        {"method": "userpass", "username": "u", "password": SECRET},
        {"method": "userpass", "username": "u", "password_file": secret},
    ):
        check_accepted(with_auth(**auth))
    check_accepted(config_with(vault_token=None, vault_token_file=secret))


@pytest.mark.parametrize(
    ("auth", "key", "expectation"),
    [
        ({}, "method", "one of approle, kubernetes, jwt, cert or userpass"),
        ({"method": "ldap"}, "method", "approle, kubernetes, jwt, cert or userpass"),
        ({"method": 5}, "method", "must be a string, not a number"),
        ({"method": "approle", "secret_id": SECRET}, "role_id", "required"),
        ({"method": "approle", "role_id": "r"}, "secret_id", "this or secret_id_file"),
        ({**APPROLE, "secret_id": [SECRET]}, "secret_id", "must be a string, not a list"),
        ({**APPROLE, "secret_id_file": "f"}, "secret_id_file", "only one of this and secret_id"),
        ({**APPROLE, "secret_id_wrapped": "yes"}, "secret_id_wrapped", "true or false"),
        ({**APPROLE, "mount": "a/../b"}, "mount", 'no ".." segment'),
        ({**APPROLE, "roleid": "r"}, "roleid", "did you mean role_id?"),
        ({**APPROLE, "password": SECRET}, "password", "unknown key"),
        ({"method": "kubernetes"}, "role", "required"),
        ({"method": "kubernetes", "role": "r"}, "jwt_file", "/var/run/secrets/kubernetes.io"),
        ({"method": "jwt", "role": "r"}, "jwt", "this or jwt_file"),
        ({"method": "jwt", "jwt_file": "/nowhere"}, "jwt_file", "cannot read /nowhere"),
        ({"method": "userpass", "password": SECRET}, "username", "required"),
        ({"method": "userpass", "username": "u"}, "password", "this or password_file"),
        ({"method": "userpass", "username": "a/b", "password": SECRET}, "username", "no slash"),
        ({"method": "cert"}, "method", "client_cert and client_key under vault_tls"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_half_of_an_identity_names_what_is_missing(
    auth: dict[str, Any], key: str, expectation: str
) -> None:
    error = error_of(with_auth(**auth))
    assert error.path == (f"vault_auth.{key}",)
    assert error.msg.startswith(f"vault_auth.{key}: ")
    assert expectation in error.msg


@pytest.mark.parametrize(
    ("content", "expectation"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (bytes(range(256)), "is not text"),
        (b"s3cret" * 20_000, "is longer than"),
    ],
    ids=["empty", "blank", "binary", "long"],
)
@pytest.mark.parametrize("key", ["vault_token_file", "secret_id_file"])
def test_a_file_without_a_secret_is_named(
    file: Callable[[bytes], str], key: str, content: bytes, expectation: str
) -> None:
    path = file(content)
    if key == "vault_token_file":
        error = error_of(config_with(vault_token=None, vault_token_file=path))
        assert error.path == ("vault_token_file",)
    else:
        error = error_of(with_auth(method="approle", role_id="r", secret_id_file=path))
        assert error.path == ("vault_auth.secret_id_file",)
    assert path in error.msg
    assert expectation in error.msg


@pytest.mark.parametrize(
    ("content", "expectation"),
    [
        (b"s3cret\ns3cret", "letters, digits and punctuation of ASCII"),
        (b"s3cret\x01", "letters, digits and punctuation of ASCII"),
        (b'{"s3cret": 1}', "JSON without a token"),
        (b'{"token": ["s3cret"]}', "not a string"),
        (b'{"token": "s3cret', "is not JSON"),
        (b'{"curve25519_public_key": "", "encrypted_payload": "s3cret"}', "without dh_type"),
    ],
    ids=["lines", "control character", "no token", "list", "half", "encrypted"],
)
def test_a_file_without_a_token_is_named(
    file: Callable[[bytes], str], content: bytes, expectation: str
) -> None:
    error = error_of(config_with(vault_token=None, vault_token_file=file(content)))
    assert error.path == ("vault_token_file",)
    assert expectation in error.msg


@pytest.mark.parametrize(
    ("given", "blamed"),
    [
        (("vault_token", "vault_token_file"), "vault_token_file"),
        (("vault_token", "vault_auth"), "vault_auth"),
        (("vault_token_file", "vault_auth"), "vault_auth"),
        (("vault_token", "vault_token_file", "vault_auth"), "vault_token_file"),
    ],
    ids=" and ".join,
)
def test_two_ways_to_a_token_are_a_contradiction(
    file: Callable[[bytes], str], given: tuple[str, ...], blamed: str
) -> None:
    ways: dict[str, Any] = {
        "vault_token": SECRET,
        "vault_token_file": file(b"s3cret"),
        "vault_auth": APPROLE,
    }
    config = {**config_with(vault_token=None), **{key: ways[key] for key in given}}
    error = error_of(config)
    assert error.path == (blamed,)
    assert "only one way to a token" in error.msg


def test_a_token_in_the_environment_is_for_those_who_configured_no_way_to_one(
    monkeypatch: pytest.MonkeyPatch, file: Callable[[bytes], str]
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "not a token")
    check_accepted(with_auth(**APPROLE))
    check_accepted(config_with(vault_token=None, vault_token_file=file(b"s3cret")))
    assert error_of(config_with(vault_token=None)).path == ("VAULT_TOKEN",)
    monkeypatch.setenv("VAULT_TOKEN", SECRET)
    missing = config_with(vault_token=None, vault_token_file="/nowhere")
    assert error_of(missing).path == ("vault_token_file",)
