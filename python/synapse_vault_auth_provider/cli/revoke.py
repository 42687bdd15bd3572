"""``synapse-vault revoke``."""

import sys

import click

from ..provisioning import RevokedUser
from .connection import Connection
from .failure import CommandError
from .output import Table, warn
from .verb import for_each, json_option, pass_connection, users_argument


@click.command(short_help="Remove users' secrets and end their sessions.")
@users_argument
@click.option("--deactivate", is_flag=True, help="Deactivate the accounts too, for good.")
@click.option(
    "--wait",
    is_flag=True,
    help="Wait until no cached secret can open a session, and end all sessions then.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation on a terminal.")
@json_option
@pass_connection
def revoke(
    connection: Connection,
    users: tuple[str, ...],
    deactivate: bool,
    wait: bool,
    dry_run: bool,
    yes: bool,
) -> int:
    """Remove users' secrets from Vault and end their sessions.

    Prints for each user what was done. The exit code is not 0 while sessions may go on. Then run
    the command again, or use --wait.
    """
    if not yes and not dry_run and sys.stdin is not None and sys.stdin.isatty():
        _confirm(users, deactivate)
    unfinished: list[str] = []
    table = Table("USER", "DONE", as_json=connection.as_json)
    table.expect([(user,) for user in users])
    with connection.open() as provisioner:

        def revoke_one(user: str) -> None:
            result = provisioner.revoke_user(
                user, deactivate=deactivate, wait=wait, dry_run=dry_run
            )
            table.add(
                result.as_dict(),
                (result.matrix_user_id, ", ".join(_done(result)) or "nothing to do"),
            )
            if result.sessions_end_at and not dry_run:
                warn(
                    f"{result.matrix_user_id}: sessions may still be opened until "
                    f"{result.sessions_end_at}: run this again then, or use --wait"
                )
            is_done = result.sessions_ended and (result.deactivated or not deactivate)
            if not is_done and not dry_run:
                unfinished.append(user)

        return for_each(connection, users, revoke_one) or int(bool(unfinished))


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
