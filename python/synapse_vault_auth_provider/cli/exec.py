"""``synapse-vault exec``."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import click

from ..provisioning import ProvisioningError
from .child import Signals
from .failure import report
from .token_origin import explained
from .verb import pass_connection, user_argument

if TYPE_CHECKING:
    from ..provisioning import Login, Provisioner
    from .connection import Connection

DEVICE_NAME = "synapse-vault exec"

KEPT_BACK = ("VAULT_TOKEN", "BAO_TOKEN")
"""Variables that the command does not get, besides all of ours: they would open more than the one
account."""


@click.command(
    "exec",
    short_help="Run a command that is logged in as a user.",
    context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True},
)
@user_argument
@click.argument("command", metavar="-- COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@pass_connection
def exec_(connection: Connection, user: str, command: tuple[str, ...]) -> int:
    """Run a command that is logged in as a user for as long as it runs.

    The command gets MATRIX_ACCESS_TOKEN, MATRIX_USER_ID, MATRIX_DEVICE_ID and MATRIX_HOMESERVER in
    its environment. It does not get Vault's token or any other variable SYNAPSE_VAULT_*. Signals
    are passed on to it. The exit code is that of the command: 127 if it is not found, 126 if it
    cannot be run, 128 and the signal's number if a signal ended it.
    """
    if command[0] == "--":
        command = command[1:]
    if not command:
        raise click.UsageError("Give the command to run.")
    # From here on signals wait until there is a command to pass them to, or a session to end.
    with Signals() as signals, connection.open() as provisioner:
        with ThreadPoolExecutor(1) as thread:
            logging_in = thread.submit(provisioner.login, user, device_name=DEVICE_NAME)
            signals.wait_for(logging_in)
        if signals.ended_by and logging_in.exception():
            return signals.ended_by
        with explained(connection, user):
            login = logging_in.result()
        try:
            homeserver = provisioner.homeserver
            if homeserver.startswith("unix:"):
                # Few clients know sockets; the public address is for all.
                homeserver = connection.synapse.public_url or homeserver
            environment = _environment(login, homeserver)
            code = signals.ended_by or signals.run(command, environment)
        finally:
            is_logged_out = _log_out(provisioner, login)
    return code or (0 if is_logged_out else 1)


def _environment(login: Login, homeserver: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SYNAPSE_VAULT_") and name not in KEPT_BACK
    }
    return kept | {
        "MATRIX_ACCESS_TOKEN": login.access_token,
        "MATRIX_DEVICE_ID": login.device_id,
        "MATRIX_HOMESERVER": homeserver,
        "MATRIX_USER_ID": login.matrix_user_id,
    }


def _log_out(provisioner: Provisioner, login: Login) -> bool:
    """End the session, and tell whether that worked."""
    try:
        provisioner.logout(login.access_token)
    except ProvisioningError as error:
        report(error, f"cannot log {login.matrix_user_id} out")
        return False
    return True
