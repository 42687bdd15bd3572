"""wrk, which asks a server over and over: the most that its answers allow, to compare with.

See https://github.com/wg/wrk. It is a program of its own, as a client in Python would be slower
than what it measures.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FETCHED = Path(__file__).parents[1] / "target" / "wrk" / "wrk"
"""Where `make wrk` puts Debian's package."""

MICROSECONDS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6, "h": 3600e6}
"""The units in which wrk writes times."""


def wrk_command() -> Path:
    """Return the path of `wrk`.

    Raises:
        RuntimeError: It is not here.
    """
    found = shutil.which("wrk") or shutil.which(FETCHED)
    if found is None:
        raise RuntimeError("there is no wrk: run make wrk")
    return Path(found)


@dataclass(frozen=True)
class Answered:
    """How a server kept up."""

    requests_per_second: float
    median_latency: float
    """Half of the answers came within so many microseconds."""


class Wrk:
    """Asks for one URL."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        connections: int,
        threads: int = 1,
    ) -> None:
        """Choose what is asked for.

        Args:
            url: What to GET.
            headers: Sent with each request.
            connections: How many requests are under way at the same time.
            threads: How many threads of wrk's share the connections.
        """
        self.command = [
            str(wrk_command()),
            *("--connections", str(connections), "--threads", str(threads), "--latency"),
        ]
        for name, value in (headers or {}).items():
            self.command += ["--header", f"{name}: {value}"]
        self.url = url

    def run(self, seconds: int) -> Answered:
        """Ask for so long.

        Raises:
            RuntimeError: Not all requests were answered well.
        """
        result = subprocess.run(
            [*self.command, "--duration", f"{seconds}s", self.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        # The command has a token in it, so it is not for the error.
        if result.returncode != 0:
            raise RuntimeError(f"wrk ended with {result.returncode}: {result.stdout}")
        return parse(result.stdout)


def parse(output: str) -> Answered:
    """Read what wrk has printed.

    Raises:
        RuntimeError: Not all requests were answered, or not with a status below 400.
    """
    bad = re.search(r"^ *(?:Socket errors|Non-2xx or 3xx responses): .+$", output, re.MULTILINE)
    rate = re.search(r"^Requests/sec: +([\d.]+)$", output, re.MULTILINE)
    latency = re.search(r"^ +50% +([\d.]+)(us|ms|s|m|h)$", output, re.MULTILINE)
    if bad or rate is None or latency is None or float(rate[1]) == 0:
        raise RuntimeError(f"wrk was not answered well:\n{output}")
    return Answered(float(rate[1]), float(latency[1]) * MICROSECONDS[latency[2]])
