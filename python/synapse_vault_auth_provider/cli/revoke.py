"""``synapse-vault revoke``."""

import sys

import click

from ..provisioning import RevokedUser
from .connection import Connection
from .failure import CommandError
from .output import show_one_of_many
from .verb import for_each, json_option, pass_connection, users_argument


@click.command(short_help="Remove users' secrets and end their sessions.")
@users_argument
@click.option("--deactivate", is_flag=True, help="Deactivate the accounts too, for good.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation on a terminal.")
@json_option
@pass_connection
def revoke(connection: Connection, users: tuple[str, ...], deactivate: bool, yes: bool) -> int:
    """Remove users' secrets from Vault and end their sessions.

    Prints for each user what was done.
    """
    if not yes and sys.stdin is not None and sys.stdin.isatty():
        _confirm(users, deactivate)
    with connection.open() as provisioner:

        def revoke_one(user: str) -> None:
            result = provisioner.revoke_user(user, deactivate=deactivate)
            show_one_of_many(
                result.as_dict(),
                (result.matrix_user_id, ", ".join(_done(result)) or "nothing to do"),
                as_json=connection.as_json,
            )

        return for_each(users, revoke_one)


def _confirm(users: tuple[str, ...], deactivate: bool) -> None:
    what = "Remove the secret and end all sessions"
    if deactivate:
        what = "Deactivate the account for good, remove the secret and end all sessions"
    whose = users[0] if len(users) == 1 else f"{len(users)} users"
    if not click.confirm(f"{what} of {whose}?", err=True):
        raise CommandError("nothing was done")


def _done(result: RevokedUser) -> list[str]:
    done = {
        "secret removed": result.secret_removed,
        "sessions ended": result.sessions_ended,
        "deactivated": result.deactivated,
    }
    return [name for name, is_done in done.items() if is_done]
