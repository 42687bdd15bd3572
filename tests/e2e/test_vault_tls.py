"""A Vault that speaks TLS with a certificate of a private authority."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.accounts import PATH_ROOT
from tests.harness.core import Core
from tests.servers import OpenBao
from tests.servers.auth_methods import allow, cert, logins, revoke_all
from tests.servers.pki import Authority

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.harness.confidential import Confidential
    from tests.harness.restarting import Restarting
    from tests.harness.stack import Stack

NOT_TRUSTED = "signed by an unknown authority; give it as vault_tls.ca_cert"


@pytest.fixture(scope="module")
def vault(file_stack: Stack) -> OpenBao:
    return file_stack.start_openbao("tls", tls=True)


@pytest.fixture(scope="module")
def policy(vault: OpenBao) -> str:
    return allow(vault, "users", f"secret/data/{PATH_ROOT}/*")


@pytest.fixture(scope="module")
def token(vault: OpenBao, policy: str, confidential: Confidential) -> str:
    granted = vault.api("POST", "auth/token/create", {"policies": [policy]})
    return confidential.add(granted["auth"]["client_token"])


@pytest.fixture
def start(stack: Stack, vault: OpenBao, token: str) -> Callable[..., Core]:
    """Return what starts the module's core with some more settings and environment variables.

    It trusts what it is told to, and without that what the system does.
    """

    def start(environment: dict[str, str] | None = None, **config: Any) -> Core:
        settings = {"vault_token": token, "vault_tls": None, **config}
        return stack.start_core(openbao=vault, environment=environment, **settings)

    return start


def check_trusted(core: Core) -> None:
    account = core.new_account()
    outcome = core.log_in(account.user_id, account.token_hash)
    assert outcome.code == "ok", outcome.reason


def check_not_trusted(core: Core) -> None:
    account = core.new_account()
    outcome = core.log_in(account.user_id, account.token_hash)
    assert outcome.code == "vault_unavailable"
    assert NOT_TRUSTED in outcome.reason


@pytest.fixture
def ca_path(vault: OpenBao, tmp_path: Path) -> Path:
    """Return a directory with the authority's certificate, another one, and what is none."""
    assert vault.ca_cert is not None
    directory = tmp_path / "authorities"
    directory.mkdir()
    (directory / "another.pem").write_text(Authority("another").certificate)
    (directory / "README").write_text("Not a certificate.")
    shutil.copy(vault.ca_cert, directory)
    return directory


def test_an_authority_that_is_not_known_is_refused_with_the_reason(
    restarting: Restarting, vault: OpenBao, token: str
) -> None:
    run = restarting.start(openbao=vault, vault_token=token, login_timeout="1s")
    run.wait_for_notice("ERROR", NOT_TRUSTED)
    assert run.check_refused_login("vault_unavailable", NOT_TRUSTED).level == "ERROR"


def test_a_homeserver_takes_the_authority_from_its_environment(
    restarting: Restarting, vault: OpenBao, token: str
) -> None:
    run = restarting.start(
        openbao=vault, environment={"VAULT_CACERT": str(vault.ca_cert)}, vault_token=token
    )
    run.check_login()
    assert run.warnings_and_errors() == []


def test_another_private_authority_is_refused(start: Callable[..., Core], tmp_path: Path) -> None:
    another = tmp_path / "another.pem"
    another.write_text(Authority("another").certificate)
    check_not_trusted(start(vault_tls={"ca_cert": str(another)}, login_timeout="1s"))


def test_the_authority_may_be_in_a_file(start: Callable[..., Core], vault: OpenBao) -> None:
    check_trusted(start(vault_tls={"ca_cert": str(vault.ca_cert)}))


def test_the_authority_may_be_in_a_directory(start: Callable[..., Core], ca_path: Path) -> None:
    check_trusted(start(vault_tls={"ca_path": str(ca_path)}))


@pytest.mark.parametrize("tool", ["VAULT", "BAO"])
def test_both_may_be_in_the_environment(
    start: Callable[..., Core], vault: OpenBao, ca_path: Path, tool: str
) -> None:
    check_trusted(start({f"{tool}_CACERT": str(vault.ca_cert)}))
    check_trusted(start({f"{tool}_CAPATH": str(ca_path)}))


@pytest.mark.parametrize("value", ["true", "1"])
@pytest.mark.parametrize("tool", ["VAULT", "BAO"])
def test_any_certificate_is_taken_if_the_environment_says_so(
    start: Callable[..., Core], tool: str, value: str
) -> None:
    check_trusted(start({f"{tool}_SKIP_VERIFY": value}))


def test_any_certificate_is_taken_if_the_configuration_says_so(start: Callable[..., Core]) -> None:
    check_trusted(start(vault_tls={"skip_verify": True}))


@pytest.mark.parametrize("value", ["", "0", "false"])
def test_any_other_word_of_the_environment_verifies(start: Callable[..., Core], value: str) -> None:
    check_not_trusted(start({"VAULT_SKIP_VERIFY": value}, login_timeout="1s"))


def test_the_configuration_verifies_against_the_environment(start: Callable[..., Core]) -> None:
    environment = {"VAULT_SKIP_VERIFY": "true"}
    check_not_trusted(start(environment, vault_tls={"skip_verify": False}, login_timeout="1s"))


@pytest.mark.parametrize("has_role", [True, False], ids=["with a role", "without a role"])
def test_cert(
    restarting: Restarting, vault: OpenBao, policy: str, tmp_path: Path, has_role: bool
) -> None:
    authority = Authority("homeservers")
    certificate, key = authority.issue("matrix.example.org", tmp_path)
    auth = cert(vault, f"cert-{has_role}", policy, authority)
    config = dict(auth)
    if not has_role:
        del config["role"]
    run = restarting.start(
        openbao=vault,
        vault_auth=config,
        vault_tls={
            "ca_cert": str(vault.ca_cert),
            "client_cert": str(certificate),
            "client_key": str(key),
        },
    )
    account = run.new_account()
    run.check_login(account.user_id)
    revoke_all(vault, auth)
    run.check_login(account.user_id)
    assert logins(vault, auth) == 2
    assert run.warnings_and_errors() == []


def test_cert_with_an_identity_that_vault_does_not_know(
    restarting: Restarting, vault: OpenBao, policy: str, tmp_path: Path
) -> None:
    certificate, key = Authority("somebody").issue("somebody", tmp_path)
    auth = cert(vault, "cert-of-others", policy, Authority("homeservers"))
    run = restarting.start(
        openbao=vault,
        environment={"VAULT_CLIENT_CERT": str(certificate), "VAULT_CLIENT_KEY": str(key)},
        vault_auth=auth,
        vault_tls={"ca_cert": str(vault.ca_cert)},
    )
    run.wait_for_notice("ERROR", "refuses the module's cert login: 400")
    run.check_refused_login("vault_denied", "check vault_auth")
