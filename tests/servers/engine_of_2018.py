"""A stand-in that answers as the secrets engine of 2018 did, which no server of today can run.

It has what moving from it takes: homeservers and users to list and to read, secrets included.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from .port import ReservedPort

if TYPE_CHECKING:
    from typing_extensions import Self


class EngineOf2018:
    """A server with one mount."""

    def __init__(self, mount: str = "matrix") -> None:
        self.mount = mount
        self.token = "a-token-of-the-server-with-the-engine-of-2018"
        self.homeservers: dict[str, str] = {}
        """The `cs_url` of each."""
        self.users: dict[str, str] = {}
        """The `login_secret` of each user id."""
        self.port = ReservedPort()
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = _server(self)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str) -> tuple[int, dict[str, Any]]:
        """Return the status of an answer, and the answer."""
        parts = path.removeprefix(f"{self.mount}/config/").strip("/").split("/")
        if method == "LIST" and parts == ["homeserver"]:
            return _list(sorted(self.homeservers))
        if method == "LIST" and parts == ["user"]:
            return _list(sorted(self.users))
        if method == "GET" and parts[0] == "homeserver" and "/".join(parts[1:]) in self.homeservers:
            name = "/".join(parts[1:])
            return _data({"server_name": name, "cs_url": self.homeservers[name]})
        if method == "GET" and parts[0] == "user" and len(parts) > 2:
            user_id = f"@{'/'.join(parts[1:-1])}:{parts[-1]}"
            if user_id in self.users:
                secret = self.users[user_id]
                return _data({"login_secret": secret, "logout_other_devices": False})
        return 404, {"errors": []}


def _list(keys: list[str]) -> tuple[int, dict[str, Any]]:
    return _data({"keys": keys}) if keys else (404, {"errors": []})


def _data(data: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return 200, {
        "request_id": "8ad97e25-2a6d-4d3c-b7d4-2e5b2a5b0a2e",
        "lease_id": "",
        "renewable": False,
        "lease_duration": 0,
        "data": data,
        "wrap_info": None,
        "warnings": None,
        "auth": None,
    }


def _server(engine: EngineOf2018) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def treat(self) -> None:
            path = unquote(self.path).removeprefix("/v1/")
            if self.headers["X-Vault-Token"] != engine.token:
                status, body = 403, {"errors": ["permission denied"]}
            else:
                status, body = engine.answer(self.command, path)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_LIST = do_POST = treat  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", engine.port), Handler)
