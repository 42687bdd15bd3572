"""Keeps an eye on a server that goes into the background: ``background.py PID_FILE COMMAND...``.

It stays for as long as the server does and ends with its exit code, which nobody would see
otherwise. SIGTERM is handed on to the process that the server's file names.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
"""See prctl(2): orphans among the descendants become children of this process."""


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError("this system does not tell how orphans end")


def run(pid_file: Path, command: list[str]) -> int:
    """Run the command and return how it ended in front, if badly, or else in the background."""
    adopt_orphans()
    in_front = subprocess.call(command)
    if in_front != 0:
        return in_front
    signal.signal(signal.SIGTERM, lambda *_: os.kill(int(pid_file.read_text()), signal.SIGTERM))
    _, status = os.wait()
    with suppress(ChildProcessError):
        os.wait()
        raise RuntimeError("the server left a process behind")
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), sys.argv[2:]))
