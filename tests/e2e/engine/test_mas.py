"""The engine where MAS decides who users are: it logs in and out at the module's endpoint."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.documents import MAS as MANUAL
from tests.documents import blocks
from tests.harness.mas_deployment import LOGIN, LOGOUT
from tests.harness.secrets_engine import Engine, MasEngineSite
from tests.harness.waiting import wait_until
from tests.servers import Relay
from tests.servers.documented_nginx import DocumentedNginx
from tests.servers.nginx import nginx_command
from tests.servers.relay import Reply, Reset
from tests.servers.synapse import SERVER_NAME, SYNAPSE_VERSION

from .conftest import start_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.stack import Stack

pytestmark = [
    pytest.mark.skipif(SYNAPSE_VERSION < (1, 136), reason="this Synapse knows no MAS"),
]

SESSIONS = "/api/admin/v1/personal-sessions"


@pytest.fixture(scope="module")
def start_site(file_stack: Stack, engine_stack: Engine) -> Iterator[Callable[..., MasEngineSite]]:
    """Return what starts a site: `start_site(name, mas_settings=..., listeners=...)`."""
    with ExitStack() as started:

        def start(name: str, **homeserver: Any) -> MasEngineSite:
            mas = file_stack.start_mas()
            engine = Engine.enable(engine_stack.openbao, engine_stack.confidential, name)
            deployment = start_module(file_stack, engine, mas=mas, **homeserver)
            relay = started.enter_context(Relay(deployment.synapse.url))
            site = MasEngineSite(engine, deployment, relay)
            site.configure()
            return site

        yield start


@pytest.fixture(scope="module")
def own_site(start_site: Callable[..., MasEngineSite]) -> MasEngineSite:
    # What MAS does not answer is an answer of the module well within the engine's own time.
    return start_site("matrix-mas", login_timeout="4s", request_timeout="2s")


@pytest.fixture
def site(own_site: MasEngineSite) -> Iterator[MasEngineSite]:
    """Return the site that the tests of this file share, as it was at first."""
    yield own_site
    own_site.relay.meddle = own_site.relay.edit = None
    own_site.relay.release()
    own_site.relay.listen()
    own_site.mas.recover()
    own_site.configure(request_timeout=5)


def asked(site: MasEngineSite, since: int) -> list[tuple[str, str]]:
    """Return what the engine has asked, in this order."""
    return [(request.method, request.path) for request in site.relay.requests[since:]]


def test_a_lease_is_a_session_that_the_module_opens_and_ends(site: MasEngineSite) -> None:
    engine, bot = site.engine, site.new_bot(ttl="1h", max_ttl="2h", device_name="A device")
    seen = len(site.relay.requests)
    lease = engine.lease(bot)
    assert (lease.user_id, lease.duration) == (f"@{bot}:{SERVER_NAME}", 3600)
    assert site.is_alive(lease)
    (session,) = site.sessions(bot)
    assert session.token == lease.access_token
    assert session.human_name.startswith("A device")
    assert site.devices(bot) == [lease.device_id]
    assert engine.renew(lease.lease_id).json()["lease_duration"] == 3600
    assert site.is_alive(lease)
    engine.revoke(lease.lease_id)
    assert not site.is_alive(lease)
    assert (site.sessions(bot), site.devices(bot)) == ([], [])
    assert engine.names("pending/") == []
    assert asked(site, seen) == [
        ("POST", LOGIN),
        ("GET", "/_matrix/client/v3/account/whoami"),
        ("POST", LOGOUT),
    ]


def test_the_configuration_is_tried_in_the_way_of_mas(site: MasEngineSite) -> None:
    answer = site.engine.write(f"config/homeserver/{SERVER_NAME}", {"cs_url": site.relay.url})
    assert not answer.json()["warnings"], answer.text
    site.relay.meddle = lambda request: Reply(404) if request.path == LOGIN else None
    answer = site.engine.write(f"config/homeserver/{SERVER_NAME}", {"cs_url": site.relay.url})
    (warning,) = answer.json()["warnings"]
    assert "Matrix Authentication Service" in warning
    assert "io.t2bot.vault" in warning


def test_a_plugin_that_knows_nothing_yet_finds_the_modules_endpoint(site: MasEngineSite) -> None:
    bot = site.new_bot()
    # Another address is another homeserver to the plugin. It has not been tried there.
    site.relay.meddle = lambda request: (
        Reply(503) if request.path.endswith("/versions") or request.method == "GET" else None
    )
    with Relay(site.synapse.url) as relay:
        relay.meddle = site.relay.meddle
        answer = site.engine.write(f"config/homeserver/{SERVER_NAME}", {"cs_url": relay.url})
        assert answer.json()["warnings"]
        relay.meddle = None
        lease = site.engine.lease(bot)
        assert site.is_alive(lease)
        site.engine.revoke(lease.lease_id)
        assert not site.is_alive(lease)


def test_a_session_that_ended_is_not_renewed(site: MasEngineSite) -> None:
    lease = site.engine.lease(site.new_bot())
    assert site.deployment.log_out(lease.access_token).status_code == 200
    assert not site.is_alive(lease)
    assert "has ended" in site.engine.errors(site.engine.renew(lease.lease_id), 400)
    # There is nothing left to end, which is no error.
    site.engine.revoke(lease.lease_id)
    assert site.engine.names("pending/") == []


def test_the_session_ends_with_its_lease(site: MasEngineSite) -> None:
    bot = site.new_bot(ttl="2s", max_ttl="3s")
    lease = site.engine.lease(bot)
    assert site.is_alive(lease)
    wait_until("the session has ended", lambda: site.sessions(bot) == [])
    assert not site.is_alive(lease)


def test_while_mas_is_away_nothing_opens_and_ends_are_kept(site: MasEngineSite) -> None:
    engine, bot = site.engine, site.new_bot(ttl="1h")
    site.configure(request_timeout="20s")
    kept, late = engine.lease(bot), engine.lease(bot)
    assert site.is_alive(kept)
    site.mas.refuse_connections()
    text = engine.errors(engine.ask("GET", f"user/{bot}/{SERVER_NAME}"), 503)
    assert bot in text
    # A renewal is not refused because MAS does not answer.
    assert engine.renew(kept.lease_id).status_code == 200
    engine.revoke(late.lease_id)
    (name,) = engine.names("pending/")
    pending = engine.read(f"pending/{name}")
    assert (pending["user_id"], pending["device_id"]) == (f"@{bot}:{SERVER_NAME}", late.device_id)
    assert pending["reason"]
    engine.errors(engine.ask("POST", f"pending/{name}", {}), 503)
    site.mas.recover()
    assert len(site.sessions(bot)) == 2
    engine.write(f"pending/{name}")
    assert [session.token for session in site.sessions(bot)] == [kept.access_token]
    assert engine.names("pending/") == []
    assert site.is_alive(engine.lease(bot))


def test_no_session_is_left_that_nobody_has(site: MasEngineSite) -> None:
    engine, bot = site.engine, site.new_bot()
    released = site.hold_logins()
    with pytest.raises(requests.RequestException):
        engine.ask("GET", f"user/{bot}/{SERVER_NAME}", timeout=1)
    wait_until("the session is open", lambda: site.sessions(bot))
    released.set()
    wait_until("the session has ended", lambda: site.sessions(bot) == [])


def test_a_static_session_stays_until_it_is_deleted(site: MasEngineSite) -> None:
    engine, bot = site.engine, site.new_bot()
    path = f"static/{bot}/{SERVER_NAME}"
    first = engine.read(path)
    assert engine.read(path) == first
    lease = engine.lease(bot)
    engine.revoke(lease.lease_id)
    assert [session.token for session in site.sessions(bot)] == [first["access_token"]]
    engine.delete(path)
    assert site.sessions(bot) == []
    second = engine.read(path)
    assert second["device_id"] != first["device_id"]
    engine.delete(f"config/user/{bot}/{SERVER_NAME}")
    assert site.sessions(bot) == []


def test_a_rotated_secret_opens_the_next_session(site: MasEngineSite) -> None:
    engine, bot = site.engine, site.new_bot()
    first = engine.lease(bot)
    engine.write(f"rotate/{bot}/{SERVER_NAME}")
    second = engine.lease(bot)
    assert site.is_alive(first)
    assert site.is_alive(second)


def test_whoever_mas_locks_or_closes_gets_no_token(site: MasEngineSite) -> None:
    engine, bot = site.engine, site.new_bot()
    path, user = f"user/{bot}/{SERVER_NAME}", site.mas.user(bot)
    user.locked_at = site.mas.clock.now()
    assert "M_USER_LOCKED" in engine.errors(engine.ask("GET", path), 400)
    user.locked_at = None
    user.deactivated_at = site.mas.clock.now()
    assert "M_USER_DEACTIVATED" in engine.errors(engine.ask("GET", path), 400)


def test_a_session_whose_lease_ends_while_its_user_is_locked_does_not_come_back(
    site: MasEngineSite,
) -> None:
    engine, bot = site.engine, site.new_bot()
    lease, user = engine.lease(bot), site.mas.user(bot)
    # To MAS, the token of a locked user is like one that has ended.
    user.locked_at = site.mas.clock.now()
    engine.revoke(lease.lease_id)
    user.locked_at = None
    for name in engine.names("pending/"):
        engine.write(f"pending/{name}")
    assert site.sessions(bot) == []
    assert not site.is_alive(lease)


def test_disabling_the_mount_ends_all_and_forgets_nothing(
    start_site: Callable[..., MasEngineSite],
) -> None:
    site = start_site("matrix-mas-disabled", mas_settings={"session_lifetime": "10m"})
    engine, openbao = site.engine, site.openbao
    bots = [site.new_bot(ttl="1h") for _ in range(3)]
    leases = [engine.lease(bot) for bot in bots]
    # MAS ends sessions by itself there, and no lease outlives its session.
    assert all(590 <= lease.duration <= 600 for lease in leases)
    renewed = engine.renew(leases[0].lease_id, 7200).json()["lease_duration"]
    assert renewed <= 600
    # One whose answer is lost: nobody has the token, nor a lease.
    lost = site.new_bot()
    site.relay.edit = lambda reply: (
        Reset() if isinstance(reply.body, bytes) and b"access_token" in reply.body else reply
    )
    engine.errors(engine.ask("GET", f"user/{lost}/{SERVER_NAME}"), 503)
    began = time.monotonic()
    site.relay.edit = None
    assert len(site.sessions(lost)) == 1
    site.mas.refuse_connections()
    with pytest.raises(RuntimeError):
        openbao.cli("secrets", "disable", engine.mount)
    site.mas.recover()
    assert all(site.is_alive(lease) for lease in leases)

    def is_disabled() -> bool:
        try:
            openbao.cli("secrets", "disable", engine.mount)
        except RuntimeError:
            return False
        return True

    # Until then another process of the plugin might be at the one whose answer is lost.
    wait_until("that login has had its time", lambda: time.monotonic() > began + 6)
    wait_until("the mount is disabled", is_disabled)
    assert [site.sessions(bot) for bot in bots] == [[], [], []]
    # The module reads no secret from a mount that goes, so nobody can log in to end that one.
    (session,) = site.sessions(lost)
    device_id = session.scope.rpartition(":")[2]
    told = f"the session of @{lost}:{SERVER_NAME} on the device {device_id} has not ended"
    assert told in openbao.output()


@pytest.mark.skipif(nginx_command() is None, reason="nginx is not installed")
@pytest.mark.parametrize("example", [0, 1], ids=["a name for bots", "one name"])
def test_the_engine_comes_by_the_proxies_of_the_manual(
    site: MasEngineSite, example: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The one sends `login` and `logout` to the module, the other to MAS but for what is ours."""
    port = int(site.synapse.port)
    upstreams = {"synapse_logins": [port], "synapse": [port]}
    if example == 1:
        upstreams["mas"] = [site.mas.port]
    text = list(blocks(MANUAL, "nginx"))[example].text
    nginx = DocumentedNginx(tmp_path_factory.mktemp("nginx"), text, upstreams)
    nginx.start()
    try:
        path = f"config/homeserver/{SERVER_NAME}"
        answer = site.engine.write(path, {"cs_url": nginx.url})
        assert not answer.json()["warnings"], answer.text
        bot = site.new_bot()
        lease = site.engine.lease(bot)
        assert site.is_alive(lease)
        assert site.engine.renew(lease.lease_id).status_code == 200
        site.engine.revoke(lease.lease_id)
        assert site.sessions(bot) == []
        assert site.engine.names("pending/") == []
    finally:
        nginx.stop()
