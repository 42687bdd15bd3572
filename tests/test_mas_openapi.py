"""The stand-in for MAS against MAS' own description of its admin API.

The description is not ours to copy: `MAS_ADMIN_API_JSON` names the file. In MAS' repository it is
`docs/api/spec.json`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.servers import Mas
from tests.servers.mas import records
from tests.servers.mas.admin import Caller
from tests.servers.mas.clock import Clock
from tests.servers.mas.http_types import Answer, RefusedError, Request

FILE = os.environ.get("MAS_ADMIN_API_JSON")

pytestmark = pytest.mark.skipif(FILE is None, reason="MAS_ADMIN_API_JSON names no file")

UNDOCUMENTED = {
    ("POST", "/api/admin/v1/personal-sessions"): {410, 422, 500},
    ("POST", "/api/admin/v1/personal-sessions/{id}/regenerate"): {403, 422},
    ("GET", "/api/admin/v1/users"): {400},
    ("POST", "/api/admin/v1/users"): {422, 500},
    ("GET", "/api/admin/v1/users/by-username/{username}"): {500},
    ("GET", "/api/admin/v1/personal-sessions"): {400},
    ("GET", "/api/admin/v1/compat-sessions"): {400},
    ("GET", "/api/admin/v1/user-sessions"): {400},
}
"""What MAS answers beside what it documents, found by trying."""

NOBODY = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@pytest.fixture(scope="module")
def api() -> Any:
    assert FILE is not None
    return json.loads(Path(FILE).read_text())


@pytest.fixture
def mas() -> Mas:
    """Return one that has users and sessions, and asks no homeserver."""
    mas = Mas("example.org")
    mas.homeserver.is_localpart_available = lambda localpart: localpart != "reserved"  # type: ignore[method-assign]
    mas.homeserver._post = lambda *_: None  # type: ignore[method-assign]
    return mas


def resources() -> list[records.Resource]:
    clock = Clock()
    now = clock.now()
    user = records.User(clock.new_id(), "alice", now, locked_at=now)
    return [
        user,
        records.PersonalSession(
            clock.new_id(), user.id, clock.new_id(), None, "a bot", "openid", now, "token"
        ),
        records.CompatSession(clock.new_id(), user.id, "ABCDEFGHIJ", now, "token"),
        records.OAuth2Session(clock.new_id(), user.id, clock.new_id(), "openid", now, "token"),
        records.UserSession(clock.new_id(), user.id, now),
        records.UserEmail(clock.new_id(), user.id, "alice@example.org", now),
        records.UpstreamLink(clock.new_id(), user.id, clock.new_id(), "alice", now),
    ]


@pytest.mark.parametrize("resource", resources(), ids=lambda resource: resource.resource_type)
def test_attributes_are_those_of_the_schema(api: Any, resource: records.Resource) -> None:
    attributes = resource.attributes()
    schema = api["components"]["schemas"][
        type(resource).__name__.replace("Upstream", "UpstreamOAuth")
    ]
    optional = {"access_token"} if isinstance(resource, records.PersonalSession) else set()
    assert set(attributes) == set(schema["properties"]) - optional
    validator(api, {"$ref": f"#/components/schemas/{schema_name(resource)}"}).validate(attributes)


def schema_name(resource: records.Resource) -> str:
    return type(resource).__name__.replace("UpstreamLink", "UpstreamOAuthLink")


def validator(api: Any, schema: Any) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": api["components"]})


def test_every_endpoint_is_one_of_mas(api: Any, mas: Mas) -> None:
    for endpoint in mas.admin.endpoints:
        assert endpoint.path in api["paths"]
        assert endpoint.method.lower() in api["paths"][endpoint.path], endpoint.path


def test_filters_are_those_of_mas(api: Any) -> None:
    used = {
        "/api/admin/v1/personal-sessions": ("actor_user", "owner_client", "scope", "status"),
        "/api/admin/v1/compat-sessions": ("user", "status"),
        "/api/admin/v1/oauth2-sessions": ("user", "status", "client", "scope"),
        "/api/admin/v1/user-sessions": ("user", "status"),
        "/api/admin/v1/user-emails": ("user", "email"),
        "/api/admin/v1/upstream-oauth-links": ("user", "provider", "subject"),
        "/api/admin/v1/users": ("admin", "search", "status"),
    }
    for path, names in used.items():
        known = {one["name"] for one in api["paths"][path]["get"]["parameters"]}
        assert {f"filter[{name}]" for name in names} | {"page[first]", "page[after]"} <= known


def answers(mas: Mas) -> Iterator[tuple[str, str, Answer]]:
    """Ask every endpoint for what is there, for what is not, and for nonsense."""
    clock = mas.clock
    now = clock.now()
    caller = Caller(mas.client.id, None)
    for endpoint in mas.admin.endpoints:
        user = records.User(clock.new_id(), "alice", now)
        mas.database.users = {user.id: user}
        rows: list[Any] = [
            records.PersonalSession(
                clock.new_id(), user.id, mas.client.id, None, "", "openid", now, "a"
            ),
            records.CompatSession(clock.new_id(), user.id, "ABCDEFGHIJ", now, "b"),
            records.OAuth2Session(clock.new_id(), user.id, mas.client.id, "openid", now, "c"),
        ]
        for row in rows:
            mas.database.add(row)
        rows += [
            records.UserSession(clock.new_id(), user.id, now),
            records.UserEmail(clock.new_id(), user.id, "alice@example.org", now),
            records.UpstreamLink(clock.new_id(), user.id, NOBODY, "alice", now),
        ]
        mas.database.user_sessions = {rows[3].id: rows[3]}
        mas.database.emails = {rows[4].id: rows[4]}
        mas.database.links = {rows[5].id: rows[5]}
        by_collection = {row.collection: row.id for row in [user, *rows]}
        collection = endpoint.path.removeprefix("/api/admin/v1/").partition("/")[0]
        subjects = ["alice", "nobody", "a%00b"]
        if "{username}" not in endpoint.path:
            subjects = [by_collection.get(collection, NOBODY), NOBODY]
        bodies = [*valid_bodies(user), {"username": 5}, {"username": "Not Valid"}]
        bodies += [{"username": "reserved"}, {"username": "a\0b"}]
        queries = ["", "?page[first]=1", f"?filter[user]={user.id}&filter[status]=active"]
        queries += [f"?filter[user]={NOBODY}", "?filter[status]=nonsense"]
        targets = subjects if "{" in endpoint.path else [""]
        for subject in targets:
            for body in bodies if endpoint.method == "POST" else [None]:
                for query in queries if endpoint.method == "GET" else [""]:
                    path = endpoint.path.replace("{id}", subject).replace("{username}", subject)
                    request = Request(
                        endpoint.method,
                        path + query,
                        {"content-type": "application/json"},
                        json.dumps(body).encode(),
                        "127.0.0.1",
                    )
                    arguments = [subject] if "{" in endpoint.path else []
                    try:
                        answer = endpoint.handler(caller, request, *arguments)
                    except RefusedError as refused:
                        answer = refused.answer
                    yield endpoint.method, endpoint.path, answer


def valid_bodies(user: records.User) -> list[dict[str, Any]]:
    session = {"actor_user_id": user.id, "human_name": "a bot", "scope": "openid"}
    return [
        {"username": "bob", "displayname": "Bob"},
        session,
        {**session, "expires_in": 5},
        {**session, "scope": "ä"},
        {"admin": True},
        {"password": "a long password"},
        {"password": "x"},
        {"skip_erase": True},
        {"user_id": user.id, "email": "bob@example.org"},
        {"user_id": user.id, "email": "alice@example.org"},
        {"user_id": user.id, "provider_id": NOBODY, "subject": "bob"},
        {"user_id": user.id, "provider_id": NOBODY, "subject": "alice"},
    ]


def test_statuses_and_bodies_are_those_of_mas(api: Any, mas: Mas) -> None:
    succeeded: set[tuple[str, str]] = set()
    for method, path, answer in answers(mas):
        documented = api["paths"][path][method.lower()]["responses"]
        if str(answer.status) not in documented:
            # A body of the wrong form is 422 everywhere, and the document is silent on it.
            allowed = UNDOCUMENTED.get((method, path), set()) | {400, 422}
            assert answer.status in allowed, (method, path, answer)
            continue
        if answer.status < 300:
            succeeded.add((method, path))
        content = documented[str(answer.status)].get("content", {})
        if content:
            assert answer.content_type == "application/json"
            schema = content["application/json"]["schema"]
            validator(api, schema).validate(json.loads(answer.body))
        else:
            assert answer.body == b""
    assert succeeded == {(one.method, one.path) for one in mas.admin.endpoints}
