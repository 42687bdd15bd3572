"""Starts programs of Synapse by forking, as most of a start is the import of Synapse.

``python forking.py`` imports Synapse once and then forks for each line that comes on its standard
input: JSON with the program's module and arguments, its environment, the directory it runs in, and
the file for what it writes. The answer is a line with the process id. What is forked goes on as
``python -m`` would, and imports our module itself. Its parent is whoever adopts orphans.

Synapse has `synapse.app.complement_fork_starter` for the same reason. As there, the reactor is made
in what is forked: its descriptors must not be shared.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import sys
import time
from typing import Any

IMPORTED = ("synapse.app.homeserver", "synapse.app.generic_worker")


def main() -> None:
    """Fork until there is no more input; in what is forked, run the program."""
    # The modules beside this one are not to be found in place of others.
    del sys.path[0]
    starter = importlib.import_module("synapse.app.complement_fork_starter")
    reactor = starter.ProxiedReactor()
    starter.installReactor(reactor)
    for name in IMPORTED:
        importlib.import_module(name)
    # What is here stays: who is forked need not look for garbage in it, and copy it by that.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        wanted = json.loads(line)
        process_id = fork_orphan()
        if process_id == 0:
            take_over(wanted)
            epoll = importlib.import_module("twisted.internet.epollreactor")
            reactor._install_real_reactor(epoll.EPollReactor())
            # It is to run as the program, not as a module that was imported.
            sys.modules.pop(wanted["program"], None)
            runpy.run_module(wanted["program"], run_name="__main__", alter_sys=True)
            return
        sys.stdout.write(f"{process_id}\n")
        sys.stdout.flush()


def fork_orphan() -> int:
    """Fork a process whose parent ends at once; return its id, and zero in it."""
    read, write = os.pipe()
    parent = os.fork()
    if parent == 0:
        child = os.fork()
        if child:
            os.write(write, b"%d" % child)
            os._exit(0)
        os.close(read)
        os.close(write)
        return 0
    os.close(write)
    os.waitpid(parent, 0)
    with os.fdopen(read, "rb") as answer:
        return int(answer.read())


def take_over(wanted: dict[str, Any]) -> None:
    """Become what was asked for in all that a process gets from whoever starts it."""
    os.setsid()
    os.chdir(wanted["directory"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    time.tzset()
    sys.path.insert(0, wanted["directory"])
    sys.argv = [wanted["program"], *wanted["arguments"]]
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(wanted["output"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for descriptor, place in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, place)
    os.close(nothing)
    os.close(output)


if __name__ == "__main__":
    main()
