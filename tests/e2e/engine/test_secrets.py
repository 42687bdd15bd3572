"""The secret of a login exists once, and only the module may read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.harness.accounts import token_hash
from tests.harness.secrets_engine import MODULE_POLICY, MOUNT
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from tests.harness.secrets_engine import EngineSite


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("bot", f'path "{MOUNT}/user/{{bot}}/{SERVER_NAME}" {{ capabilities = ["read"] }}'),
        ("reader", f'path "{MOUNT}/*" {{ capabilities = ["read", "list"] }}'),
        ("writer", f'path "{MOUNT}/*" {{ capabilities = ["create", "read", "update", "list"] }}'),
        ("login", f'path "{MOUNT}/login/*" {{ capabilities = ["read"] }}'),
    ],
)
def test_no_policy_without_sudo_reads_a_secret(
    engine_site: EngineSite, name: str, policy: str
) -> None:
    engine, bot = engine_site.engine, engine_site.new_bot()
    token = engine.openbao.create_token(f"no-sudo-{name}", policy.replace("{bot}", bot))
    engine.errors(engine.ask("GET", f"login/@{bot}:{SERVER_NAME}", token=token), 403)
    if name == "bot":
        lease = engine.lease(bot, token=token)
        assert engine_site.is_alive(lease)
        engine.errors(engine.ask("GET", f"user/{bot}x/{SERVER_NAME}", token=token), 403)
        engine.errors(engine.ask("GET", f"config/user/{bot}/{SERVER_NAME}", token=token), 403)


def test_the_module_may_read_secrets_and_nothing_else(engine_site: EngineSite) -> None:
    engine, bot = engine_site.engine, engine_site.new_bot()
    token = engine.openbao.create_token("module-alone", MODULE_POLICY)
    data = engine.read(f"login/@{bot}:{SERVER_NAME}", token=token)
    assert set(data) == {"login_secret"}
    for path in (
        f"user/{bot}/{SERVER_NAME}",
        f"config/user/{bot}/{SERVER_NAME}",
        f"config/homeserver/{SERVER_NAME}",
        f"static/{bot}/{SERVER_NAME}",
    ):
        engine.errors(engine.ask("GET", path, token=token), 403)


def test_the_secret_logs_in_like_any_other(engine_site: EngineSite) -> None:
    engine, bot = engine_site.engine, engine_site.new_bot()
    user_id = f"@{bot}:{SERVER_NAME}"
    secret = engine.read(f"login/{user_id}")["login_secret"]
    deployment = engine_site.deployment
    right = engine.confidential.add(token_hash(secret, user_id))
    deployment.log_in(user_id, right).check_accepted(user_id)
    deployment.log_in(user_id, token_hash("another", user_id)).check_refused("bad_hash")
    unknown = deployment.new_user()
    deployment.log_in(unknown, token_hash("another", unknown)).check_refused("no_secret")


def test_a_rotated_secret_is_the_one_that_logs_in(engine_site: EngineSite) -> None:
    engine, bot = engine_site.engine, engine_site.new_bot()
    user_id = f"@{bot}:{SERVER_NAME}"
    former = engine.confidential.add(
        token_hash(engine.read(f"login/{user_id}")["login_secret"], user_id)
    )
    lease = engine.lease(bot)
    engine.write(f"rotate/{bot}/{SERVER_NAME}")
    engine_site.deployment.log_in(user_id, former).check_refused("bad_hash")
    secret = engine.read(f"login/{user_id}")["login_secret"]
    newest = engine.confidential.add(token_hash(secret, user_id))
    engine_site.deployment.log_in(user_id, newest).check_accepted(user_id)
    # Sessions that are open stay open, and the next lease works.
    assert engine_site.is_alive(lease)
    assert engine_site.is_alive(engine.lease(bot))


def test_nothing_but_user_static_and_login_shows_a_secret(engine_site: EngineSite) -> None:
    engine, bot = engine_site.engine, engine_site.new_bot()
    secret = engine.read(f"login/@{bot}:{SERVER_NAME}")["login_secret"]
    token = engine.lease(bot).access_token
    shown = [
        engine.ask(method, path, body).text
        for method, path, body in (
            ("GET", f"config/user/{bot}/{SERVER_NAME}", None),
            ("POST", f"config/user/{bot}/{SERVER_NAME}", {"login_secret": secret}),
            ("LIST", "config/user/", None),
            ("GET", f"config/homeserver/{SERVER_NAME}", None),
            ("POST", f"rotate/{bot}/{SERVER_NAME}", {}),
            ("LIST", "pending/", None),
        )
    ]
    assert secret not in "".join(shown)
    assert token not in "".join(shown)


def test_a_static_session_stays_and_is_the_same(engine_site: EngineSite) -> None:
    engine, bot = engine_site.engine, engine_site.new_bot()
    path = f"static/{bot}/{SERVER_NAME}"
    first = engine.ask("GET", path).json()
    assert first["lease_id"] == ""
    data = first["data"]
    assert set(data) >= {"access_token", "device_id", "user_id", "homeserver_url"}
    assert engine.read(path) == data
    assert engine_site.user_of(data["access_token"]) == f"@{bot}:{SERVER_NAME}"
    # Leases beside it have devices of their own, and end without it.
    lease = engine.lease(bot)
    assert lease.device_id != data["device_id"]
    engine.revoke(lease.lease_id)
    assert engine_site.user_of(data["access_token"]) is not None
    engine.delete(path)
    assert engine_site.user_of(data["access_token"]) is None
    second = engine.read(path)
    assert second["device_id"] != data["device_id"]
    assert engine_site.user_of(second["access_token"]) is not None
    # Removing the user ends the session first.
    engine.delete(f"config/user/{bot}/{SERVER_NAME}")
    assert engine_site.user_of(second["access_token"]) is None
    assert engine_site.devices(bot) == []


def test_a_dead_static_session_is_opened_again_with_a_warning(engine_site: EngineSite) -> None:
    engine, bot = engine_site.engine, engine_site.new_bot()
    path = f"static/{bot}/{SERVER_NAME}"
    first = engine.read(path)
    engine_site.log_out(first["access_token"])
    answer = engine.ask("GET", path).json()
    assert answer["warnings"]
    assert engine_site.user_of(answer["data"]["access_token"]) is not None
    assert not engine.ask("GET", path).json()["warnings"]
    engine.delete(path)
