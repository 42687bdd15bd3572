"""A stand-in for Matrix Authentication Service (MAS), in a process of its own.

Run by ``python -m benches.mas_stand_in``, so that it takes no time from those who measure. It says
on its standard output who it is, and takes orders on its standard input, both in JSON: where the
homeserver is, and which users there are to be.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.servers import Mas
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.servers import Synapse


class MasStandIn:
    """The process, which ends with `stop`."""

    def __init__(self) -> None:
        """Start the process and wait until it listens."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benches.mas_stand_in"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[1])},
        )
        told = self._answer()
        self.port: int = told["port"]
        self.settings: dict[str, str] = told["settings"]
        """The module's key `mas` that leads there."""
        self.homeserver_yaml: dict[str, Any] = told["homeserver_yaml"]
        """What Synapse's configuration must say."""

    def introduce(self, synapse: Synapse, localparts: Sequence[str]) -> None:
        """Tell it where the homeserver is, and have it make users there."""
        assert self._process.stdin is not None  # noqa: S101
        order = {"homeserver": synapse.url, "users": list(localparts)}
        print(json.dumps(order), file=self._process.stdin, flush=True)
        self._answer()

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the stand-in for MAS has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


def main() -> None:
    """Listen until the process is ended."""
    mas = Mas(SERVER_NAME).start()
    told = {
        "port": int(mas.port),
        "settings": mas.settings,
        "homeserver_yaml": mas.homeserver_yaml,
    }
    print(json.dumps(told), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        mas.homeserver.url = order["homeserver"]
        for localpart in order["users"]:
            mas.add_user(localpart)
        print("{}", flush=True)


if __name__ == "__main__":
    main()
