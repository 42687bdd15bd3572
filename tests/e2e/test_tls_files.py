"""Certificates that are renewed in their files while the module runs."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.accounts import PATH_ROOT
from tests.harness.waiting import wait_until
from tests.servers.auth_methods import allow, cert, logins
from tests.servers.listeners import TlsListener
from tests.servers.pki import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.core import Core
    from tests.harness.stack import Stack
    from tests.servers import OpenBao

ADDRESS = "127.0.0.1"


class Renewable:
    """A Vault whose certificate can be renewed, by another authority as well."""

    def __init__(self, stack: Stack, directory: Path) -> None:
        self.directory = directory
        self.clients = Authority("clients")
        self.authority = Authority("first")
        pair = self.authority.issue("server", directory, ADDRESS)
        self.usual = TlsListener(*pair)
        self.mutual = TlsListener(*pair, clients=self.clients)
        config = self.usual.config + self.mutual.config
        self.openbao: OpenBao = stack.start_openbao("renewable", config=config)

    def renew(self) -> Authority:
        """Have another authority issue the server's certificate, and return it."""
        self.authority = Authority("next")
        self.authority.issue("server", self.directory, ADDRESS)
        assert self.openbao.process is not None
        # OpenBao reads the certificates of its listeners again.
        os.kill(self.openbao.process.pid, signal.SIGHUP)
        return self.authority


@pytest.fixture
def renewable(stack: Stack, tmp_path: Path) -> Renewable:
    directory = tmp_path / "server"
    directory.mkdir()
    return Renewable(stack, directory)


@pytest.fixture
def ca_cert(renewable: Renewable, tmp_path: Path) -> Path:
    path = tmp_path / "authorities.pem"
    path.write_text(renewable.authority.certificate)
    return path


def start(stack: Stack, renewable: Renewable, **settings: Any) -> Core:
    return stack.start_core(
        openbao=renewable.openbao, **{"vault_url": renewable.usual.url, **settings}
    )


def log_in(core: Core) -> tuple[str, str]:
    account = core.new_account()
    outcome = core.log_in(account.user_id, account.token_hash)
    return outcome.code, outcome.reason


def wait_for_notice(core: Core, text: str) -> None:
    def is_there() -> bool:
        core.collect(0.1)
        return any(text in notice for notice in core.notices)

    wait_until(f"a notice: {text}", is_there)


def test_another_authority_is_trusted_as_soon_as_it_is_needed(
    stack: Stack, renewable: Renewable, ca_cert: Path
) -> None:
    core = start(stack, renewable, vault_tls={"ca_cert": str(ca_cert)})
    assert log_in(core)[0] == "ok"
    ca_cert.write_text(renewable.renew().certificate)
    # Connections that there are go on; they are closed when they have idled for five seconds.
    wait_until(
        "a connection with the new certificate",
        lambda: log_in(core)[0] == "ok" and _is_told(core, "the TLS files have changed"),
    )


def test_an_authority_that_is_trusted_no_longer_is_refused_by_resumed_sessions_too(
    stack: Stack, renewable: Renewable, ca_cert: Path
) -> None:
    core = start(stack, renewable, vault_tls={"ca_cert": str(ca_cert)})
    assert log_in(core)[0] == "ok"
    ca_cert.write_text(Authority("another").certificate)
    wait_for_notice(core, "the TLS files have changed")
    code, reason = log_in(core)
    assert code == "vault_unavailable"
    assert "signed by an unknown authority" in reason


def test_a_file_that_is_cut_off_leaves_what_it_held_before(
    stack: Stack, renewable: Renewable, ca_cert: Path
) -> None:
    core = start(stack, renewable, vault_tls={"ca_cert": str(ca_cert)})
    first, other = renewable.authority.certificate, Authority("other").certificate
    ca_cert.write_text(first + other[: len(other) // 2])
    wait_for_notice(core, "a certificate that is cut off; going on with what they held before")
    assert log_in(core)[0] == "ok"
    ca_cert.write_text(first + other)
    wait_for_notice(core, "new connections use what they hold now")
    assert log_in(core)[0] == "ok"


def test_a_certificate_error_that_nobody_fixed_is_told_at_once(
    stack: Stack, renewable: Renewable, ca_cert: Path
) -> None:
    renewable.renew()
    core = start(stack, renewable, vault_tls={"ca_cert": str(ca_cert)})
    code, reason = log_in(core)
    assert code == "vault_unavailable"
    assert "signed by an unknown authority" in reason or "names" in reason
    assert core.counts().vault_retries == 0


def test_a_renewed_client_certificate_logs_in_again(
    stack: Stack, renewable: Renewable, ca_cert: Path, tmp_path: Path
) -> None:
    certificate, key = renewable.clients.issue("client", tmp_path)
    policy = allow(renewable.openbao, "users", f"secret/data/{PATH_ROOT}/*")
    auth = cert(renewable.openbao, "cert", policy, renewable.clients)
    core = start(
        stack,
        renewable,
        vault_url=renewable.mutual.url,
        vault_auth=auth,
        vault_tls={
            "ca_cert": str(ca_cert),
            "client_cert": str(certificate),
            "client_key": str(key),
        },
    )
    assert log_in(core)[0] == "ok"
    assert logins(renewable.openbao, auth) == 1
    renewable.clients.issue("client", tmp_path)
    wait_for_notice(core, "the TLS files have changed")
    wait_until("another login", lambda: logins(renewable.openbao, auth) == 2)
    assert log_in(core)[0] == "ok"
    assert logins(renewable.openbao, auth) == 2


def _is_told(core: Core, text: str) -> bool:
    core.collect(0)
    return any(text in notice for notice in core.notices)
