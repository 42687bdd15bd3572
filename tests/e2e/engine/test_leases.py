"""Leases: how long they run, and that the session ends with them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
import requests

from tests.harness.secrets_engine import MOUNT, Engine, leased
from tests.harness.waiting import wait_until
from tests.servers import Relay
from tests.servers.relay import Reply, Silence
from tests.servers.synapse import SERVER_NAME

from .conftest import deploy

if TYPE_CHECKING:
    from tests.harness.secrets_engine import EngineSite
    from tests.harness.stack import Stack
    from tests.servers.relay import Request

pytestmark = pytest.mark.long

DAY = 86_400


def logging_out(request: Request) -> bool:
    """Tell whether a request ends a session."""
    return request.path == "/_matrix/client/v3/logout"


def test_ttls_come_from_user_homeserver_and_mount_in_this_order(engine_site: EngineSite) -> None:
    engine, bot = engine_site.engine, engine_site.new_bot()
    user = f"config/user/{bot}/{SERVER_NAME}"
    assert engine.lease(bot).duration == 32 * DAY
    engine_site.configure(ttl="2h", max_ttl="3h")
    assert engine.lease(bot).duration == 7200
    engine.write(user, {"ttl": "1h"})
    assert engine.lease(bot).duration == 3600
    # Each max_ttl caps what comes from the others.
    engine.write(user, {"ttl": "4h"})
    assert engine.lease(bot).duration == 3 * 3600
    engine.write(user, {"ttl": 0, "max_ttl": "30m"})
    assert engine.lease(bot).duration == 1800
    engine_site.configure(ttl=0, max_ttl=0)
    engine.write(user, {"ttl": "100d", "max_ttl": "200d"})
    assert engine.lease(bot).duration == 32 * DAY


def test_the_mounts_own_times_count(engine_site: EngineSite) -> None:
    openbao, name = engine_site.openbao, "matrix-tuned"
    tuned = Engine.enable(openbao, engine_site.confidential, name)
    try:
        openbao.cli("secrets", "tune", "-default-lease-ttl=10m", "-max-lease-ttl=20m", name)
        engine_site.configure(tuned)
        # The module reads from another mount, so this one is given the same secret.
        bot = engine_site.new_bot()
        secret = engine_site.engine.read(f"login/@{bot}:{SERVER_NAME}")["login_secret"]
        tuned.write(f"config/user/{bot}/{SERVER_NAME}", {"login_secret": secret})
        assert tuned.lease(bot).duration == 600
        tuned.write(f"config/user/{bot}/{SERVER_NAME}", {"ttl": "1h"})
        assert tuned.lease(bot).duration == 1200
    finally:
        openbao.cli("secrets", "disable", name)


def test_a_lease_is_renewed_up_to_its_max_ttl(engine_site: EngineSite) -> None:
    engine = engine_site.engine
    lease = engine.lease(engine_site.new_bot(ttl="1h", max_ttl="2h"))
    assert lease.duration == 3600
    assert engine.renew(lease.lease_id).json()["lease_duration"] == 3600
    assert engine.renew(lease.lease_id, 600).json()["lease_duration"] == 600
    left = engine.renew(lease.lease_id, 50_000).json()["lease_duration"]
    assert 7100 < left <= 7200
    assert engine_site.is_alive(lease)
    # The secret of the lease is still there to end it with.
    engine.revoke(lease.lease_id)
    assert engine_site.user_of(lease.access_token) is None


def test_a_dead_token_is_not_renewed(engine_site: EngineSite) -> None:
    engine = engine_site.engine
    lease = engine.lease(engine_site.new_bot())
    engine_site.log_out(lease.access_token)
    text = engine.errors(engine.renew(lease.lease_id), 400)
    assert "has ended" in text
    # There is nothing left to end, which is no error.
    engine.revoke(lease.lease_id)
    assert engine.names("pending/") == []


def test_a_homeserver_that_is_away_refuses_no_renewal(engine_site: EngineSite) -> None:
    engine = engine_site.engine
    lease = engine.lease(engine_site.new_bot(ttl="1h"))
    engine_site.relay.close()
    assert engine.renew(lease.lease_id).json()["lease_duration"] == 3600
    engine_site.relay.listen()
    assert engine_site.is_alive(lease)
    engine.revoke(lease.lease_id)


def test_the_session_ends_with_its_lease(engine_site: EngineSite) -> None:
    lease = engine_site.engine.lease(engine_site.new_bot(ttl="2s", max_ttl="3s"))
    assert lease.duration == 2
    assert engine_site.is_alive(lease)
    wait_until("the session has ended", lambda: not engine_site.is_alive(lease))
    assert engine_site.engine.leases() == [] or lease.lease_id not in engine_site.engine.leases()


def test_the_session_ends_with_the_token_that_opened_it(engine_site: EngineSite) -> None:
    engine, bot = engine_site.engine, engine_site.new_bot()
    policy = f'path "{MOUNT}/user/{bot}/{SERVER_NAME}" {{ capabilities = ["read"] }}'
    token = engine.openbao.create_token("parent", policy)
    lease = engine.lease(bot, token=token)
    assert engine_site.is_alive(lease)
    engine.openbao.cli("token", "revoke", token)
    wait_until("the session has ended", lambda: not engine_site.is_alive(lease))


def test_a_prefix_ends_the_sessions_of_one_user(engine_site: EngineSite) -> None:
    engine, bot, other = engine_site.engine, engine_site.new_bot(), engine_site.new_bot()
    leases = [engine.lease(bot) for _ in range(3)]
    spared = engine.lease(other)
    prefix = f"{MOUNT}/user/{bot}/{SERVER_NAME}"
    engine.openbao.cli("lease", "revoke", "-prefix", "-sync", prefix)
    assert [engine_site.is_alive(lease) for lease in leases] == [False, False, False]
    assert engine_site.is_alive(spared)


def test_disabling_the_mount_ends_all_sessions(engine_site: EngineSite) -> None:
    engine = Engine.enable(engine_site.openbao, engine_site.confidential, "matrix-disabled")
    engine_site.configure(engine)
    bots = [engine_site.new_bot() for _ in range(3)]
    for bot in bots:
        secret = engine_site.engine.read(f"login/@{bot}:{SERVER_NAME}")["login_secret"]
        engine.write(f"config/user/{bot}/{SERVER_NAME}", {"login_secret": secret})
    leases = [engine.lease(bot) for bot in bots]
    # What the configuration says is not needed for that: the leases have it.
    engine.delete(f"config/homeserver/{SERVER_NAME}")
    engine.delete(f"config/user/{bots[0]}/{SERVER_NAME}")
    engine_site.openbao.cli("secrets", "disable", "matrix-disabled")
    assert [engine_site.is_alive(lease) for lease in leases] == [False, False, False]


def test_disabling_fails_while_a_homeserver_is_away_and_forgets_nothing(
    engine_site: EngineSite,
) -> None:
    engine = Engine.enable(engine_site.openbao, engine_site.confidential, "matrix-kept")
    engine_site.configure(engine, request_timeout="1s")
    bot = engine_site.new_bot()
    secret = engine_site.engine.read(f"login/@{bot}:{SERVER_NAME}")["login_secret"]
    engine.write(f"config/user/{bot}/{SERVER_NAME}", {"login_secret": secret})
    lease = engine.lease(bot)
    engine_site.relay.close()
    with pytest.raises(RuntimeError):
        engine_site.openbao.cli("secrets", "disable", "matrix-kept")
    engine_site.relay.listen()
    assert engine_site.is_alive(lease)

    def is_disabled() -> bool:
        try:
            engine_site.openbao.cli("secrets", "disable", "matrix-kept")
        except RuntimeError:
            return False
        return True

    wait_until("the mount is disabled", is_disabled)
    assert not engine_site.is_alive(lease)


def test_a_session_that_cannot_be_ended_now_is_ended_when_the_homeserver_answers(
    engine_site: EngineSite,
) -> None:
    engine, bot = engine_site.engine, engine_site.new_bot()
    lease = engine.lease(bot)
    engine_site.relay.close()
    # The lease is done with: the server tries a revoke six times at most.
    engine.revoke(lease.lease_id)
    assert lease.lease_id not in engine.leases()
    (name,) = engine.names("pending/")
    pending = engine.read(f"pending/{name}")
    assert pending["user_id"] == f"@{bot}:{SERVER_NAME}"
    assert pending["device_id"] == lease.device_id
    assert pending["since"]
    assert pending["reason"]
    assert "access_token" not in pending
    # Trying now is refused while nothing answers, and works then.
    engine.errors(engine.ask("POST", f"pending/{name}", {}), 503)
    engine_site.relay.listen()
    assert engine_site.is_alive(lease)
    engine.write(f"pending/{name}")
    assert not engine_site.is_alive(lease)
    assert engine.names("pending/") == []


@pytest.mark.parametrize(
    "how",
    [
        "error",
        pytest.param("silence", marks=pytest.mark.nightly),
        pytest.param("refusal", marks=pytest.mark.nightly),
    ],
)
def test_pending_sessions_end_by_themselves(engine_site: EngineSite, how: str) -> None:
    engine = engine_site.engine
    engine_site.configure(request_timeout="1s")
    lease = engine.lease(engine_site.new_bot())
    answers: dict[str, Reply | Silence] = {
        "error": Reply(502, b"<html>"),
        "silence": Silence(),
        "refusal": Reply(500, {"errcode": "M_UNKNOWN", "error": "Internal server error"}),
    }
    engine_site.relay.meddle = lambda request: answers[how] if logging_out(request) else None
    engine.revoke(lease.lease_id)
    assert engine_site.is_alive(lease)
    wait_until("it is pending", lambda: engine.names("pending/"))
    engine_site.relay.meddle = None
    wait_until("the session has ended", lambda: not engine_site.is_alive(lease))
    wait_until("nothing is pending", lambda: engine.names("pending/") == [])


def test_a_pending_session_can_be_given_up(engine_site: EngineSite) -> None:
    engine = engine_site.engine
    lease = engine.lease(engine_site.new_bot())
    engine_site.relay.close()
    engine.revoke(lease.lease_id)
    (name,) = engine.names("pending/")
    engine.delete(f"pending/{name}")
    assert engine.names("pending/") == []
    engine_site.relay.listen()
    assert engine_site.is_alive(lease)


def test_errors_of_the_homeserver_have_their_status(engine_site: EngineSite) -> None:
    engine, bot = engine_site.engine, engine_site.new_bot()
    path = f"user/{bot}/{SERVER_NAME}"
    engine_site.configure(request_timeout="1s")
    for reply, status, said in [
        (
            Reply(429, {"errcode": "M_LIMIT_EXCEEDED", "error": "Slowly", "retry_after_ms": 99}),
            429,
            "M_LIMIT_EXCEEDED",
        ),
        (
            Reply(403, {"errcode": "M_FORBIDDEN", "error": "x" * 500}),
            400,
            "is there such an account",
        ),
        (Reply(404, b"<html>"), 400, "where it answers clients"),
        (Reply(403, {"errcode": "M_USER_DEACTIVATED", "error": "gone"}), 400, "M_USER_DEACTIVATED"),
        (Reply(500, {"errcode": "M_UNKNOWN", "error": "Internal"}), 503, "M_UNKNOWN"),
        (Reply(502, b"<html>secret page</html>"), 503, ""),
        (Silence(), 503, ""),
        (Reply(200, {"access_token": "no-user-and-no-device"}), 503, ""),
        (Reply(307, b"", {"Location": "http://127.0.0.1:1/"}), 503, ""),
    ]:
        engine_site.relay.meddle = lambda request, reply=reply: (
            reply if request.path.endswith("/login") and request.method == "POST" else None
        )
        text = engine.errors(engine.ask("GET", path), status)
        assert said in text
        assert "secret page" not in text
        assert "x" * 201 not in text
    engine_site.relay.meddle = None
    engine_site.relay.close()
    engine.errors(engine.ask("GET", path), 503)


def test_a_session_of_another_user_is_never_handed_out(engine_site: EngineSite) -> None:
    engine, bot = engine_site.engine, engine_site.new_bot()
    answer = {
        "user_id": f"@somebody:{SERVER_NAME}",
        "access_token": engine.confidential.add("token-of-somebody-else"),
        "device_id": "ABC",
        "home_server": SERVER_NAME,
    }
    engine_site.relay.meddle = lambda request: (
        Reply(200, answer) if request.path.endswith("/login") and request.method == "POST" else None
    )
    text = engine.ask("GET", f"user/{bot}/{SERVER_NAME}")
    assert text.status_code in (400, 503)
    assert "token-of-somebody-else" not in text.text


def test_a_wrapped_lease_ends_like_any_other(engine_site: EngineSite) -> None:
    engine, bot = engine_site.engine, engine_site.new_bot()
    wrapped = engine.ask("GET", f"user/{bot}/{SERVER_NAME}", wrap_ttl="60s").json()
    token = engine.confidential.add(wrapped["wrap_info"]["token"])
    answer = engine.api("POST", "sys/wrapping/unwrap", token=token)
    lease = leased(answer)
    assert engine_site.is_alive(lease)
    engine.revoke(lease.lease_id)
    assert not engine_site.is_alive(lease)


def test_two_mounts_in_one_process_know_nothing_of_each_other(engine_site: EngineSite) -> None:
    other = Engine.enable(engine_site.openbao, engine_site.confidential, "matrix-two")
    try:
        bot = engine_site.new_bot()
        assert other.names("config/user/") == []
        other.errors(other.ask("GET", f"user/{bot}/{SERVER_NAME}"), 400)
        engine_site.configure(other)
        secret = engine_site.engine.read(f"login/@{bot}:{SERVER_NAME}")["login_secret"]
        other.write(f"config/user/{bot}/{SERVER_NAME}", {"login_secret": secret})
        leases = [other.lease(bot), engine_site.engine.lease(bot)]
        assert all(engine_site.is_alive(lease) for lease in leases)
    finally:
        engine_site.openbao.cli("secrets", "disable", "matrix-two")
    assert [engine_site.is_alive(lease) for lease in leases] == [False, True]


def test_sessions_that_the_homeserver_ends_cap_the_lease(engine_site: EngineSite) -> None:
    engine, bot = engine_site.engine, engine_site.new_bot()

    def edit(reply: Reply) -> Reply:
        assert isinstance(reply.body, bytes)
        if b"access_token" not in reply.body:
            return reply
        body = json.loads(reply.body)
        return Reply(reply.status, {**body, "expires_in_ms": 90_500}, reply.headers)

    engine_site.relay.edit = edit
    lease = engine.lease(bot)
    assert lease.duration == 90
    # Renewals do not go beyond that end.
    time.sleep(1)
    assert engine.renew(lease.lease_id, 3600).json()["lease_duration"] <= 90


def test_synapses_own_session_lifetime_caps_lease_and_renewals(
    stack: Stack, engine_stack: Engine
) -> None:
    engine = Engine.enable(engine_stack.openbao, engine_stack.confidential, "matrix-lifetime")
    homeserver_yaml = {"session_lifetime": "15s"}
    with Relay("http://127.0.0.1:1") as relay:
        site = deploy(stack, engine, relay, homeserver_yaml=homeserver_yaml)
        bot = site.new_bot(ttl="5s", max_ttl="1h")
        lease = engine.lease(bot)
        read = time.monotonic()
        assert lease.duration == 5
        # Without a ttl of its own, a lease runs as long as its token.
        engine.write(f"config/user/{bot}/{SERVER_NAME}", {"ttl": 0})
        assert 13 <= engine.lease(bot).duration <= 15
        left = engine.renew(lease.lease_id, 3600).json()["lease_duration"]
        assert left <= 15 - int(time.monotonic() - read)
        wait_until("the sessions have ended", lambda: not site.is_alive(lease))
        wait_until("no lease is left", lambda: engine.leases(f"user/{bot}/") == [])
        assert time.monotonic() - read < 15 + 10
        assert engine.names("pending/") == []
        engine.errors(engine.renew(lease.lease_id), 400)
        engine.openbao.cli("secrets", "disable", engine.mount)


@pytest.mark.parametrize("is_away", [False, True], ids=["answers", "is away"])
def test_a_forced_revocation_ends_the_session_or_keeps_it_for_later(
    engine_site: EngineSite, is_away: bool
) -> None:
    engine, bot = engine_site.engine, engine_site.new_bot()
    lease = engine.lease(bot)
    if is_away:
        engine_site.relay.close()
    prefix = f"{MOUNT}/user/{bot}/{SERVER_NAME}"
    engine.openbao.cli("lease", "revoke", "-force", "-prefix", prefix)
    assert engine.leases(f"user/{bot}/") == []
    if is_away:
        (name,) = engine.names("pending/")
        engine_site.relay.listen()
        assert engine_site.is_alive(lease)
        engine.write(f"pending/{name}")
    assert not engine_site.is_alive(lease)
    assert engine.names("pending/") == []


def test_a_locked_users_session_ends_with_its_lease(engine_site: EngineSite) -> None:
    engine, bot = engine_site.engine, engine_site.new_bot()
    lease, user_id = engine.lease(bot), f"@{bot}:{SERVER_NAME}"
    administrator = engine_site.new_bot()
    with engine_site.synapse.database() as database:
        user = (f"@{administrator}:{SERVER_NAME}",)
        database.execute("UPDATE users SET admin = 1 WHERE name = ?", user)
        database.commit()
    token = engine.lease(administrator).access_token

    def lock(is_locked: bool) -> None:
        answer = requests.put(
            f"{engine_site.synapse.url}/_synapse/admin/v2/users/{user_id}",
            json={"locked": is_locked},
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        )
        assert answer.status_code == 200, answer.text

    lock(True)
    engine.revoke(lease.lease_id)
    lock(False)
    assert not engine_site.is_alive(lease)
    assert engine_site.devices(bot) == []
    assert engine.names("pending/") == []
