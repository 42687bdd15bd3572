"""A relay in front of Vault, to count what it is asked and to answer some of it wrongly."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from .port import ReservedPort

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from email.message import Message

LONGEST_HOLD = 120.0
"""Time after which requests that are held go on by themselves, in seconds."""

_NOT_HANDED_ON = {"connection", "content-length", "transfer-encoding"}


@dataclass(frozen=True)
class Request:
    """What came, and when."""

    method: str
    target: str
    """Path and query, as they came."""
    headers: Message
    came: float
    connection: int
    """The port of the other side, which tells connections apart."""

    @property
    def path(self) -> str:
        """The path, decoded."""
        return unquote(urlsplit(self.target).path)


@dataclass(frozen=True)
class Reply:
    """An answer that is not Vault's. The body is JSON unless it is bytes."""

    status: int
    body: object = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reset:
    """No answer but so many bytes, and then the connection is reset."""

    sent: bytes = b""


@dataclass(frozen=True)
class Silence:
    """No answer at all, on a connection that stays."""


Meddling = Callable[[Request], Reply | Reset | Silence | None]
"""What becomes of a request that is not handed on; `None` to hand it on."""


Editing = Callable[[Reply], Reply | Reset]
"""What becomes of an answer of the server's before it is handed back."""


class Relay:
    """Hands requests at `url` on to the server `target`, or does with them what `meddle` says.

    It understands proxy requests too, and hands them on to the same server whatever they name.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.port = ReservedPort()
        self.url = f"http://127.0.0.1:{self.port}"
        self.requests: list[Request] = []
        self.meddle: Meddling | None = None
        self.edit: Editing | None = None
        self.delay = 0.0
        self.reads_in_flight = 0
        self.most_reads_in_flight = 0
        self.answers_held = 0
        self._requests_go_on = threading.Event()
        self._answers_go_on = threading.Event()
        self.release()
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Relay:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def hold(self) -> None:
        """Hand no request on until `release`; what `meddle` answers is answered."""
        self._requests_go_on.clear()

    def hold_answers(self) -> None:
        """Hand requests on, but none of the answers back until `release`."""
        self._answers_go_on.clear()

    def release(self) -> None:
        """Hand on what was held, and everything from now on."""
        self._requests_go_on.set()
        self._answers_go_on.set()

    def reads(self, user_id: str) -> int:
        """Return how often the entry of a user was asked for, in a KV engine of version 2."""
        return sum(
            request.method == "GET"
            and "/data/" in request.path
            and request.path.endswith(f"/{user_id}")
            for request in list(self.requests)
        )

    def listen(self) -> None:
        """Take connections."""
        if self._server is None:
            self._server = _server(self)
            threading.Thread(
                target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
            ).start()

    def close(self) -> None:
        """Drop the connections that there are, and refuse new ones."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        self.release()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def answer(self, request: Request, body: bytes) -> Reply | Reset | Silence:
        """Do with one request what is done with such."""
        self.requests.append(request)
        meddled = self.meddle(request) if self.meddle is not None else None
        if meddled is not None:
            return meddled
        with self._counted(request):
            self._requests_go_on.wait(LONGEST_HOLD)
            time.sleep(self.delay)
            answer = self._hand_on(request, body)
            if self.edit is not None and isinstance(answer, Reply):
                answer = self.edit(answer)
            if not self._answers_go_on.is_set():
                self.answers_held += 1
                self._answers_go_on.wait(LONGEST_HOLD)
            return answer

    @contextmanager
    def _counted(self, request: Request) -> Iterator[None]:
        one = int(request.method == "GET" and "/data/" in request.path)
        with self._lock:
            self.reads_in_flight += one
            self.most_reads_in_flight = max(self.most_reads_in_flight, self.reads_in_flight)
        try:
            yield
        finally:
            with self._lock:
                self.reads_in_flight -= one

    def _hand_on(self, request: Request, body: bytes) -> Reply | Reset:
        address = urlsplit(self.target)
        server = http.client.HTTPConnection(str(address.hostname), address.port or 80, timeout=60)
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        try:
            server.request(request.method, request.target, body or None, headers)
            response = server.getresponse()
            return Reply(response.status, response.read(), dict(response.getheaders()))
        except (OSError, http.client.HTTPException):
            return Reset()
        finally:
            server.close()


def _server(relay: Relay) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def setup(self) -> None:
            super().setup()
            relay._connections.add(self.connection)

        def finish(self) -> None:
            relay._connections.discard(self.connection)
            with suppress(OSError):
                super().finish()

        def handle(self) -> None:
            with suppress(OSError):
                super().handle()

        def treat(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            # To a proxy the whole URL is sent.
            target = urlsplit(self.path)._replace(scheme="", netloc="").geturl()
            request = Request(
                self.command, target, self.headers, time.monotonic(), self.client_address[1]
            )
            self.send(relay.answer(request, body))

        do_GET = do_POST = do_PUT = do_DELETE = do_LIST = treat  # noqa: N815

        def send(self, answer: Reply | Reset | Silence) -> None:
            if isinstance(answer, Silence):
                # Until the other side hangs up, or we are closed.
                self.connection.recv(1)
                self.close_connection = True
            elif isinstance(answer, Reset):
                self.wfile.write(answer.sent)
                self.wfile.flush()
                if answer.sent:
                    time.sleep(0.05)  # A reset overtakes what was sent just before.
                at_once = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
                self.close_connection = True
            else:
                content = answer.body
                if not isinstance(content, bytes):
                    content = json.dumps(content).encode()
                # Not `send_response`, which has a Date of its own.
                self.send_response_only(answer.status)
                for name, value in answer.headers.items():
                    if name.lower() not in _NOT_HANDED_ON:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 1024

        def shutdown_request(self, request: object) -> None:
            # The default shuts the connection down in order, which is no reset.
            assert isinstance(request, socket.socket)
            self.close_request(request)

    return Server(("127.0.0.1", relay.port), Handler)
