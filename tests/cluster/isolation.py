"""Namespaces of Linux for a run: its network, its mounts and its processes are its own.

They end with the run, however it ends: processes are killed, file systems unmounted, networks gone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

_INSIDE = "TESTS_CLUSTER_IS_INSIDE"
"""An environment variable that is set once the run has its namespaces."""

_PROGRAMS = ("unshare", "ip", "nft", "mount")

_UNSHARE = ["unshare", "--net", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"]


def missing() -> str | None:
    """Return why a run cannot have namespaces of its own; `None` if it can."""
    if sys.platform != "linux":
        return "this is not Linux"
    if os.geteuid() != 0:
        return "this is not root"
    absent = [program for program in _PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"there is no {', no '.join(absent)}"
    # A container may be denied what root may do elsewhere.
    tried = subprocess.run([*_UNSHARE, "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip() if tried.returncode != 0 else None


def is_inside() -> bool:
    """Tell whether this process is in namespaces of its own."""
    return _INSIDE in os.environ


def enter() -> None:
    """Start this program again in namespaces of its own, in the place of this process."""
    command = [*_UNSHARE, "--", sys.executable, "-m", "tests.cluster", *sys.argv[1:]]
    os.execvpe(command[0], command, {**os.environ, _INSIDE: "1"})  # noqa: S606


def set_up() -> None:
    """Make the new network usable; it has nothing but a loopback interface that is down."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
