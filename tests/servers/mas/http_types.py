"""Requests as the stand-in's endpoints see them, and what they answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .clock import is_ulid

LONGEST_BODY = 2 << 20
"""In bytes."""


@dataclass
class Request:
    """A request, read as a whole."""

    method: str
    target: str
    headers: Mapping[str, str]
    """By their names in lower case; of several headers of a name the first."""
    body: bytes = field(repr=False)
    peer: str
    is_gone: Callable[[], bool] = field(default=lambda: False, repr=False)
    """Tells whether its sender has hung up."""
    all_headers: list[tuple[str, str]] = field(default_factory=list, repr=False)
    """All of them in their order, by their names in lower case."""

    @property
    def path(self) -> str:
        """The path as it was sent."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def bearer(self) -> str | None:
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme.lower() == "bearer" else None

    @property
    def form(self) -> dict[str, str]:
        fields = parse_qs(self.body.decode("utf-8", "replace"), keep_blank_values=True)
        return {name: values[0] for name, values in fields.items()}

    def json(self, *, is_optional: bool = False) -> dict[str, Any]:
        """Return the body, which must be a JSON object.

        Raises:
            RefusedError: It is none; in plain text, as MAS refuses it.
        """
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if is_optional and not media_type:
            return {}
        if media_type != "application/json" and not media_type.endswith("+json"):
            message = "Expected request with `Content-Type: application/json`"
            raise RefusedError(plain(415, message))
        if len(self.body) > LONGEST_BODY:
            raise RefusedError(
                plain(413, "Failed to buffer the request body: length limit exceeded")
            )
        try:
            value = json.loads(self.body)
        except ValueError:
            raise RefusedError(plain(400, "Failed to parse the request body as JSON")) from None
        if not isinstance(value, dict):
            raise RefusedError(unprocessable("invalid type: expected struct Request"))
        return value


@dataclass(frozen=True)
class Answer:
    """A status, a body and its type."""

    status: int
    body: bytes = b""
    content_type: str | None = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """An answer that ends the work on a request."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def in_json(status: int, value: object) -> Answer:
    return Answer(status, json.dumps(value).encode())


def plain(status: int, text: str) -> Answer:
    return Answer(status, text.encode(), "text/plain; charset=utf-8")


def html(status: int, title: str) -> Answer:
    page = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body>{title}</body></html>"
    return Answer(status, page.encode(), "text/html; charset=utf-8")


def error(status: int, title: str) -> Answer:
    """Return an error as the admin API has it."""
    return in_json(status, {"errors": [{"title": title}]})


def database_error() -> Answer:
    """Return what comes of a NUL, which PostgreSQL stores in no text."""
    return error(
        500, 'error returned from database: invalid byte sequence for encoding "UTF8": 0x00'
    )


def unprocessable(reason: str) -> Answer:
    """Return what MAS says of JSON with a wrong type in it: no JSON."""
    return plain(422, f"Failed to deserialize the JSON body into the target type: {reason}")


def matrix_error(status: int, errcode: str, text: str) -> Answer:
    return in_json(status, {"errcode": errcode, "error": text})


def text_field(body: Mapping[str, Any], name: str) -> str:
    """Return a field that must be there and a string."""
    if name not in body:
        raise RefusedError(unprocessable(f"missing field `{name}`"))
    value = body[name]
    if not isinstance(value, str):
        raise RefusedError(unprocessable(f"{name}: invalid type, expected a string"))
    return value


def optional_text(body: Mapping[str, Any], name: str) -> str | None:
    return None if body.get(name) is None else text_field(body, name)


def flag(body: Mapping[str, Any], name: str, *, default: bool | None = False) -> bool:
    """Return a field that must be a truth value, and may be left out if it has a default."""
    if name not in body and default is not None:
        return default
    if name not in body:
        raise RefusedError(unprocessable(f"missing field `{name}`"))
    value = body[name]
    if not isinstance(value, bool):
        raise RefusedError(unprocessable(f"{name}: invalid type, expected a boolean"))
    return value


def u32(body: Mapping[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 32:
        raise RefusedError(unprocessable(f"{name}: invalid value, expected u32"))
    return value


def ulid_field(body: Mapping[str, Any], name: str) -> str:
    value = text_field(body, name)
    if not is_ulid(value):
        raise RefusedError(unprocessable(f"{name}: invalid ULID"))
    return value.upper()


def ulid_in_path(text: str) -> str:
    if not is_ulid(text):
        raise RefusedError(error(400, "Invalid ULID in path"))
    return text.upper()


def decoded(segment: str, name: str = "id") -> str:
    """Return a part of the path without its percent signs."""
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise RefusedError(plain(400, f"Invalid URL: Invalid UTF-8 in `{name}`")) from None
