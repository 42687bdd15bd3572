"""What nobody should send: any JSON, huge bodies, odd ids, and a homeserver's garbage."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.relay import Reply, Reset
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from tests.harness.secrets_engine import EngineSite
    from tests.servers.relay import Request

HOMESERVER_FIELDS = ("cs_url", "ca_cert", "request_timeout", "ttl", "max_ttl", "colour")

USER_FIELDS = ("login_secret", "device_name", "create_only", "ttl", "")

FIELDS = {
    f"config/homeserver/{SERVER_NAME}": HOMESERVER_FIELDS,
    f"config/user/hostile/{SERVER_NAME}": USER_FIELDS,
    f"rotate/hostile/{SERVER_NAME}": ("colour",),
    "pending/hostile": ("colour",),
}

VALUES: list[Any] = [
    None,
    True,
    -1,
    1e300,
    2**70,
    "",
    "\0",
    "\ud800",
    "x" * 100_000,
    [],
    [[]],
    {},
    {"a": {"b": 1}},
    "99999999999999h",
    "-1h",
    "NaN",
    "ä",
]


@pytest.mark.parametrize("path", FIELDS)
def test_no_json_breaks_a_path(engine_site: EngineSite, path: str) -> None:
    engine = engine_site.engine
    before = engine.read(f"config/homeserver/{SERVER_NAME}")
    for field in FIELDS[path]:
        for value in VALUES:
            if field == "cs_url" and value == "":
                continue
            answer = engine.ask("POST", path, {field: value})
            assert answer.status_code < 500, (field, value, answer.text)
            if answer.status_code >= 400:
                engine.errors(answer, answer.status_code)
    engine.ask("POST", f"config/homeserver/{SERVER_NAME}", {**before, "ca_cert": ""})
    engine.delete(f"config/user/hostile/{SERVER_NAME}")
    engine_site.configure()


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"5", b'"text"', b"\xff\xfe"], ids=lambda body: repr(body)
)
def test_bodies_that_are_no_json_object_are_refused(engine_site: EngineSite, body: bytes) -> None:
    answer = engine_site.engine.ask("POST", f"config/user/hostile/{SERVER_NAME}", body)
    assert 400 <= answer.status_code < 500, answer.text


@pytest.mark.parametrize("megabytes", [1, 5, 31])
def test_bodies_that_the_server_takes_are_refused_in_its_form(
    engine_site: EngineSite, megabytes: int
) -> None:
    engine, bot = engine_site.engine, engine_site.new_bot()
    body = json.dumps({"device_name": "x" * (megabytes << 20)}).encode()
    engine.errors(engine.ask("POST", f"config/user/hostile/{SERVER_NAME}", body), 413)
    # The stream to the plugin is whole: what comes next is answered.
    engine.revoke(engine.lease(bot).lease_id)


@pytest.mark.parametrize(
    "path",
    [
        "config/user/a b/example.org",
        "config/user/ä/example.org",
        "config/user/a:b/example.org",
        "config/user/@a/example.org",
        "config/user/" + "a" * 300 + "/example.org",
        "config/user/a/exa mple.org",
        "config/user/a/@b:example.org",
        "config/homeserver/a/b",
        "config/homeserver/exa mple",
        "config/homeserver/" + "a" * 300,
        "user/*/example.org",
        "user/+/example.org",
        "login/a",
        "login/@a",
        "login/@:example.org",
        "login/@a:example.org/b",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "LIST"])
def test_odd_paths_are_errors_or_nothing(engine_site: EngineSite, method: str, path: str) -> None:
    answer = engine_site.engine.ask(method, path, {} if method == "POST" else None)
    assert answer.status_code < 500, answer.text
    if method == "POST" and answer.status_code < 300:
        engine_site.engine.ask("DELETE", path)


GARBAGE = [
    Reply(200, b"\xff" * 1000),
    Reply(200, b"{" * 100_000),
    Reply(200, b"null"),
    Reply(200, []),
    Reply(200, {"access_token": 5, "device_id": [], "user_id": {}}),
    Reply(200, {"access_token": "a\nb", "device_id": "D", "user_id": f"@x:{SERVER_NAME}"}),
    Reply(200, b"x" * (8 << 20)),
    Reply(204, b""),
    Reply(404, b""),
    Reply(418, {"errcode": 5, "error": []}),
    Reply(302, b"", {"Location": "http://127.0.0.1:1/login"}),
    Reset(),
    Reset(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
    Reset(b"not HTTP at all"),
]


@pytest.mark.parametrize("answer", GARBAGE, ids=lambda answer: type(answer).__name__)
def test_a_homeserver_that_answers_garbage_is_an_error(
    engine_site: EngineSite, answer: Reply | Reset
) -> None:
    engine, bot = engine_site.engine, engine_site.new_bot()
    engine_site.configure(request_timeout="1s")
    good = engine.lease(bot)
    engine_site.relay.meddle = lambda _: answer
    text = engine.ask("GET", f"user/{bot}/{SERVER_NAME}")
    assert text.status_code in (400, 503), text.text
    engine.errors(text, text.status_code)
    # Renewing and reading what stays go on or fail, but never break.
    assert engine.renew(good.lease_id).status_code in (200, 400)
    engine.ask("GET", f"static/{bot}/{SERVER_NAME}")
    engine_site.relay.meddle = None
    assert engine_site.is_alive(engine.lease(bot))


def test_requests_to_the_homeserver_name_no_other(engine_site: EngineSite) -> None:
    engine, bot = engine_site.engine, engine_site.new_bot()
    seen: list[Request] = []
    engine_site.relay.meddle = seen.append
    lease = engine.lease(bot)
    engine.renew(lease.lease_id)
    engine.revoke(lease.lease_id)
    assert {request.path for request in seen} <= {
        "/_matrix/client/v3/login",
        "/_matrix/client/v3/logout",
        "/_matrix/client/v3/account/whoami",
        "/_matrix/client/versions",
    }
    assert all("X-Vault-Token" not in request.headers for request in seen)
