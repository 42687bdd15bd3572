"""OpenBao with the secrets engine, and a homeserver whose module reads its secrets from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.harness.secrets_engine import Engine, EngineSite, module_policy
from tests.servers import Relay
from tests.servers.plugin import engine_binary, plugin_directory, register

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.harness.confidential import Confidential
    from tests.harness.deployment import Deployment
    from tests.harness.stack import Stack
    from tests.servers import OpenBao


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory with the plugin."""
    assert engine_binary().exists(), "`make engine-dev` builds the secrets engine"
    return plugin_directory(tmp_path_factory.mktemp("plugins") / "directory")


@pytest.fixture(scope="session")
def start_engine(plugins: Path, confidential: Confidential) -> Callable[..., Engine]:
    """Return what starts an OpenBao with the engine mounted: `start_engine(stack, name)`."""

    def start(stack: Stack, name: str, **more: object) -> Engine:
        openbao = stack.start_openbao(name, plugins=plugins, log_level="trace", **more)  # type: ignore[call-overload]
        register(openbao)
        return Engine.enable(openbao, confidential)

    return start


@pytest.fixture(scope="session")
def engine_stack(session_stack: Stack, start_engine: Callable[..., Engine]) -> Engine:
    """Return the engine that most tests share."""
    return start_engine(session_stack, "engine")


@pytest.fixture(scope="session")
def homeserver_relay(session_stack: Stack, engine_stack: Engine) -> Iterator[Relay]:
    """Return what stands between the engine and its homeserver, which has to be set."""
    del session_stack, engine_stack
    with Relay("http://127.0.0.1:1") as relay:
        yield relay


@pytest.fixture(scope="session")
def shared_engine_site(
    session_stack: Stack, engine_stack: Engine, homeserver_relay: Relay
) -> EngineSite:
    """Return the site that most tests share."""
    return deploy(session_stack, engine_stack, homeserver_relay)


def start_module(stack: Stack, engine: Engine, **homeserver: object) -> Deployment:
    """Start a homeserver whose module reads its secrets from an engine."""
    # With what the policy "default" has of it, which a doctor asks.
    policy = module_policy(engine.mount)
    policy += 'path "sys/capabilities-self" { capabilities = ["update"] }\n'
    token = engine.openbao.create_token(f"module-{engine.mount}", policy)
    return stack.start_homeserver(
        "engine",
        openbao=engine.openbao,
        vault_token=engine.confidential.add(token),
        vault_kv_mount_point=engine.mount,
        vault_kv_version=1,
        vault_path_root="login",
        **homeserver,  # type: ignore[arg-type]
    )


def deploy(stack: Stack, engine: Engine, relay: Relay, **homeserver: object) -> EngineSite:
    """Start a homeserver whose module reads its secrets from an engine, and tell the engine."""
    deployment = start_module(stack, engine, **homeserver)
    relay.target = deployment.synapse.url
    site = EngineSite(engine, deployment, relay)
    site.configure()
    return site


@pytest.fixture
def engine_site(shared_engine_site: EngineSite) -> Iterator[EngineSite]:
    """Return that site, with its relay as it was at first."""
    relay = shared_engine_site.relay
    yield shared_engine_site
    relay.meddle = relay.edit = None
    relay.delay = 0
    relay.release()
    relay.listen()
    shared_engine_site.configure(ttl=0, max_ttl=0, request_timeout=5)


@pytest.fixture
def engine(engine_site: EngineSite) -> Engine:
    """Return the engine of that site."""
    return engine_site.engine


@pytest.fixture(autouse=True)
def nothing_confidential_is_logged(
    request: pytest.FixtureRequest, confidential: Confidential
) -> Iterator[None]:
    """Search what the shared OpenBao and its plugin write during every test.

    What a stack of a test's own starts is searched when it stops.
    """
    if "engine_stack" not in request.fixturenames:
        yield
        return
    openbao: OpenBao = request.getfixturevalue("engine_stack").openbao
    since = openbao.output_path.stat().st_size
    yield
    with openbao.output_path.open("rb") as file:
        file.seek(since)
        confidential.check_text(file.read().decode(errors="replace"))
