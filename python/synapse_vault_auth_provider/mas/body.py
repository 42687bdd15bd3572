"""The body of a login: bounded, read by nobody but the module, and never in a log.

Synapse's own parser writes what is not JSON into the log, passwords and all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._core import is_token_hash
from ..login_types import LOGIN_TYPE, PASSWORD_LOGIN_TYPE, TOKEN_HASH_FIELDS

if TYPE_CHECKING:
    from typing import BinaryIO

MAX_BODY = 64 * 1024
"""The longest body that is read, in bytes."""

LONGEST_INTEGER = 20
"""Integers with more digits are read as floating-point numbers, which takes less time."""


class BodyError(Exception):
    """A body that no login is read from."""

    def __init__(self, errcode: str, text: str, status: int = 400) -> None:
        """Say what is wrong, in words that hold nothing of the body.

        Args:
            errcode: Matrix's code of the error.
            text: What is wrong.
            status: That of the answer.
        """
        super().__init__(text)
        self.errcode = errcode
        self.text = text
        self.status = status


@dataclass(frozen=True)
class LoginRequest:
    """What the module needs of a login of its own types."""

    user: str
    token_hash: object = field(repr=False)
    as_password: bool
    device_id: str | None
    display_name: str | None


def read(content: BinaryIO | None) -> bytes:
    """Return a request's body, which the HTTP server has received.

    Args:
        content: Twisted's ``content`` of the request.

    Raises:
        BodyError: It is too long.
    """
    if content is None:
        return b""
    content.seek(0)
    body = content.read(MAX_BODY + 1)
    if len(body) > MAX_BODY:
        raise BodyError("M_TOO_LARGE", f"The body has more than {MAX_BODY} bytes", 413)
    return body


def parse(body: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is.

    Raises:
        BodyError: It is none.
    """
    try:
        value = json.loads(body.decode("utf-8"), parse_int=_number, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        # What it was would be in the error.
        raise BodyError("M_NOT_JSON", "The body is not JSON") from None
    if not isinstance(value, dict):
        raise BodyError("M_BAD_JSON", "The body is not a JSON object")
    return value


def login_type(body: dict[str, Any]) -> str:
    """Return the type of a login.

    Raises:
        BodyError: It is missing or no string.
    """
    return _text(body, "type")


def is_ours(body: dict[str, Any], *, takes_passwords: bool) -> bool:
    """Tell whether a login is for the module to decide.

    Args:
        body: One that has a type.
        takes_passwords: Whether token hashes are taken as passwords, too.
    """
    if body["type"] == LOGIN_TYPE:
        return True
    return (
        takes_passwords
        and body["type"] == PASSWORD_LOGIN_TYPE
        and is_token_hash(body.get("password"))
    )


def login_request(body: dict[str, Any]) -> LoginRequest:
    """Return what a login asks for.

    Args:
        body: One that is ours.

    Raises:
        BodyError: Something is missing or of the wrong type.
    """
    token_hash_field = TOKEN_HASH_FIELDS[body["type"]]
    if token_hash_field not in body:
        raise BodyError("M_MISSING_PARAM", f"{token_hash_field} is missing")
    if not isinstance(body.get("refresh_token", False), bool):
        raise BodyError("M_INVALID_PARAM", "refresh_token must be true or false")
    return LoginRequest(
        user=_user(body),
        # Of any type: what is no token hash is refused as a wrong one is.
        token_hash=body[token_hash_field],
        as_password=body["type"] == PASSWORD_LOGIN_TYPE,
        device_id=_optional_text(body, "device_id"),
        display_name=_optional_text(body, "initial_device_display_name"),
    )


def _user(body: dict[str, Any]) -> str:
    if body.get("user") is not None:
        # Deprecated, and sent by clients all the same. It comes first, as with Synapse and MAS.
        return _text(body, "user")
    if body.get("identifier") is None:
        raise BodyError("M_MISSING_PARAM", "identifier is missing")
    identifier = body["identifier"]
    if not isinstance(identifier, dict):
        raise BodyError("M_INVALID_PARAM", "identifier must be an object")
    if _text(identifier, "type", "identifier.type") != "m.id.user":
        raise BodyError("M_UNKNOWN", "identifier.type must be m.id.user")
    return _text(identifier, "user", "identifier.user")


def _text(body: dict[str, Any], key: str, name: str | None = None) -> str:
    if key not in body:
        raise BodyError("M_MISSING_PARAM", f"{name or key} is missing")
    value = body[key]
    if not isinstance(value, str):
        raise BodyError("M_INVALID_PARAM", f"{name or key} must be a string")
    return value


def _optional_text(body: dict[str, Any], key: str) -> str | None:
    return None if body.get(key) is None else _text(body, key)


def _number(digits: str) -> float:
    return int(digits) if len(digits) <= LONGEST_INTEGER else float(digits)


def _refuse_constant(_: str) -> float:
    # NaN and the infinities, which Python takes and JSON does not have.
    raise ValueError
