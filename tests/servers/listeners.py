"""More listeners for OpenBao, as its configuration has them.

Reference: https://openbao.org/docs/configuration/listener/
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from .port import ReservedPort

if TYPE_CHECKING:
    from .pki import Authority


class TlsListener:
    """A port of 127.0.0.1 with a certificate of its own."""

    def __init__(self, certificate: Path, key: Path, *, clients: Authority | None = None) -> None:
        """Choose a port.

        Args:
            certificate: What it shows.
            key: Its key.
            clients: Who must have signed the certificates of those who connect.
        """
        self._port = ReservedPort()
        self.url = f"https://127.0.0.1:{self._port}"
        self.port = int(str(self._port))
        self.certificate = certificate
        options: dict[str, object] = {
            "address": f"127.0.0.1:{self._port}",
            "tls_cert_file": str(certificate),
            "tls_key_file": str(key),
        }
        if clients is not None:
            authorities = certificate.with_suffix(".clients")
            authorities.write_text(clients.certificate)
            options["tls_client_ca_file"] = str(authorities)
            options["tls_require_and_verify_client_cert"] = True
        self.config = _listener("tcp", options)


class UnixListener:
    """A Unix socket."""

    def __init__(self, path: Path) -> None:
        """Name the socket, which has a short path: some hundred bytes are the most."""
        self.url = f"unix://{path}"
        self.config = _listener("unix", {"address": str(path)})


def _listener(kind: str, options: dict[str, object]) -> str:
    lines = "".join(f"  {key} = {json.dumps(value)}\n" for key, value in options.items())
    return f'listener "{kind}" {{\n{lines}}}\n'
