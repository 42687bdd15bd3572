"""Servers that all end-to-end tests share, and fixtures that start others.

A test that needs a server of its own asks for `start_homeserver`, `start_openbao`, `start_mas` or
`start_core`; what these start is stopped after the test. A fixture of a file asks `file_stack` for
them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.accounts import PATH_ROOT
from tests.harness.confidential import Confidential
from tests.harness.deployment import LOGGER, Deployment
from tests.harness.mas_deployment import MasDeployment
from tests.harness.provisioning import Site
from tests.harness.restarting import Restarting
from tests.harness.stack import Stack
from tests.servers import BrokenVault, DurableOpenBao, Mas, OpenBao, Registration, Relay
from tests.servers.broken_vault import silence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.core import Core

EVERYTHING_ON: dict[str, Any] = {
    "rotation_grace": "1h",
    "m_login_password_support_enabled": True,
    "allow_registration": True,
    "health_endpoint": True,
}
"""The module's settings that are off by default."""


@pytest.fixture(scope="session")
def confidential() -> Confidential:
    return Confidential()


@pytest.fixture(scope="session")
def session_stack(
    tmp_path_factory: pytest.TempPathFactory, confidential: Confidential
) -> Iterator[Stack]:
    """Return what starts servers that all tests share."""
    with Stack(tmp_path_factory.mktemp("session"), confidential) as stack:
        yield stack


@pytest.fixture(scope="module")
def file_stack(
    tmp_path_factory: pytest.TempPathFactory, confidential: Confidential, session_stack: Stack
) -> Iterator[Stack]:
    """Return what starts servers that the tests of one file share."""
    with Stack(tmp_path_factory.mktemp("file"), confidential, session_stack) as stack:
        yield stack


@pytest.fixture
def stack(
    tmp_path_factory: pytest.TempPathFactory, confidential: Confidential, session_stack: Stack
) -> Iterator[Stack]:
    """Return what starts servers for one test."""
    with Stack(tmp_path_factory.mktemp("test"), confidential, session_stack) as stack:
        yield stack


@pytest.fixture
def start_homeserver(stack: Stack) -> Callable[..., Deployment]:
    """Return what starts a homeserver: `start_homeserver(name, **settings)`."""
    return stack.start_homeserver


@pytest.fixture
def start_mas(stack: Stack) -> Callable[..., Mas]:
    """Return what starts a stand-in for MAS: `start_homeserver_under_mas(name, start_mas())`."""
    return stack.start_mas


@pytest.fixture
def start_homeserver_under_mas(stack: Stack) -> Callable[..., MasDeployment]:
    """Return what starts a homeserver where MAS decides who its users are."""
    return stack.start_homeserver_under_mas


@pytest.fixture
def start_openbao(stack: Stack) -> Callable[..., Any]:
    """Return what starts a Vault: `start_openbao(durable=True)`."""
    return stack.start_openbao


@pytest.fixture
def start_core(relay: Relay, stack: Stack) -> Callable[..., Core]:
    """Return what starts the module's core: `start_core(**settings)`.

    It is behind the relay, unless its Vault is another one: `start_core(openbao=openbao)`.
    """

    def start(**settings: Any) -> Core:
        if "openbao" not in settings:
            settings = {"vault_url": relay.url, **settings}
        return stack.start_core(**settings)

    return start


@pytest.fixture
def relay(openbao: OpenBao) -> Iterator[Relay]:
    """Return what stands between the cores and OpenBao."""
    with Relay(openbao.url) as relay:
        yield relay


@pytest.fixture(scope="session")
def openbao(session_stack: Stack) -> OpenBao:
    return session_stack.openbao


@pytest.fixture(scope="session")
def vault_token(session_stack: Stack) -> str:
    return session_stack.vault_token()


@pytest.fixture(scope="session")
def modules(session_stack: Stack) -> Deployment:
    """Return a homeserver that names the module as Synapse's documentation has it today."""
    return session_stack.start_homeserver("modules")


@pytest.fixture(scope="session")
def password_providers(session_stack: Stack, vault_token: str) -> Deployment:
    """Return a homeserver with a configuration from 2018, the token in the environment."""
    return session_stack.start_homeserver(
        "password_providers",
        registration=Registration.LEGACY,
        environment={"VAULT_TOKEN": vault_token},
        vault_token="",
        vault_path_root=f"/{PATH_ROOT}/",
        vault_kv_mount_point="secret",
    )


@pytest.fixture(params=Registration, ids=lambda registration: registration.value)
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Return one homeserver after the other; tests that use this hold for both."""
    found: Deployment = request.getfixturevalue(request.param.value)
    return found


@pytest.fixture(scope="session")
def equipped(session_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Return a homeserver whose administrator has turned on everything that is off by default."""
    bridge = {
        "id": "bridge",
        "url": None,
        "as_token": "a token of the bridge",
        "hs_token": "a token of the homeserver",
        "sender_localpart": "bridge",
        "namespaces": {"users": [{"exclusive": True, "regex": "@bridge_.*"}]},
    }
    path = tmp_path_factory.mktemp("bridge") / "bridge.yaml"
    path.write_text(json.dumps(bridge))
    return session_stack.start_homeserver(
        "equipped",
        homeserver_yaml={"app_service_config_files": [str(path)]},
        has_metrics=True,
        **EVERYTHING_ON,
    )


@pytest.fixture(scope="session")
def passwordless(session_stack: Stack) -> Deployment:
    """Return one that is so too, has no passwords of its own, and names the module as in 2018."""
    return session_stack.start_homeserver(
        "passwordless",
        registration=Registration.LEGACY,
        homeserver_yaml={"password_config": {"localdb_enabled": False}},
        has_metrics=True,
        **EVERYTHING_ON,
    )


@pytest.fixture(scope="session")
def broken_vault() -> Iterator[BrokenVault]:
    """Return the Vault of `long_deadline`; tests say how it is broken."""
    vault = BrokenVault()
    vault.listen(silence)
    yield vault
    vault.close()


@pytest.fixture(scope="session")
def short_deadline_vault() -> Iterator[BrokenVault]:
    """Return the Vault of `short_deadline`, whose last tries no other test may count."""
    vault = BrokenVault()
    vault.listen(silence)
    yield vault
    vault.close()


@pytest.fixture(scope="session")
def short_deadline(session_stack: Stack, short_deadline_vault: BrokenVault) -> Deployment:
    """Return a homeserver for logins that can only run out of time."""
    return session_stack.start_homeserver(
        "short-deadline",
        vault_url=short_deadline_vault.url,
        # The tests count what is asked for, and a broken Vault tells no version.
        vault_kv_version=2,
        login_timeout="2s",
    )


@pytest.fixture(scope="session")
def long_deadline(session_stack: Stack, broken_vault: BrokenVault) -> Deployment:
    """Return a homeserver for all other logins, which even a slow machine ends in time."""
    return session_stack.start_homeserver(
        "long-deadline",
        vault_url=broken_vault.url,
        # The tests count what is asked for, and a broken Vault tells no version.
        vault_kv_version=2,
        request_timeout="1m",
        login_timeout="3m",
    )


@pytest.fixture(scope="session")
def restarting(
    tmp_path_factory: pytest.TempPathFactory, openbao: OpenBao, confidential: Confidential
) -> Iterator[Restarting]:
    """Return a homeserver that every test starts with a configuration of its own."""
    homeserver = Restarting(tmp_path_factory.mktemp("restarting"), openbao, confidential)
    try:
        yield homeserver
    finally:
        homeserver.stop()


@pytest.fixture(scope="session")
def shared_mas(session_stack: Stack) -> Mas:
    """Return the stand-in of `under_mas`."""
    return session_stack.start_mas()


@pytest.fixture(scope="session")
def shared_under_mas(session_stack: Stack, shared_mas: Mas) -> MasDeployment:
    return session_stack.start_homeserver_under_mas(
        "under-mas",
        shared_mas,
        has_metrics=True,
        health_endpoint=True,
        m_login_password_support_enabled=True,
    )


@pytest.fixture
def under_mas(shared_under_mas: MasDeployment) -> Iterator[MasDeployment]:
    """Return a homeserver where MAS decides who users are. A test's faults of MAS end with it."""
    yield shared_under_mas
    shared_under_mas.mas.recover()


@pytest.fixture(scope="session")
def shared_site(modules: Deployment) -> Site:
    return Site.of(modules)


@pytest.fixture
def site(shared_site: Site, caplog: pytest.LogCaptureFixture) -> Iterator[Site]:
    """Return where accounts are provisioned; what we log meanwhile must not be confidential."""
    caplog.set_level("DEBUG", LOGGER)
    yield shared_site
    shared_site.confidential.check_text(caplog.text)


@pytest.fixture(scope="session")
def bare_site(
    session_stack: Stack, tmp_path_factory: pytest.TempPathFactory, confidential: Confidential
) -> Site:
    """Return a homeserver without the module, some of whose names an application service keeps."""
    service = {
        "id": "irc",
        "url": None,
        "as_token": confidential.add("as-token-of-the-tests"),
        "hs_token": confidential.add("hs-token-of-the-tests"),
        "sender_localpart": "irc-bot",
        "namespaces": {"users": [{"exclusive": True, "regex": "@irc-.*"}]},
    }
    path = tmp_path_factory.mktemp("irc") / "irc.yaml"
    path.write_text(json.dumps(service))
    bare = session_stack.start_homeserver(
        "bare", has_module=False, homeserver_yaml={"app_service_config_files": [str(path)]}
    )
    return Site.of(bare)


@pytest.fixture(scope="session")
def sealed_openbao(session_stack: Stack) -> DurableOpenBao:
    """Return a Vault that answers nothing but that it is sealed."""
    server = session_stack.start_openbao("sealed", durable=True)
    server.cli("operator", "seal")
    return server
