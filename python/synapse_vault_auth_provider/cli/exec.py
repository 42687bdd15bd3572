"""``synapse-vault exec``."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import click

from ..provisioning import ProvisioningError
from .child import Signals
from .exec_lease import run_with_lease
from .exec_token import Renewal, TokenFile
from .failure import report
from .output import printable
from .token_origin import explained
from .verb import pass_connection, user_argument

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future
    from pathlib import Path

    from ..provisioning import Login, Provisioner
    from .connection import Connection

DEVICE_NAME = "synapse-vault exec"

KEPT_BACK = ("VAULT_TOKEN", "BAO_TOKEN")
"""Variables that the command does not get, besides all of ours: they would open more than the one
account."""

NOT_SENT = frozenset({signal.SIGKILL, signal.SIGSTOP})
"""Signals that no command can handle."""


def _number_of(_: click.Context, __: click.Parameter, name: str | None) -> signal.Signals | None:
    """Return the signal that is called so, with or without `SIG`."""
    if name is None:
        return None
    number = signal.Signals.__members__.get(f"SIG{name.upper().removeprefix('SIG')}")
    if number is None or number in NOT_SENT:
        raise click.BadParameter(f"{printable(name)} is no signal that a command can handle.")
    return number


@click.command(
    "exec",
    short_help="Run a command that is logged in as a user.",
    context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True},
)
@click.option(
    "--signal", "number", metavar="SIGNAL", callback=_number_of, envvar="SYNAPSE_VAULT_EXEC_SIGNAL",
    help="Signal for the command after each new token, such as HUP or USR1; none if not given.",
)  # fmt: skip
@click.option(
    "--lease",
    "by_lease",
    is_flag=True,
    help="Take the token from the secrets engine (--engine), renew its lease while the command "
    "runs, and revoke it afterwards.",
)
@user_argument
@click.argument("command", metavar="-- COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@pass_connection
def exec_(
    connection: Connection,
    number: signal.Signals | None,
    by_lease: bool,
    user: str,
    command: tuple[str, ...],
) -> int:
    """Run a command that is logged in as a user for as long as it runs.

    The command gets MATRIX_ACCESS_TOKEN, MATRIX_ACCESS_TOKEN_FILE, MATRIX_USER_ID,
    MATRIX_DEVICE_ID and MATRIX_HOMESERVER in its environment. It does not get Vault's token or any
    other variable SYNAPSE_VAULT_*. If the homeserver ends tokens, the file always holds one that
    works, for the same device. Signals are passed on to the command. The exit code is that of the
    command. It is 127 if the command is not found, 126 if it cannot be run, and 128 plus the
    signal's number if a signal ended it.

    With --lease, the command is stopped with SIGTERM before its lease ends, and the exit code is
    75. Start it again to get the next lease.
    """
    if command[0] == "--":
        command = command[1:]
    if not command:
        raise click.UsageError("Give the command to run.")
    if by_lease:
        if number is not None:
            raise click.UsageError(
                "--signal has no meaning with --lease: the token stays the same."
            )
        if connection.engine is None:
            raise click.UsageError("--lease needs --engine, the mount of the secrets engine.")
        return run_with_lease(connection, user, command, _environment)
    # From here on signals wait until there is a command to pass them to, or a session to end.
    with Signals() as signals, connection.open() as provisioner, ThreadPoolExecutor(1) as thread:

        def log_in(device_id: str | None = None) -> Future[Login]:
            return thread.submit(
                provisioner.login, user, device_id=device_id, device_name=DEVICE_NAME
            )

        logging_in = log_in()
        signals.wait_for(logging_in)
        if signals.ended_by and logging_in.exception():
            return signals.ended_by
        with explained(connection, user):
            login = logging_in.result()
        renewal = Renewal(connection, login, log_in, number)
        try:
            homeserver = provisioner.homeserver
            if homeserver.startswith("unix:"):
                # Few clients know sockets; the public address is for all.
                homeserver = connection.synapse.public_url or homeserver
            with TokenFile() as file:
                renewal.keep_in(file)
                told = {
                    "MATRIX_ACCESS_TOKEN": login.access_token,
                    "MATRIX_DEVICE_ID": login.device_id,
                    "MATRIX_HOMESERVER": homeserver,
                    "MATRIX_USER_ID": login.matrix_user_id,
                }
                environment = _environment(told, file.path)
                code = signals.ended_by or signals.run(command, environment, renewal)
        finally:
            if renewal.under_way is not None:
                # It may open the session that is to be ended.
                signals.wait_for(renewal.under_way)
            is_logged_out = _log_out(provisioner, renewal.newest())
    return code or (0 if is_logged_out else 1)


def _environment(told: Mapping[str, str], token_file: Path) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SYNAPSE_VAULT_") and name not in KEPT_BACK
    }
    return kept | {**told, "MATRIX_ACCESS_TOKEN_FILE": str(token_file)}


def _log_out(provisioner: Provisioner, login: Login) -> bool:
    """End the session and whatever else its device has, and tell whether that worked."""
    try:
        provisioner.logout(login.access_token)
    except ProvisioningError as error:
        report(error, f"cannot log {login.matrix_user_id} out")
        return False
    return True
