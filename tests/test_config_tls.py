"""Configuration of TLS with certificates and keys that are real, or only half."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .configurations import check_accepted, config_with, error_of
from .servers.pki import Authority

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("without_vault_in_the_environment")


@pytest.mark.parametrize(
    ("tls", "key", "expectation"),
    [
        ({"client_cert": "good.pem"}, "client_key", "client_cert needs its key"),
        ({"client_key": "good-key.pem"}, "client_cert", "client_key needs its certificate"),
        ({"client_cert": "no.pem", "client_key": "good-key.pem"}, "client_cert", "PEM"),
        ({"client_cert": "good.pem", "client_key": "no.pem"}, "client_", "PEM"),
    ],
    ids=str,
)
def test_half_of_an_identity_names_what_is_missing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tls: dict[str, str],
    key: str,
    expectation: str,
) -> None:
    monkeypatch.chdir(tmp_path)
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
