"""Programs that get signals, which need a process of their own: ``programs.py NAME ...``."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from synapse_vault_auth_provider.cli.bulk.rows import Record, Row
from synapse_vault_auth_provider.cli.bulk.shutdown_signals import ShutdownSignals
from synapse_vault_auth_provider.cli.bulk.worker_pool import Run
from synapse_vault_auth_provider.cli.child import Signals
from synapse_vault_auth_provider.provisioning import ProvisioningError


def run_child(*command: str) -> int:
    """Run a command in our place, after a login that ends at once."""
    with Signals() as signals, ThreadPoolExecutor(1) as thread:
        signals.wait_for(thread.submit(int))
        # Threads of ours are none that a signal could end us through.
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        return signals.run(command, {**os.environ, "GIVEN": "to the child"})


def log_in_and_out(*command: str) -> int:
    """Run a command after a login that takes until standard input ends."""

    def log_in() -> None:
        say("logging in")
        sys.stdin.read()

    with Signals() as signals, ThreadPoolExecutor(1) as thread:
        signals.wait_for(thread.submit(log_in))
        code = signals.ended_by or signals.run(command, os.environ)
        say("logged out")
        return code


def provision_until_stopped() -> int:
    """Provision users that end with standard input."""

    class Ledger:
        wants_more = True

        def done(self, row: Row, result: str) -> None:  # noqa: ARG002 (the listener's form)
            say(f"done {result}")

        def failed(self, row: Row, error: ProvisioningError) -> None: ...

        def left(self, row: Row) -> None:
            say(f"left {row.matrix_user_id}")

    def provision(row: Row) -> str:
        say(f"begun {row.matrix_user_id}")
        sys.stdin.read()
        return row.matrix_user_id

    rows = (Row(Record(1, {}), user, {}) for user in "ab")
    with ShutdownSignals() as signals:
        end = Run(provision, 1, Ledger(), signals).over(rows)
    say(f"threads left: {end.threads_left}")
    os._exit(128 + (signals.signal or 0))


def say(text: str) -> None:
    """Write a line at once, from any thread."""
    os.write(1, f"{text}\n".encode())


PROGRAMS: dict[str, Callable[..., int]] = {
    program.__name__: program for program in (run_child, log_in_and_out, provision_until_stopped)
}

if __name__ == "__main__":
    if os.environ.get("IGNORE_SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    sys.exit(PROGRAMS[sys.argv[1]](*sys.argv[2:]))
