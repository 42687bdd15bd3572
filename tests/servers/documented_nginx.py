"""nginx with an example of the manual, and real ports in place of the ones there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .nginx import ConfiguredNginx
from .port import ReservedPort

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


class DocumentedNginx(ConfiguredNginx):
    """Does what an example says, without TLS."""

    def __init__(
        self, directory: Path, example: str, upstreams: Mapping[str, Iterable[int]]
    ) -> None:
        """Write the configuration.

        Args:
            directory: For all files of the server.
            example: The text of the manual.
            upstreams: For each group of servers that it names, the ports of those that there are.
        """
        port = ReservedPort()
        text, count = re.subn(r"listen 443 ssl;", f"listen 127.0.0.1:{port};", example)
        assert count == 1
        text = re.sub(r"^ *(?:listen \[::\]:443 ssl|ssl_\w+ .*);\n", "", text, flags=re.MULTILINE)
        for name, ports in upstreams.items():
            servers = "\n".join(f"server 127.0.0.1:{one};" for one in ports)
            text, count = re.subn(
                rf"^upstream {name} {{\n[^}}]*}}",
                f"upstream {name} {{\n{servers}\n}}",
                text,
                flags=re.MULTILINE,
            )
            assert count == 1, name
        super().__init__(directory, port, text)
