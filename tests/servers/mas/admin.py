"""The admin API: who may use it, which path leads where, and the form of its answers.

Documentation: https://element-hq.github.io/matrix-authentication-service/topics/admin-api.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .clients import Client
from .clock import is_ulid
from .database import Database
from .http_types import Answer, RefusedError, Request, error, html, in_json
from .records import ADMIN_SCOPE, OAuth2Session, PersonalSession, Resource
from .tokens import Tokens, is_well_formed

ROOT = "/api/admin/v1"

PAGE_SIZE = 10
"""How many of a list are returned where the request does not say."""


@dataclass(frozen=True)
class Caller:
    """Who sends a request to the admin API: a client that acts for itself, or a user."""

    client_id: str | None
    user_id: str | None


Handler = Callable[..., Answer]
"""Takes the caller, the request and what the path holds in its placeholders."""


@dataclass(frozen=True)
class Endpoint:
    method: str
    path: str
    """As MAS' description of its API writes it, `{id}` and the like for placeholders."""
    handler: Handler

    @property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(self.path)))


class Admin:
    """Sends requests to their endpoint."""

    def __init__(
        self,
        database: Database,
        tokens: Tokens,
        clients: Mapping[str, Client],
        endpoints: Iterable[Endpoint],
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._clients = clients
        self.endpoints = list(endpoints)
        self._patterns = [(endpoint.pattern, endpoint) for endpoint in self.endpoints]

    def answer(self, request: Request) -> Answer:
        found = [
            (match, endpoint)
            for pattern, endpoint in self._patterns
            if (match := pattern.fullmatch(request.path))
        ]
        if not found:
            return html(404, "Not found")
        for match, endpoint in found:
            if endpoint.method == request.method:
                caller = self._caller(request)
                return endpoint.handler(caller, request, *match.groups())
        return Answer(405, content_type=None)

    def _caller(self, request: Request) -> Caller:
        if "authorization" not in request.headers:
            raise RefusedError(error(400, "Missing authorization header"))
        if request.bearer is None:
            raise RefusedError(error(400, "Invalid authorization header"))
        if not request.bearer.startswith(("mat_", "mpt_")) or not is_well_formed(request.bearer):
            raise RefusedError(error(401, "Invalid type of access token"))
        known = self._database.session_by_token(request.bearer)
        if known is None:
            raise RefusedError(error(401, "Unknown access token"))
        if known.finished_at is not None:
            raise RefusedError(error(401, "Access token revoked"))
        session = self._tokens.lookup(request.bearer)
        if session is None:
            raise RefusedError(error(401, "Access token expired"))
        if ADMIN_SCOPE not in session.scope.split():
            raise RefusedError(error(401, "Missing urn:mas:admin scope"))
        if isinstance(session, PersonalSession):
            return Caller(session.owner_client_id, session.owner_user_id)
        client_id = session.client_id if isinstance(session, OAuth2Session) else None
        return Caller(client_id, session.user_id)


def single(status: int, resource: Resource, *, path: str | None = None, **more: Any) -> Answer:
    """Return one resource; `more` are attributes that only this answer has."""
    shown = shown_resource(resource)
    shown["attributes"].update(more)
    return in_json(status, {"data": shown, "links": {"self": path or shown["links"]["self"]}})


def shown_resource(resource: Resource) -> dict[str, Any]:
    return {
        "type": resource.resource_type,
        "id": resource.id,
        "attributes": resource.attributes(),
        "links": {"self": f"{ROOT}/{resource.collection}/{resource.id}"},
    }


def page(request: Request, collection: str, resources: Iterable[Resource]) -> Answer:
    """Return some of a list, the oldest first, as `page[…]` and `count` in the query ask."""
    base = f"{ROOT}/{collection}"
    parameters = {name: values[-1] for name, values in request.query.items()}
    for name in ("page[before]", "page[after]"):
        if name in parameters and not is_ulid(parameters[name]):
            raise RefusedError(error(400, "Invalid pagination parameters"))
    first, last = (_positive(parameters.get(name)) for name in ("page[first]", "page[last]"))
    if first and last:
        raise RefusedError(
            error(400, "Cannot specify both `page[first]` and `page[last]` parameters")
        )
    ordered = sorted(resources, key=lambda resource: resource.id)
    after, before = parameters.get("page[after]", ""), parameters.get("page[before]", "~")
    within = [resource for resource in ordered if after < resource.id < before]
    size = first or last or PAGE_SIZE
    chosen = within[-size:] if last else within[:size]
    direction = "last" if last else "first"
    kept = [
        f"{name}={value}"
        for name, values in request.query.items()
        for value in values
        if name == "count" or name.startswith("filter[")
    ]
    base = f"{base}?{''.join(f'{part}&' for part in kept)}"
    links = {
        "self": f"{base}page[{direction}]={size}",
        "first": f"{base}page[first]={size}",
        "last": f"{base}page[last]={size}",
    }
    if chosen and len(within) > len(chosen) and not last:
        links["next"] = f"{base}page[after]={chosen[-1].id}&page[{direction}]={size}"
    if chosen and len(within) > len(chosen) and last:
        links["prev"] = f"{base}page[before]={chosen[0].id}&page[{direction}]={size}"
    count = parameters.get("count", "true")
    if count not in ("true", "false", "only"):
        raise RefusedError(error(400, "Invalid pagination parameters"))
    answer: dict[str, Any] = {"links": links}
    if count != "false":
        answer["meta"] = {"count": len(ordered)}
    if count != "only":
        answer["data"] = [
            {**shown_resource(resource), "meta": {"page": {"cursor": resource.id}}}
            for resource in chosen
        ]
    return in_json(200, answer)


def filters(request: Request, known: Iterable[str]) -> dict[str, list[str]]:
    """Return the filters of a query by the name in their brackets. MAS ignores unknown ones."""
    names = set(known)
    return {
        match[1]: values
        for name, values in request.query.items()
        if (match := re.fullmatch(r"filter\[([\w-]+)\]", name)) and match[1] in names
    }


def truth_in_filter(text: str) -> bool:
    if text not in ("true", "false"):
        raise invalid_filter()
    return text == "true"


def ulid_in_filter(text: str) -> str:
    if not is_ulid(text):
        raise invalid_filter()
    return text


def invalid_filter() -> RefusedError:
    return RefusedError(error(400, "Invalid filter parameters"))


def _positive(text: str | None) -> int:
    if text is None:
        return 0
    if not text.isdecimal() or int(text) < 1:
        raise RefusedError(error(400, "Invalid pagination parameters"))
    return int(text)
