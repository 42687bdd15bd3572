"""`make test-cluster`: logins at a whole deployment while one fault after the other hits it."""

from __future__ import annotations

import argparse
import logging
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.harness.confidential import Confidential
from tests.servers.network import Network

from . import isolation, report
from .deployment import Deployment
from .faults import FAULTS
from .run import run

ROTATION_GRACE = 10.0
"""Short, so that its end is within the run; in seconds."""


def main() -> int:
    """Run what the command line says and return the exit code."""
    arguments = _arguments()
    why_not = None if isolation.is_inside() else isolation.missing()
    if why_not is None and not isolation.is_inside():
        isolation.enter()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    # The client tells of every refusal.
    logging.getLogger("nio").setLevel(logging.CRITICAL)
    # Shells start what runs in the background with this one ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return _run(arguments, why_not)
    except KeyboardInterrupt:
        return 130


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make test-cluster", description=__doc__)
    names = [fault.name for fault in FAULTS]
    parser.add_argument("--seconds", type=float, default=90, help="the least time (%(default)s)")
    parser.add_argument("--users", type=int, default=200, help="how many log in (%(default)s)")
    parser.add_argument(
        "--interval", type=float, default=10, help="seconds between a user's logins (%(default)s)"
    )
    parser.add_argument("--faults", nargs="*", choices=names, default=names, help="which ones")
    parser.add_argument("--keep", type=Path, help="where to leave the servers' files and logs")
    parser.add_argument(
        "--publish", action="store_true", help="put the figures into docs/reliability.md"
    )
    return parser.parse_args()


def _run(arguments: argparse.Namespace, why_not: str | None) -> int:
    wanted = [fault for fault in FAULTS if fault.name in arguments.faults]
    possible = [fault for fault in wanted if why_not is None or not fault.needs_namespaces]
    left_out = {
        fault.what: f"it needs namespaces, and {why_not}"
        for fault in wanted
        if fault not in possible
    }
    for what, why in left_out.items():
        _say(f"NOT TRIED: {what}: {why}")
    confidential = Confidential()
    with ExitStack() as stack:
        network = None
        if why_not is None:
            isolation.set_up()
            network = Network()
        directory = Path(tempfile.mkdtemp(prefix="synapse-vault-cluster-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        # PostgreSQL, which does not run as root, must get through.
        directory.chmod(0o711)
        if arguments.keep:
            stack.callback(shutil.copytree, directory, arguments.keep, dirs_exist_ok=True)
        _say("Starting Vault, PostgreSQL, Redis, Synapse with two workers, and nginx ...")
        deployment = Deployment(
            directory,
            confidential,
            users=arguments.users,
            rotation_grace=ROTATION_GRACE,
            from_debian=True,
            network=network,
        )
        with deployment:
            results = run(
                deployment,
                possible,
                left_out,
                seconds=arguments.seconds,
                interval=arguments.interval,
            )
        deployment.check_logs()
    if arguments.publish:
        results.write()
        report.write(results)
        from . import drawing

        drawing.draw(results)
    _say(report.render(results))
    for lost in results.lost:
        _say(f"LOST: {lost}")
    logins = results.all_logins
    return 1 if logins.lost or logins.let_in_wrongly or logins.unanswered else 0


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
