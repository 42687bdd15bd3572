"""A client of the homeserver's that costs next to nothing, so that it is not what is measured."""

from __future__ import annotations

import json
import selectors
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

TIMEOUT = 120.0
"""Longest wait for an answer, in seconds."""


def get(path: str, **headers: str) -> bytes:
    """Write a request, with headers whose names have underscores in place of hyphens."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode()


def post(path: str, body: object) -> bytes:
    """Write a request with a body of JSON."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def vault_login(user_id: str, token_hash: str) -> bytes:
    """Write a login of our type."""
    return _login(user_id, {"type": "io.t2bot.vault", "token_hash": token_hash})


def password_login(user_id: str, password: str) -> bytes:
    """Write a login of the usual type."""
    return _login(user_id, {"type": "m.login.password", "password": password})


def _login(user_id: str, proof: dict[str, str]) -> bytes:
    identifier = {"type": "m.id.user", "user": user_id}
    return post("/_matrix/client/v3/login", {"identifier": identifier, **proof})


class Connection:
    """A connection that stays, with one request on its way at a time."""

    def __init__(self, port: int) -> None:
        # A plain number: what the socket module takes is no subclass.
        self.socket = socket.create_connection(("127.0.0.1", int(port)), TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def fileno(self) -> int:
        """Return the descriptor, for those who wait for several."""
        return self.socket.fileno()

    def send(self, request: bytes) -> None:
        """Send a request."""
        self.socket.sendall(request)

    def receive(self) -> tuple[int, bytes]:
        """Wait for the answer; return its status and body."""
        head, body = self._parted(b"", b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b": ")
            if name.lower() == b"content-length":
                return status, self._filled(body, int(value))
        return status, self._unchunked(body)

    def _unchunked(self, received: bytes) -> bytes:
        """See RFC 9112, section 7.1. Synapse sends no trailers."""
        whole = b""
        while True:
            size, received = self._parted(received, b"\r\n")
            received = self._filled(received, int(size, 16) + 2)
            if int(size, 16) == 0:
                return whole
            whole += received[: int(size, 16)]
            received = received[int(size, 16) + 2 :]

    def _parted(self, received: bytes, end: bytes) -> tuple[bytes, bytes]:
        while end not in received:
            received += self._more()
        before, _, after = received.partition(end)
        return before, after

    def _filled(self, received: bytes, size: int) -> bytes:
        while len(received) < size:
            received += self._more()
        return received

    def _more(self) -> bytes:
        received = self.socket.recv(65536)
        if not received:
            raise RuntimeError("the homeserver hung up")
        return received

    def ask(self, request: bytes, expected: int = 200) -> bytes:
        """Send a request and return the answer's body.

        Raises:
            RuntimeError: Its status is not the expected one.
        """
        self.send(request)
        return self.answer(expected)

    def answer(self, expected: int = 200) -> bytes:
        """Wait for the answer to what was sent, and return its body.

        Raises:
            RuntimeError: Its status is not the expected one.
        """
        status, body = self.receive()
        if status != expected:
            raise RuntimeError(f"{status} instead of {expected}: {body[:500]!r}")
        return body


def ask_over_and_over(
    connections: Sequence[Connection], requests: Sequence[bytes], expected: int, times: int
) -> None:
    """Send so many requests, on each connection as soon as the last one is answered.

    Args:
        connections: Where they are sent.
        requests: What each connection sends, over and over.
        expected: The status of each answer.
        times: How many, all connections together.

    Raises:
        RuntimeError: The status of an answer is not the expected one.
    """
    with selectors.DefaultSelector() as selector:
        unsent = times
        for connection, request in zip(connections[:times], requests, strict=False):
            selector.register(connection, selectors.EVENT_READ, (connection, request))
            connection.send(request)
            unsent -= 1
        unanswered = times
        while unanswered:
            ready = selector.select(TIMEOUT)
            if not ready:
                raise RuntimeError("the homeserver answers no more")
            for key, _ in ready:
                connection, request = key.data
                connection.answer(expected)
                unanswered -= 1
                if unsent:
                    connection.send(request)
                    unsent -= 1
