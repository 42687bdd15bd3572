"""The drop-in for services, as far as it needs no server."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider import matrix_provisioning
from synapse_vault_auth_provider.matrix_provisioning import (
    generate_matrix_mac,
    get_matrix_login_token,
    provision_matrix_user,
    update_matrix_profile,
)
from synapse_vault_auth_provider.provisioning import ConfigurationError

from .pythons import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("without_vault_in_the_environment")

CASES = json.loads((ROOT / "tests/vectors/registration_mac.json").read_text(encoding="utf-8"))[
    "cases"
]
SHARED_SECRET = "SYNAPSE_VAULT_REGISTRATION_SHARED_SECRET"
TEMPLATE = "SYNAPSE_VAULT_ACCOUNT_TEMPLATE"


@pytest.fixture(autouse=True)
def _no_provisioner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the one that another test may have made."""
    monkeypatch.setattr(matrix_provisioning, "_shared", None)


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (generate_matrix_mac, ["nonce", "username", "password", "admin", "user_type"]),
        (provision_matrix_user, ["user_id", "email", "display_name", "is_admin"]),
        (get_matrix_login_token, ["matrix_user_id"]),
        (
            update_matrix_profile,
            ["matrix_user_id", "display_name", "avatar_url", "access_token"],
        ),
    ],
)
def test_the_functions_are_called_as_ever(
    function: Callable[..., object], parameters: list[str]
) -> None:
    assert inspect.iscoroutinefunction(function)
    assert list(inspect.signature(function).parameters) == parameters


@pytest.mark.parametrize("where", ["environment", "file"])
@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_the_vectors_agree(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: dict[str, str], where: str
) -> None:
    if where == "file":
        (tmp_path / "secret").write_text(f"{case['registration_shared_secret']}\n")
        monkeypatch.setenv(f"{SHARED_SECRET}_FILE", str(tmp_path / "secret"))
    else:
        monkeypatch.setenv(SHARED_SECRET, case["registration_shared_secret"])
    mac = generate_matrix_mac(
        case["nonce"],
        case["username"],
        case["password"],
        admin=bool(case["admin"]),
        user_type=case["user_type"],
    )
    assert asyncio.run(mac) == case["mac"]


def test_there_is_no_mac_without_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=f"{SHARED_SECRET}: is required") as caught:
        asyncio.run(generate_matrix_mac("nonce", "user", "s3cret"))
    assert caught.value.key == SHARED_SECRET
    monkeypatch.setenv(f"{SHARED_SECRET}_FILE", "nowhere")
    with pytest.raises(ConfigurationError, match="names a file that cannot be read") as caught:
        asyncio.run(generate_matrix_mac("nonce", "user", "s3cret"))
    assert caught.value.key == f"{SHARED_SECRET}_FILE"
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "template",
    [
        "bot",
        "{}",
        "{0}",
        "{email}",
        "{user_id}{email}",
        "{user_id!r}",
        "{user_id.__class__}",
        "{user_id[0]}",
        "{user_id:{width}}",
        "{user_id:{user_id}}",
        "{user_id:d}",
        "{user_id:9999999999}",
        "{user_id",
        "user_id}",
        "{{user_id}}",
    ],
)
def test_a_template_that_names_no_account_is_refused(
    monkeypatch: pytest.MonkeyPatch, template: str
) -> None:
    monkeypatch.setenv(TEMPLATE, template)
    with pytest.raises(ConfigurationError, match=f"^{TEMPLATE}: ") as caught:
        asyncio.run(provision_matrix_user("42", "a@example.com"))
    assert caught.value.key == TEMPLATE


@pytest.mark.parametrize(
    ("template", "account"),
    [
        (None, "0f8fad5b-d9cb-469f-a165-70867728950e"),
        ("", "0f8fad5b-d9cb-469f-a165-70867728950e"),
        ("daarion_{user_id:.8}", "daarion_0f8fad5b"),
        ("{user_id:.4s}.{user_id:.2}", "0f8f.0f"),
        ("{{{user_id:.1}}}", "{0}"),
        ("{user_id:_>38.36}", "__0f8fad5b-d9cb-469f-a165-70867728950e"),
    ],
)
def test_a_template_names_the_account(
    monkeypatch: pytest.MonkeyPatch, template: str | None, account: str
) -> None:
    if template is not None:
        monkeypatch.setenv(TEMPLATE, template)
    user_id = "0f8fad5b-d9cb-469f-a165-70867728950e"
    assert matrix_provisioning._account_template().format(user_id=user_id) == account


def test_what_the_environment_lacks_is_named() -> None:
    with pytest.raises(ConfigurationError, match="SYNAPSE_VAULT_HOMESERVER"):
        asyncio.run(provision_matrix_user("42", "a@example.com"))
    with pytest.raises(ConfigurationError, match="SYNAPSE_VAULT_HOMESERVER"):
        asyncio.run(get_matrix_login_token("@a:example.org"))


def test_a_profile_that_cannot_be_set_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    updating = update_matrix_profile("@a:example.org", "A", access_token="syt_s3cret")
    assert asyncio.run(updating) is False
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.name == "synapse_vault_auth_provider.matrix_provisioning"
    assert "SYNAPSE_VAULT_HOMESERVER" in record.getMessage()
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("avatar_url", ["/etc/passwd", "https://example.org/a.png", "a.png"])
def test_an_avatar_is_no_file_of_the_service(
    caplog: pytest.LogCaptureFixture, avatar_url: str
) -> None:
    assert asyncio.run(update_matrix_profile("@a:example.org", avatar_url=avatar_url)) is False
    assert "must begin with mxc://" in caplog.text


@pytest.mark.parametrize("nothing", [None, ""])
def test_nothing_to_set_is_no_failure(nothing: str | None) -> None:
    assert asyncio.run(update_matrix_profile("@a:example.org", nothing, nothing)) is True
