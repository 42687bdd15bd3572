"""What clients are answered: one place for statuses, codes and words.

Specification: https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3login
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from synapse.http.server import finish_request, set_cors_headers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from synapse.module_api import SynapseRequest

    from .._core import MasAnswer, OpenedSession, Outcome

    Answer = tuple[int, Mapping[str, Any]]

FORBIDDEN = (403, "M_FORBIDDEN", "Invalid username or password")
UNDECIDED = (503, "M_UNKNOWN", "Logins cannot be decided now, try again later")
MAS_FAILED = (502, "M_UNKNOWN", "The authentication service cannot do this now, try again later")

UNKNOWN_PATH = (404, "M_UNRECOGNIZED", "Unrecognized request")

_BY_OUTCOME = {
    **dict.fromkeys(
        (
            *("bad_hash", "malformed_hash", "unknown_user", "foreign_user", "unsafe_user_id"),
            *("no_secret", "unusable_secret", "registration_refused"),
        ),
        FORBIDDEN,
    ),
    **dict.fromkeys(
        ("vault_denied", "vault_unavailable", "vault_error", "timeout", "overloaded"), UNDECIDED
    ),
    **dict.fromkeys(("mas_unavailable", "mas_refused"), MAS_FAILED),
    "user_locked": (401, "M_USER_LOCKED", "User account has been locked"),
    "user_deactivated": (403, "M_USER_DEACTIVATED", "This account has been deactivated"),
}


def error(status: int, errcode: str, text: str) -> Answer:
    """Return an error as Matrix has it."""
    return status, {"errcode": errcode, "error": text}


def refusal(outcome: Outcome) -> Answer:
    """Return what a client is told of a login that ended without a session."""
    status, body = error(*_BY_OUTCOME.get(outcome.code, UNDECIDED))
    if outcome.code == "user_locked":
        # As Synapse has it: https://spec.matrix.org/v1.16/client-server-api/#account-locking
        return status, {**body, "soft_logout": True}
    return status, body


def session(user_id: str, server_name: str, opened: OpenedSession) -> Answer:
    """Return what a client is told of a session that is its own."""
    body: dict[str, Any] = {
        "user_id": user_id,
        "access_token": opened.access_token,
        "home_server": server_name,
        "device_id": opened.device_id,
    }
    if opened.expires_in_ms is not None:
        body["expires_in_ms"] = opened.expires_in_ms
    return 200, body


def too_many(request: SynapseRequest, seconds: float) -> Answer:
    """Return what a client is told that must wait."""
    request.setHeader(b"Retry-After", str(math.ceil(seconds)).encode())  # type: ignore[no-untyped-call]
    status, body = error(429, "M_LIMIT_EXCEEDED", "Too Many Requests")
    return status, {**body, "retry_after_ms": math.ceil(seconds * 1000)}


def send_passed_on(request: SynapseRequest, answer: MasAnswer) -> None:
    """Send what MAS answered, as it is."""
    request.setResponseCode(answer.status or MAS_FAILED[0])
    if request._disconnected:
        return
    set_cors_headers(request)
    for name, value in (
        (b"Content-Type", answer.content_type),
        (b"Retry-After", answer.retry_after),
        (b"Content-Length", str(len(answer.body)).encode()),
        (b"Cache-Control", b"no-store"),
    ):
        if value is not None:
            request.setHeader(name, value)  # type: ignore[no-untyped-call]
    request.write(answer.body)  # type: ignore[no-untyped-call]
    finish_request(request)
