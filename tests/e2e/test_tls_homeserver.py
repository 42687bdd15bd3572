"""A homeserver that speaks TLS with a certificate of a private authority."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider.provisioning import ConfigurationError, UnreachableError

from tests.harness.command_line import CommandLine
from tests.harness.provisioning import Means, Site, new_id
from tests.servers.pki import Authority
from tests.servers.port import ReservedPort

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.stack import Stack

NOT_TRUSTED = (
    "the server's certificate is signed by an unknown authority; "
    "give it as --ca-cert or SYNAPSE_VAULT_CA_CERT"
)


@dataclass(frozen=True)
class SecureSite:
    """A homeserver, where it speaks TLS, and whom to trust there."""

    site: Site
    url: str
    authorities: Path


@pytest.fixture(scope="module")
def secure(file_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> SecureSite:
    directory = tmp_path_factory.mktemp("homeserver")
    authority = Authority("authority")
    authorities = directory / "authorities.pem"
    authorities.write_text(authority.certificate)
    certificate, key = authority.issue("synapse", directory, "127.0.0.1")
    port = ReservedPort()
    deployment = file_stack.start_homeserver(
        "secure",
        homeserver_yaml={
            "tls_certificate_path": str(certificate),
            "tls_private_key_path": str(key),
        },
        listeners=[
            {
                "port": port,
                "type": "http",
                "tls": True,
                "bind_addresses": ["127.0.0.1"],
                "resources": [{"names": ["client"]}],
            }
        ],
    )
    return SecureSite(Site.of(deployment), f"https://127.0.0.1:{port}", authorities)


def test_an_authority_that_is_not_named_is_not_trusted(secure: SecureSite) -> None:
    site = secure.site
    with site.provisioner(Means.SHARED_SECRET, homeserver=secure.url) as provisioner:
        error = site.error(UnreachableError, provisioner.provision_user, new_id())
    assert NOT_TRUSTED in str(error)


def test_the_authority_of_the_homeserver_may_be_given(secure: SecureSite) -> None:
    site = secure.site
    user_id = new_id()
    with site.provisioner(
        Means.SHARED_SECRET, homeserver=secure.url, ca_cert=secure.authorities
    ) as provisioner:
        site.seen(provisioner.provision_user(user_id))
    assert site.opens(user_id, site.secret(user_id))


def test_a_file_without_a_certificate_is_named(secure: SecureSite, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(ConfigurationError, match=r"ca_cert: .*holds no certificate in PEM"):
        secure.site.provisioner(homeserver=secure.url, ca_cert=tmp_path / "empty.pem")


def test_the_command_takes_the_authority_from_everywhere(
    secure: SecureSite, tmp_path: Path
) -> None:
    cli = CommandLine(secure.site, tmp_path)
    at = ("--homeserver", secure.url)
    user_id = new_id()
    authorities = str(secure.authorities)
    refused = cli.run(*at, "provision", user_id)
    assert refused.code != 0
    assert NOT_TRUSTED in refused.err
    cli.run(*at, "--ca-cert", authorities, "provision", user_id).check_success()
    cli.run(*at, "login", user_id, SYNAPSE_VAULT_CA_CERT=authorities).check_success()
    cli.run(*at, "login", user_id, SSL_CERT_FILE=authorities).check_success()
    # What is given comes before the environment.
    cli.run(
        *at, "--ca-cert", authorities, "login", user_id, SYNAPSE_VAULT_CA_CERT="/nowhere"
    ).check_success()
    wrong = cli.run(*at, "login", user_id, SYNAPSE_VAULT_CA_CERT="/nowhere")
    wrong.check_failure("ca_cert", "cannot read /nowhere")
