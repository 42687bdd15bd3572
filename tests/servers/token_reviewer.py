"""The one part of a Kubernetes cluster that Vault asks: who has a service account's token.

API: https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class TokenReviewer:
    """Knows the tokens in `service_accounts` and whose they are, as `namespace:name`."""

    def __init__(self) -> None:
        self.service_accounts: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> TokenReviewer:
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def review(self, token: str) -> dict[str, object]:
        """Return the status of a token."""
        account = self.service_accounts.get(token)
        if account is None:
            return {"authenticated": False, "error": "no such token"}
        user = {"username": f"system:serviceaccount:{account}", "uid": "u"}
        return {"authenticated": True, "user": user}


def _handler(reviewer: TokenReviewer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            review["status"] = reviewer.review(review["spec"]["token"])
            body = json.dumps(review).encode()
            self.send_response(201)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
