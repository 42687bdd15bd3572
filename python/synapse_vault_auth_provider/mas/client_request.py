"""What a request says of its sender."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synapse.module_api import SynapseRequest


def address(request: SynapseRequest) -> str | None:
    """Return the address of the client as the homeserver sees it.

    It is that of the proxy's header where the listener has ``x_forwarded``. A request over a Unix
    socket without that header has none.
    """
    host: str | None = getattr(request.getClientAddress(), "host", None)  # type: ignore[no-untyped-call]
    return host


def access_token(request: SynapseRequest) -> str | None:
    """Return the access token of a request.

    It is in one header, or in the query as older clients send it.
    """
    headers = request.requestHeaders.getRawHeaders(b"Authorization") or []
    parameters = (request.args or {}).get(b"access_token", [])
    if len(headers) + len(parameters) != 1:
        return None
    if parameters:
        return _decoded(parameters[0])
    scheme, _, token = headers[0].partition(b" ")
    return _decoded(token.strip()) if scheme.lower() == b"bearer" else None


def _decoded(token: bytes) -> str:
    # What is not ASCII is no token, and becomes one that nobody has.
    return token.decode("ascii", "replace")
