"""Every path of the secrets engine, as OpenBao's own API shows it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.secrets_engine import MOUNT
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from tests.harness.secrets_engine import Engine, EngineSite


OTHER = "other.example.org:8448"
"""A server whose name has a port."""


def test_a_homeserver_is_written_read_listed_and_deleted(
    engine: Engine, engine_site: EngineSite
) -> None:
    path = f"config/homeserver/{OTHER}"
    assert engine.errors(engine.ask("GET", path), 404) == ""
    answer = engine.write(path, {"cs_url": engine_site.relay.url, "ttl": "30m", "max_ttl": 7200})
    assert answer.json()["data"]["cs_url"] == engine_site.relay.url
    assert engine.read(path) == {
        "cs_url": engine_site.relay.url,
        "ca_cert": "",
        "request_timeout": 5,
        "ttl": 1800,
        "max_ttl": 7200,
    }
    assert engine.names("config/homeserver/") == [SERVER_NAME, OTHER]
    # What a later write leaves out stays.
    engine.write(path, {"request_timeout": "2s"})
    assert engine.read(path)["request_timeout"] == 2
    assert engine.read(path)["ttl"] == 1800
    engine.delete(path)
    assert engine.errors(engine.ask("GET", path), 404) == ""
    engine.delete(path)
    assert engine.names("config/homeserver/") == [SERVER_NAME]


def test_a_user_is_written_read_listed_and_deleted(engine_site: EngineSite) -> None:
    engine = engine_site.engine
    path = f"config/user/paths-bot/{SERVER_NAME}"
    assert engine.errors(engine.ask("GET", path), 404) == ""
    engine.write(path, {"ttl": "1h", "max_ttl": "24h", "device_name": "CI"})
    read = engine.read(path)
    assert (read["ttl"], read["max_ttl"], read["device_name"]) == (3600, 86400, "CI")
    assert "login_secret" not in read
    assert f"@paths-bot:{SERVER_NAME}" in engine.names("config/user/")
    names = engine.names("config/user/")
    assert names == sorted(names)
    engine.delete(path)
    assert engine.errors(engine.ask("GET", path), 404) == ""
    engine.delete(path)
    assert f"@paths-bot:{SERVER_NAME}" not in engine.names("config/user/")


def test_a_localpart_may_hold_slashes(engine_site: EngineSite) -> None:
    engine = engine_site.engine
    engine_site.synapse.register("team/a/bot")
    engine.write(f"config/user/team/a/bot/{SERVER_NAME}")
    assert f"@team/a/bot:{SERVER_NAME}" in engine.names("config/user/")
    lease = engine.lease("team/a/bot")
    assert lease.user_id == f"@team/a/bot:{SERVER_NAME}"
    assert engine_site.is_alive(lease)
    engine.revoke(lease.lease_id)
    engine.delete(f"config/user/team/a/bot/{SERVER_NAME}")


def test_the_secret_is_kept_by_a_write_without_one(engine: Engine) -> None:
    path, login = f"config/user/kept/{SERVER_NAME}", f"login/@kept:{SERVER_NAME}"
    given = engine.confidential.add("a-login-secret-of-the-tests-that-is-kept")
    engine.write(path, {"login_secret": given})
    engine.write(path, {"ttl": "1h"})
    assert engine.read(login) == {"login_secret": given}
    engine.delete(path)
    assert engine.errors(engine.ask("GET", login), 404) == ""


def test_a_new_user_gets_a_secret_that_nobody_else_has(engine: Engine) -> None:
    secrets = []
    for name in ("made-up-1", "made-up-2"):
        engine.write(f"config/user/{name}/{SERVER_NAME}")
        secrets.append(engine.read(f"login/@{name}:{SERVER_NAME}")["login_secret"])
        engine.delete(f"config/user/{name}/{SERVER_NAME}")
    assert len(set(secrets)) == 2
    assert all(len(secret) >= 43 for secret in secrets)


def test_create_only_leaves_a_user_who_is_there(engine: Engine) -> None:
    path, login = f"config/user/only/{SERVER_NAME}", f"login/@only:{SERVER_NAME}"
    engine.write(path, {"create_only": True})
    secret = engine.read(login)
    for value in (True, "true"):
        engine.errors(engine.ask("POST", path, {"create_only": value, "ttl": 60}), 400)
    assert engine.read(login) == secret
    assert engine.read(path)["ttl"] == 0
    engine.write(path, {"create_only": False, "ttl": 60})
    engine.delete(path)


def test_rotating_replaces_the_secret(engine: Engine) -> None:
    path, login = f"config/user/rotating/{SERVER_NAME}", f"login/@rotating:{SERVER_NAME}"
    text = engine.errors(engine.ask("POST", f"rotate/rotating/{SERVER_NAME}"), 400)
    assert f"write config/user/rotating/{SERVER_NAME}" in text
    engine.write(path)
    before = engine.read(login)
    engine.write(f"rotate/rotating/{SERVER_NAME}")
    assert engine.read(login) != before
    engine.delete(path)


def test_a_lease_has_what_a_client_needs(engine_site: EngineSite) -> None:
    bot = engine_site.new_bot(device_name="A device")
    lease = engine_site.engine.lease(bot)
    assert lease.user_id == f"@{bot}:{SERVER_NAME}"
    assert lease.homeserver_url.rstrip("/") == engine_site.relay.url
    assert lease.renewable
    assert lease.lease_id.startswith(f"{MOUNT}/user/{bot}/{SERVER_NAME}/")
    assert engine_site.devices(bot) == [lease.device_id]
    engine_site.engine.revoke(lease.lease_id)
    assert engine_site.user_of(lease.access_token) is None
    assert engine_site.devices(bot) == []


REFUSED: list[tuple[str, str, Any, int]] = [
    ("GET", "user/nobody/example.org", None, 400),
    ("GET", "user/nobody/unknown.example.org", None, 400),
    ("GET", "static/nobody/example.org", None, 400),
    ("POST", f"config/homeserver/{OTHER}", {}, 400),
    ("POST", f"config/homeserver/{OTHER}", {"cs_url": "no url"}, 400),
    ("POST", f"config/homeserver/{OTHER}", {"cs_url": 5}, 400),
    ("POST", f"config/homeserver/{OTHER}", {"cs_url": "ftp://a.example.org"}, 400),
    ("POST", f"config/homeserver/{OTHER}", {"cs_url": "http://127.0.0.1:1", "ttl": "soon"}, 400),
    ("POST", f"config/homeserver/{OTHER}", {"cs_url": "http://127.0.0.1:1", "ttl": -1}, 400),
    ("POST", f"config/homeserver/{OTHER}", {"cs_url": "http://127.0.0.1:1", "ca_cert": "x"}, 400),
    ("POST", "config/user/a/example.org", {"ttl": "2h", "max_ttl": "1h"}, 400),
    ("POST", "config/user/a/example.org", {"login_secret": ""}, 400),
    ("POST", "config/user/a/example.org", {"login_secret": 5}, 400),
    ("POST", "config/user/a/example.org", {"create_only": "perhaps"}, 400),
    ("POST", "config/user/example.org", {}, 404),
    ("GET", "", None, 404),
    ("GET", "config", None, 404),
    ("GET", "nothing/of/this", None, 404),
    ("GET", "user/example.org", None, 404),
    ("POST", "user/a/example.org", {}, 405),
    ("DELETE", "user/a/example.org", None, 405),
    ("LIST", "user/", None, 404),
    ("GET", "rotate/a/example.org", None, 405),
    ("POST", "login/@a:example.org", {}, 405),
    ("DELETE", "login/@a:example.org", None, 405),
    ("LIST", "login/", None, 404),
    ("POST", "static/a/example.org", {}, 405),
    ("GET", "login/@a:example.org", None, 404),
    ("GET", "login/alice", None, 400),
    ("GET", "pending/nothing", None, 404),
    ("POST", "pending/nothing", {}, 404),
]
"""Requests that are refused, and with what status."""


@pytest.mark.parametrize(
    ("method", "path", "body", "status"), REFUSED, ids=lambda value: str(value)[:40]
)
def test_refusals_have_vaults_form(
    engine: Engine, method: str, path: str, body: Any, status: int
) -> None:
    engine.errors(engine.ask(method, path, body), status)
    assert f"@a:{SERVER_NAME}" not in engine.names("config/user/")


def test_a_patch_is_an_unknown_operation(engine: Engine) -> None:
    engine.write(f"config/user/patched/{SERVER_NAME}")
    answer = engine.ask("PATCH", f"config/user/patched/{SERVER_NAME}", {"ttl": 60})
    assert answer.status_code in (405, 415), answer.text
    engine.delete(f"config/user/patched/{SERVER_NAME}")


def test_a_user_of_a_homeserver_that_is_not_known_yet_is_a_warning(engine: Engine) -> None:
    path = "config/user/early/unknown.example.org"
    answer = engine.write(path)
    assert "config/homeserver/unknown.example.org" in "\n".join(answer.json()["warnings"])
    engine.errors(engine.ask("GET", "user/early/unknown.example.org"), 400)
    engine.delete(path)


def test_fields_are_taken_as_the_command_line_sends_them(engine: Engine) -> None:
    openbao, path = engine.openbao, f"{MOUNT}/config/user/typed/{SERVER_NAME}"
    openbao.cli("write", path, "ttl=90", "max_ttl=1h", "create_only=true", "device_name=x=y")
    read = json.loads(openbao.cli("read", "-format=json", path))["data"]
    assert (read["ttl"], read["max_ttl"], read["device_name"]) == (90, 3600, "x=y")
    openbao.cli("write", path, "ttl=1.5h", "max_ttl=2d")
    read = engine.read(f"config/user/typed/{SERVER_NAME}")
    assert (read["ttl"], read["max_ttl"]) == (5400, 172800)
    openbao.cli("delete", path)


def test_unknown_fields_and_those_of_2018_are_a_warning(engine: Engine) -> None:
    path = f"config/user/odd/{SERVER_NAME}"
    answer = engine.write(path, {"colour": "red", "logout_other_devices": True})
    warnings = "\n".join(answer.json()["warnings"])
    assert "colour" in warnings
    assert "logout_other_devices" in warnings
    assert "lease revoke -prefix" in warnings
    engine.delete(path)


def test_a_homeserver_that_cannot_be_reached_is_configured_with_a_warning(engine: Engine) -> None:
    path = f"config/homeserver/{OTHER}"
    answer = engine.write(path, {"cs_url": "http://127.0.0.1:1", "request_timeout": "1s"})
    assert answer.json()["warnings"], answer.text
    engine.delete(path)


def test_create_and_update_are_capabilities_of_their_own(engine: Engine) -> None:
    openbao = engine.openbao
    for known, what in ((False, "create"), (True, "update")):
        policy = f'path "{MOUNT}/config/*" {{ capabilities = ["{what}"] }}'
        token = openbao.create_token(f"only-{what}", policy)
        other = "update" if what == "create" else "create"
        refused = openbao.create_token(
            f"only-{other}", f'path "{MOUNT}/config/*" {{ capabilities = ["{other}"] }}'
        )
        for path, fields in (
            (f"config/user/able/{SERVER_NAME}", {}),
            (f"config/homeserver/{OTHER}", {"cs_url": "http://127.0.0.1:1"}),
        ):
            answer = engine.ask("GET", path)
            assert (answer.status_code == 200) is known
            engine.errors(engine.ask("POST", path, fields, token=refused), 403)
            answer = engine.ask("POST", path, fields, token=token)
            assert answer.status_code in (200, 204), answer.text
    engine.delete(f"config/user/able/{SERVER_NAME}")
    engine.delete(f"config/homeserver/{OTHER}")


PATHS = {
    "config/homeserver/{server}": {"get", "post", "delete"},
    "config/homeserver": {"get"},
    "config/user/{localpart}/{server}": {"get", "post", "delete"},
    "config/user": {"get"},
    "user/{localpart}/{server}": {"get"},
    "static/{localpart}/{server}": {"get", "delete"},
    "rotate/{localpart}/{server}": {"post"},
    "login/{user_id}": {"get"},
    "pending/{id}": {"get", "post", "delete"},
    "pending": {"get"},
}
"""The paths, and the methods that the server's own description of its API has."""


def test_the_servers_description_of_its_api_knows_the_mount(engine: Engine) -> None:
    document = engine.api("GET", "sys/internal/specs/openapi").json()
    found = {
        path.removeprefix(f"/{MOUNT}/").rstrip("/"): operations
        for path, operations in document["paths"].items()
        if path.startswith(f"/{MOUNT}/")
    }
    shapes = {
        "/".join("{}" if part.startswith("{") else part for part in path.split("/")): operations
        for path, operations in found.items()
    }
    for path, methods in PATHS.items():
        shape = "/".join("{}" if part.startswith("{") else part for part in path.split("/"))
        assert shape in shapes, (shape, sorted(found))
        assert methods <= shapes[shape].keys(), (shape, shapes[shape].keys())
        assert (
            shapes[shape].get("description")
            or shapes[shape].get("summary")
            or any(
                operation.get("summary") or operation.get("description")
                for operation in shapes[shape].values()
                if isinstance(operation, dict)
            )
        ), shape


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", ["config/homeserver", "config/user", "user/", "static/", "login/", "pending"]),
        (f"config/homeserver/{SERVER_NAME}", ["cs_url", "request_timeout", "max_ttl", "ca_cert"]),
        ("config/homeserver", ["homeserver"]),
        (f"config/user/a/{SERVER_NAME}", ["login_secret", "device_name", "create_only", "ttl"]),
        ("config/user", ["user"]),
        (f"user/a/{SERVER_NAME}", ["lease"]),
        (f"static/a/{SERVER_NAME}", ["session"]),
        (f"rotate/a/{SERVER_NAME}", ["another secret"]),
        (f"login/@a:{SERVER_NAME}", ["sudo"]),
        ("pending/a", ["homeserver"]),
        ("pending", ["homeserver"]),
    ],
)
def test_every_path_has_help(engine: Engine, path: str, words: list[str]) -> None:
    shown = engine.openbao.cli("path-help", f"{MOUNT}/{path}")
    for word in words:
        assert word in shown, shown
