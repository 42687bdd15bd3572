"""A listener that stands where Vault should, for what a sound Vault never does."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import unquote, urlsplit

from .port import ReservedPort

Behaviour = Callable[[socket.socket], None]
"""What becomes of a connection; the connection is closed when it returns."""


class BrokenVault:
    """Listens at `url` and treats every connection as `behaviour` says, which may be changed."""

    def __init__(self) -> None:
        self.port = ReservedPort()
        self.url = f"http://127.0.0.1:{self.port}"
        self.behaviour: Behaviour = silence
        self.connections = 0
        self._paths: list[str] = []
        self.connected = threading.Event()
        self._counting = threading.Lock()
        self._open: set[socket.socket] = set()
        self._server: socketserver.ThreadingTCPServer | None = None

    def listen(self, behaviour: Behaviour) -> None:
        """Drop the connections that there are, and treat new ones like this."""
        self._drop_connections()
        self.behaviour = behaviour
        self.connections = 0
        self._paths = []
        self.connected.clear()
        if self._server is not None:
            return
        vault = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with vault._counting:
                    vault.connections += 1
                vault.connected.set()
                vault._open.add(self.request)
                try:
                    vault._paths.append(_path(self.request.recv(4096, socket.MSG_PEEK)))
                    vault.behaviour(self.request)
                except OSError:
                    pass  # The other side hangs up whenever it has heard enough.
                finally:
                    vault._open.discard(self.request)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    def reads(self, user_id: str) -> int:
        """Return how many connections began with asking for the entry of a user.

        A homeserver whose Vault is broken goes on trying whether it can read entries, of nobody.
        """
        return sum("/data/" in path and path.endswith(f"/{user_id}") for path in list(self._paths))

    def close(self) -> None:
        """Listen no more, so that connections are refused."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        self._drop_connections()

    def _drop_connections(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def silence(connection: socket.socket) -> None:
    """Take everything and answer nothing."""
    while connection.recv(65536):
        pass


def hang_up(connection: socket.socket) -> None:
    """Take a request and close the connection."""
    _read_head(connection)


def hold(released: threading.Event) -> Behaviour:
    """Answer nothing until the event is set, and then hang up."""

    def wait(connection: socket.socket) -> None:
        _read_head(connection)
        released.wait()

    return wait


def first(count: int, behaviour: Behaviour, then: Behaviour) -> Behaviour:
    """Treat so many connections in one way and the rest in another."""
    left = iter(range(count))

    def choose(connection: socket.socket) -> None:
        (behaviour if next(left, None) is not None else then)(connection)

    return choose


def raw(data: bytes) -> Behaviour:
    """Answer with bytes that need not be HTTP."""

    def answer(connection: socket.socket) -> None:
        _read_head(connection)
        connection.sendall(data)

    return answer


def answer(status: int, body: object = b"", **headers: str) -> Behaviour:
    """Answer with a status and a body, which is JSON unless it is bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(content)}", "Connection: close"]
    head += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return raw("\r\n".join([*head, "", ""]).encode() + content)


def trickle(head: bytes) -> Behaviour:
    """Answer with `head` and then for ever, one byte at a time."""

    def answer(connection: socket.socket) -> None:
        _read_head(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head:
            connection.sendall(bytes([byte]))
        while True:
            connection.sendall(b" ")
            time.sleep(0.05)

    return answer


def flood(megabytes: int, *, announced: bool) -> Behaviour:
    """Answer with a JSON string of so many megabytes, its length announced or in chunks."""
    megabyte = b"x" * (1 << 20)

    def answer(connection: socket.socket) -> None:
        _read_head(connection)
        length = f"Content-Length: {megabytes << 20}" if announced else "Transfer-Encoding: chunked"
        connection.sendall(f"HTTP/1.1 200 OK\r\n{length}\r\n\r\n".encode())
        for _ in range(megabytes):
            connection.sendall(megabyte if announced else b"100000\r\n" + megabyte + b"\r\n")
        if not announced:
            connection.sendall(b"0\r\n\r\n")

    return answer


def forward(url: str) -> Behaviour:
    """Hand everything to the server at `url`, and its answers back."""
    address = urlsplit(url)

    def relay(connection: socket.socket) -> None:
        with socket.create_connection((address.hostname, address.port)) as server:
            back = threading.Thread(target=_pump, args=(server, connection), daemon=True)
            back.start()
            _pump(connection, server)
            back.join()

    return relay


def _path(head: bytes) -> str:
    """Return the path of a request, empty for what is no request."""
    match head.split(b" ", 2):
        case [_, path, _]:
            return unquote(path.decode("latin-1"))
    return ""


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def _read_head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        data = connection.recv(65536)
        if not data:
            break
        head += data
    return head
