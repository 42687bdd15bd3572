"""Servers that all end-to-end tests share."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.core import Core
from tests.harness.deployment import LOGGER, PATH_ROOT, Confidential, Deployment, deployed
from tests.harness.provisioning import Site
from tests.harness.restarting import Restarting
from tests.servers import BrokenVault, DurableOpenBao, OpenBao, Registration, Relay, Synapse
from tests.servers.broken_vault import silence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READ_USERS = f'path "secret/data/{PATH_ROOT}/*" {{ capabilities = ["read"] }}'
"""All that the module's token must be allowed."""

EVERYTHING_ON = {
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
def openbao(
    tmp_path_factory: pytest.TempPathFactory, confidential: Confidential
) -> Iterator[OpenBao]:
    server = OpenBao(tmp_path_factory.mktemp("openbao"))
    confidential.add(server.root_token)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def vault_token(openbao: OpenBao, confidential: Confidential) -> str:
    return confidential.add(openbao.create_token("read-users", READ_USERS))


@pytest.fixture(scope="session")
def modules(
    tmp_path_factory: pytest.TempPathFactory,
    openbao: OpenBao,
    vault_token: str,
    confidential: Confidential,
) -> Iterator[Deployment]:
    """Return a homeserver that names the module as Synapse's documentation has it today."""
    synapse = Synapse(
        tmp_path_factory.mktemp("modules"),
        {"vault_url": openbao.url, "vault_token": vault_token, "vault_path_root": PATH_ROOT},
    )
    with deployed("modules", synapse, openbao, confidential) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def password_providers(
    tmp_path_factory: pytest.TempPathFactory,
    openbao: OpenBao,
    vault_token: str,
    confidential: Confidential,
) -> Iterator[Deployment]:
    """Return a homeserver with a configuration from 2018, the token in the environment."""
    synapse = Synapse(
        tmp_path_factory.mktemp("password_providers"),
        {
            "vault_url": openbao.url,
            "vault_token": "",
            "vault_path_root": f"/{PATH_ROOT}/",
            "vault_kv_mount_point": "secret",
        },
        registration=Registration.LEGACY,
        environment={"VAULT_TOKEN": vault_token},
    )
    with deployed("password_providers", synapse, openbao, confidential) as deployment:
        yield deployment


@pytest.fixture(params=Registration, ids=lambda registration: registration.value)
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Return one homeserver after the other; tests that use this hold for both."""
    found: Deployment = request.getfixturevalue(request.param.value)
    return found


@pytest.fixture(scope="session")
def equipped(
    tmp_path_factory: pytest.TempPathFactory,
    openbao: OpenBao,
    vault_token: str,
    confidential: Confidential,
) -> Iterator[Deployment]:
    """Return a homeserver whose administrator has turned on everything that is off by default."""
    directory = tmp_path_factory.mktemp("equipped")
    bridge = {
        "id": "bridge",
        "url": None,
        "as_token": "a token of the bridge",
        "hs_token": "a token of the homeserver",
        "sender_localpart": "bridge",
        "namespaces": {"users": [{"exclusive": True, "regex": "@bridge_.*"}]},
    }
    (directory / "bridge.yaml").write_text(json.dumps(bridge))
    synapse = Synapse(
        directory,
        {
            "vault_url": openbao.url,
            "vault_token": vault_token,
            "vault_path_root": PATH_ROOT,
            **EVERYTHING_ON,
        },
        settings={"app_service_config_files": [str(directory / "bridge.yaml")]},
        has_metrics=True,
    )
    with deployed("equipped", synapse, openbao, confidential) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def passwordless(
    tmp_path_factory: pytest.TempPathFactory,
    openbao: OpenBao,
    vault_token: str,
    confidential: Confidential,
) -> Iterator[Deployment]:
    """Return one that is so too, has no passwords of its own, and names the module as in 2018."""
    synapse = Synapse(
        tmp_path_factory.mktemp("passwordless"),
        {
            "vault_url": openbao.url,
            "vault_token": vault_token,
            "vault_path_root": PATH_ROOT,
            **EVERYTHING_ON,
        },
        registration=Registration.LEGACY,
        settings={"password_config": {"localdb_enabled": False}},
        has_metrics=True,
    )
    with deployed("passwordless", synapse, openbao, confidential) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def broken_vault() -> Iterator[BrokenVault]:
    """Return the Vault of `patient`; tests say how it is broken."""
    vault = BrokenVault()
    vault.listen(silence)
    yield vault
    vault.close()


@pytest.fixture(scope="session")
def hasty_vault() -> Iterator[BrokenVault]:
    """Return the Vault of `hasty`, whose last tries must not be counted as those of others."""
    vault = BrokenVault()
    vault.listen(silence)
    yield vault
    vault.close()


@pytest.fixture(scope="session")
def hasty(
    tmp_path_factory: pytest.TempPathFactory,
    hasty_vault: BrokenVault,
    openbao: OpenBao,
    vault_token: str,
    confidential: Confidential,
) -> Iterator[Deployment]:
    """Return a homeserver for logins that can end in no other way than with their time."""
    synapse = Synapse(
        tmp_path_factory.mktemp("hasty"),
        {
            "vault_url": hasty_vault.url,
            "vault_token": vault_token,
            "vault_path_root": PATH_ROOT,
            # The tests count what is asked for, and a broken Vault tells no version.
            "vault_kv_version": 2,
            "login_timeout": "2s",
        },
    )
    with deployed("hasty", synapse, openbao, confidential) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def patient(
    tmp_path_factory: pytest.TempPathFactory,
    broken_vault: BrokenVault,
    openbao: OpenBao,
    vault_token: str,
    confidential: Confidential,
) -> Iterator[Deployment]:
    """Return a homeserver for all other logins, which even a slow machine ends in time."""
    synapse = Synapse(
        tmp_path_factory.mktemp("patient"),
        {
            "vault_url": broken_vault.url,
            "vault_token": vault_token,
            "vault_path_root": PATH_ROOT,
            # The tests count what is asked for, and a broken Vault tells no version.
            "vault_kv_version": 2,
            "request_timeout": "1m",
            "login_timeout": "3m",
        },
    )
    with deployed("patient", synapse, openbao, confidential) as deployment:
        yield deployment


@pytest.fixture
def relay(openbao: OpenBao) -> Iterator[Relay]:
    """Return what stands between the cores and OpenBao."""
    with Relay(openbao.url) as relay:
        yield relay


@pytest.fixture
def start_core(
    relay: Relay, openbao: OpenBao, vault_token: str, confidential: Confidential
) -> Iterator[Callable[..., Core]]:
    """Return what starts the module's core behind the relay, with some more settings."""
    with ExitStack() as cores:

        def start(**settings: Any) -> Core:
            config = {
                "vault_url": relay.url,
                "vault_token": vault_token,
                "vault_path_root": PATH_ROOT,
                **settings,
            }
            return cores.enter_context(Core(openbao, confidential, config))

        yield start


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
def shared_site(modules: Deployment) -> Site:
    return Site(modules.synapse, modules.openbao, modules.confidential)


@pytest.fixture
def site(shared_site: Site, caplog: pytest.LogCaptureFixture) -> Iterator[Site]:
    """Return where accounts are provisioned; what we log meanwhile must not be confidential."""
    caplog.set_level("DEBUG", LOGGER)
    yield shared_site
    shared_site.confidential.check_text(caplog.text)


@pytest.fixture(scope="session")
def bare_site(
    tmp_path_factory: pytest.TempPathFactory, openbao: OpenBao, confidential: Confidential
) -> Iterator[Site]:
    """Return a homeserver without the module, some of whose names an application service keeps."""
    directory = tmp_path_factory.mktemp("bare")
    service = {
        "id": "irc",
        "url": None,
        "as_token": confidential.add("as-token-of-the-tests"),
        "hs_token": confidential.add("hs-token-of-the-tests"),
        "sender_localpart": "irc-bot",
        "namespaces": {"users": [{"exclusive": True, "regex": "@irc-.*"}]},
    }
    (directory / "irc.yaml").write_text(json.dumps(service))
    synapse = Synapse(
        directory, None, settings={"app_service_config_files": [str(directory / "irc.yaml")]}
    )
    with deployed("bare", synapse, openbao, confidential):
        yield Site(synapse, openbao, confidential)


@pytest.fixture(scope="session")
def sealed_openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DurableOpenBao]:
    """Return a Vault that answers nothing but that it is sealed."""
    server = DurableOpenBao(tmp_path_factory.mktemp("sealed"))
    try:
        server.start().cli("operator", "seal")
        yield server
    finally:
        server.stop()
