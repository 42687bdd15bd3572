"""An admin API of MAS that speaks TLS with a certificate of a private authority."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.servers.pki import Authority

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.harness.mas_deployment import MasDeployment
    from tests.servers import Mas


def test_the_authority_is_that_of_ca_cert_and_its_file_is_read_again(
    tmp_path: Path,
    start_mas: Callable[..., Mas],
    start_homeserver_under_mas: Callable[..., MasDeployment],
) -> None:
    authority, other = Authority("authority"), Authority("another authority")
    mas = start_mas()
    url = mas.listen_with_tls(*authority.issue("mas", tmp_path, "127.0.0.1"))
    ca_cert = tmp_path / "ca.pem"
    ca_cert.write_text(other.certificate)
    homeserver = start_homeserver_under_mas(
        "mas-tls", mas, mas_settings={"admin_api": url, "ca_cert": str(ca_cert)}, login_timeout="4s"
    )
    account = homeserver.new_account()
    attempt = homeserver.log_in(account.user_id, account.token_hash)
    assert (attempt.response.status_code, attempt.outcome) == (502, "mas_unavailable")
    assert "mas.ca_cert" in attempt.line.message
    ca_cert.write_text(authority.certificate)
    homeserver.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)
