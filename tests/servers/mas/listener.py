"""The HTTP server of the stand-in: threads, connections and the reading of requests."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .faults import ConnectionDroppedError
from .http_types import Answer, Request


class Listener(ThreadingHTTPServer):
    """Has every request answered by a function, on a thread for each connection."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(
        self,
        port: int,
        answer: Callable[[Request], Answer],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.answer = answer
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)
        if tls is not None:
            # The handshake is each connection's own, so that none holds the others up.
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def serve(self) -> None:
        """Serve on a thread of its own."""
        threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    def end(self) -> None:
        """Listen no more, and end the connections that there are."""
        self.shutdown()
        self.server_close()
        self.drop_connections()

    def drop_connections(self) -> None:
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: object) -> None:
        """Say nothing: the other side hangs up whenever it has heard enough."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Listener

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.open.add(self.connection)

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def _answer(self) -> None:
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            headers.setdefault(name.lower(), value)
        length = int(headers.get("content-length", "0"))
        request = Request(
            method=self.command,
            target=self.path,
            headers=headers,
            body=self.rfile.read(length),
            peer=self.client_address[0],
            is_gone=self._is_gone,
            all_headers=[(name.lower(), value) for name, value in self.headers.items()],
        )
        try:
            answer = self.server.answer(request)
        except ConnectionDroppedError:
            self.close_connection = True
            return
        self.send_response(answer.status)
        if answer.content_type is not None:
            self.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = _answer  # noqa: N815

    def _is_gone(self) -> bool:
        try:
            readable, _, _ = select.select([self.connection], [], [], 0)
            return bool(readable) and self.connection.recv(1, socket.MSG_PEEK) == b""
        except (OSError, ValueError):
            return True

    def log_message(self, *_: object) -> None:
        """Write nothing: lines of the stand-in would only be between those of the tests."""
