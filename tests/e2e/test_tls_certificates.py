"""Certificates that Vault's own tools and OpenSSL accept, and some that nobody should."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.harness.accounts import PATH_ROOT
from tests.servers.auth_methods import allow, cert, logins
from tests.servers.listeners import TlsListener
from tests.servers.pki import Authority, self_signed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.core import Core
    from tests.harness.stack import Stack

ADDRESS = "127.0.0.1"
YESTERDAY = datetime.timedelta(days=-1)
TOMORROW = datetime.timedelta(days=1)


class Servers:
    """One Vault whose ports show different certificates."""

    def __init__(self, stack: Stack, directory: Path) -> None:
        self.stack = stack
        self.authority = Authority("authority")
        self.clients = Authority("clients")
        self.authorities = directory / "authorities.pem"
        self.authorities.write_text(self.authority.certificate)
        p521 = Authority("p521", curve=ec.SECP521R1(), signature_hash=hashes.SHA512())
        self.p521 = directory / "p521-authority.pem"
        self.p521.write_text(p521.certificate)
        own: dict[str, Any] = {"directory": directory, "address": ADDRESS}
        issued = self.authority.issue
        expired: dict[str, Any] = {"valid_from": 2 * YESTERDAY, "valid_to": YESTERDAY}
        clients_only: dict[str, Any] = {"purposes": [ExtendedKeyUsageOID.CLIENT_AUTH]}
        pairs = {
            "usual": issued("usual", **own),
            "named": issued("named", directory, names=["vault"]),
            "expired": issued("expired", **own, **expired),
            "early": issued("early", **own, valid_from=TOMORROW, valid_to=2 * TOMORROW),
            "for clients": issued("for-clients", **own, **clients_only),
            "p521": p521.issue("p521", **own, curve=ec.SECP521R1()),
            "own": self_signed("own", **own),
            "own for servers": self_signed(
                "own-for-servers", **own, purposes=[ExtendedKeyUsageOID.SERVER_AUTH]
            ),
            "own expired": self_signed("own-expired", **own, **expired),
            "own named": self_signed("own-named", directory, names=["vault"]),
            "own for clients": self_signed("own-for-clients", **own, **clients_only),
        }
        self.listeners = {name: TlsListener(*pair) for name, pair in pairs.items()}
        self.listeners["mutual"] = TlsListener(*pairs["usual"], clients=self.clients)
        config = "".join(listener.config for listener in self.listeners.values())
        self.openbao = stack.start_openbao("certificates", config=config)
        self.token = stack.vault_token(self.openbao)

    def start(self, listener: str, trusted: Path | None = None, **settings: Any) -> Core:
        """Start the core with one of the listeners as its Vault."""
        tls = {"ca_cert": str(trusted or self.authorities), **settings.pop("vault_tls", {})}
        return self.stack.start_core(
            openbao=self.openbao,
            vault_url=self.listeners[listener].url,
            vault_tls=tls,
            **settings,
        )


@pytest.fixture(scope="module")
def servers(file_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Servers:
    return Servers(file_stack, tmp_path_factory.mktemp("certificates"))


def check_trusted(core: Core) -> None:
    account = core.new_account()
    outcome = core.log_in(account.user_id, account.token_hash)
    assert outcome.code == "ok", outcome.reason


def check_refused(core: Core, text: str, code: str = "vault_unavailable") -> None:
    """Fail unless logins are refused with this reason, in words and without trying again."""
    account = core.new_account()
    outcome = core.log_in(account.user_id, account.token_hash)
    assert outcome.code == code
    assert text in outcome.reason
    assert "invalid peer certificate" not in outcome.reason
    assert core.counts().vault_retries == 0


@pytest.mark.parametrize("name", ["own", "own for servers"])
def test_a_certificate_that_is_its_own_authority_is_taken_if_it_is_named(
    servers: Servers, name: str
) -> None:
    check_trusted(servers.start(name, servers.listeners[name].certificate))


def test_such_a_certificate_is_refused_if_another_one_is_named(servers: Servers) -> None:
    other = servers.listeners["own for servers"].certificate
    check_refused(servers.start("own", other), "give this very certificate as vault_tls.ca_cert")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("own expired", "the server's certificate expired on 20"),
        ("own named", "the server's certificate is not for the name 127.0.0.1, but for vault"),
        ("own for clients", "is not one for servers; its extended key usage must have serverAuth"),
    ],
)
def test_such_a_certificate_is_held_to_all_else(servers: Servers, name: str, text: str) -> None:
    check_refused(servers.start(name, servers.listeners[name].certificate), text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("expired", "the server's certificate expired on 20"),
        ("early", "the server's certificate is valid only from 20"),
        ("named", "the server's certificate is not for the name 127.0.0.1, but for vault"),
        ("for clients", "the server's certificate is not one for servers"),
        ("p521", "is signed by an unknown authority; give it as vault_tls.ca_cert"),
        ("mutual", "asks for a client certificate, and none is configured"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_told_in_words(
    servers: Servers, name: str, text: str
) -> None:
    check_refused(servers.start(name), text)


def test_keys_of_p521_and_signatures_with_sha512(servers: Servers) -> None:
    check_trusted(servers.start("p521", servers.p521))


def test_a_client_certificate_of_p521(servers: Servers, tmp_path: Path) -> None:
    certificate, key = servers.clients.issue("p521", tmp_path, curve=ec.SECP521R1())
    identity = {"client_cert": str(certificate), "client_key": str(key)}
    check_trusted(servers.start("mutual", vault_tls=identity))


def test_the_server_judges_a_client_certificate_of_version_1(
    servers: Servers, tmp_path: Path
) -> None:
    certificate, key = servers.clients.issue("version-1", tmp_path, version=1)
    identity = {"client_cert": str(certificate), "client_key": str(key)}
    check_trusted(servers.start("mutual", vault_tls=identity))
    policy = allow(servers.openbao, "cert-users", f"secret/data/{PATH_ROOT}/*")
    auth = cert(servers.openbao, "cert-version-1", policy, servers.clients)
    check_trusted(servers.start("mutual", vault_tls=identity, vault_auth=auth))
    assert logins(servers.openbao, auth) == 1


def test_a_client_certificate_that_the_server_refuses(servers: Servers, tmp_path: Path) -> None:
    certificate, key = Authority("strangers").issue("stranger", tmp_path)
    identity = {"client_cert": str(certificate), "client_key": str(key)}
    check_refused(servers.start("mutual", vault_tls=identity), "refuses the client certificate")


@pytest.mark.parametrize("name", ["named", "own named"])
def test_the_name_in_the_certificate_may_be_another_one(servers: Servers, name: str) -> None:
    trusted = servers.listeners[name].certificate if name == "own named" else None
    core = servers.start(name, trusted, vault_tls={"server_name": "vault"})
    check_trusted(core)
    other = servers.start(name, trusted, vault_tls={"server_name": "another"})
    check_refused(other, "the server's certificate is not for the name another, but for vault")


@pytest.mark.parametrize("variable", ["VAULT_TLS_SERVER_NAME", "BAO_TLS_SERVER_NAME"])
def test_that_name_may_be_in_the_environment(servers: Servers, variable: str) -> None:
    check_trusted(servers.start("named", environment={variable: "vault"}))


def test_a_port_without_tls_is_told_from_a_bad_certificate(servers: Servers) -> None:
    url = servers.openbao.url.replace("http://", "https://")
    plain = servers.stack.start_core(openbao=servers.openbao, vault_url=url)
    check_refused(plain, "does not speak TLS at this port; write http://", "vault_error")


def test_a_port_with_tls_is_told_from_one_without(servers: Servers) -> None:
    url = servers.listeners["usual"].url.replace("https://", "http://")
    core = servers.stack.start_core(openbao=servers.openbao, vault_url=url)
    check_refused(core, "expects TLS at this port; write https://", "vault_error")
