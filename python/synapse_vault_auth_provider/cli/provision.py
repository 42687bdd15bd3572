"""``synapse-vault provision``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .bulk.command import provision_all
from .bulk.dry_run import show_plan
from .output import hand_over, show
from .token_origin import explained
from .verb import json_option, pass_connection

if TYPE_CHECKING:
    from .connection import Connection

OF_ONE_USER = (
    "display_name",
    "avatar",
    "is_admin",
    "user_type",
    "external_id",
    "adopt",
    "reset_cross_signing",
)
OF_A_FILE = ("workers", "failed_to", "dry_run")


@click.command(short_help="Create accounts whose secrets are in Vault.")
@click.argument("user", metavar="[USER]", required=False)
@click.option(
    "--from",
    "source",
    metavar="FILE|-",
    help="Provision all users in a file, or standard input (-): CSV with a header, or JSON lines.",
)
@click.option("--display-name", metavar="NAME", help="Name that others see.")
@click.option("--avatar", metavar="FILE|MXC", help="Picture: a file, or an mxc:// address.")
@click.option(
    "--admin",
    "is_admin",
    is_flag=True,
    allow_from_autoenv=False,
    help="Make the user an administrator.",
)
@click.option(
    "--user-type",
    metavar="TYPE",
    help="Synapse's type of user, such as bot. "
    "Not with Matrix Authentication Service, which has no types.",
)
@click.option(
    "--external-id",
    metavar="ID",
    help="Your own id of the user. An account with another id is refused.",
)
@click.option(
    "--adopt",
    is_flag=True,
    allow_from_autoenv=False,
    help="Take over an account that exists and has no secret in Vault.",
)
@click.option(
    "--reset-cross-signing",
    is_flag=True,
    allow_from_autoenv=False,
    help="Let the user replace lost cross-signing keys for ten minutes, where Matrix "
    "Authentication Service signs users in. Its secret is read with -c.",
)
@click.option(
    "--with-token/--no-token",
    "with_token",
    default=None,
    help="Whether to log in and print the access token. The default is yes for one user and no "
    "for a file: Synapse's default rate limit allows few logins.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=8,
    show_default=True,
    help="How many users of a file are provisioned at a time.",
)
@click.option(
    "--failed-to",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where to write the rows that failed, so that they can be imported again. The default is "
    "the file's name with .failed at its end; for standard input, provision.failed.csv or .jsonl.",
)
@click.option(
    "--dry-run", is_flag=True, help="Check a file and print what would be done for each user."
)
@json_option
@pass_connection
def provision(
    connection: Connection,
    /,
    user: str | None,
    source: str | None,
    with_token: bool | None,
    workers: int,
    failed_to: Path | None,
    dry_run: bool,
    reset_cross_signing: bool,
    **arguments: Any,
) -> int:
    """Create accounts whose secrets are in Vault, or finish what an earlier run left.

    An account that exists already is not an error, so you can run this again. With --from, all
    rows are checked before anything is done. The columns are user_id, display_name, avatar, admin,
    user_type, external_id and adopt. Only the first is required.
    """
    if (user is None) == (source is None):
        raise click.UsageError("Give either a user or --from FILE.")
    _refuse(OF_A_FILE if source is None else OF_ONE_USER, "with" if source else "without")
    if source is not None and dry_run:
        return show_plan(connection, source)
    if source is not None:
        return provision_all(
            connection, source, workers=workers, failed_to=failed_to, with_token=bool(with_token)
        )
    with connection.open(with_mas_secret=reset_cross_signing) as provisioner:
        with explained(connection):
            result = provisioner.provision_user(
                user or "",
                with_token=with_token is not False,
                reset_cross_signing=reset_cross_signing,
                **arguments,
            )
        hand_over(
            provisioner,
            result.access_token,
            lambda: show(result.as_dict(), as_json=connection.as_json),
        )
    return 0


def _refuse(names: tuple[str, ...], where: str) -> None:
    """Refuse options that would have no effect, unless the environment gives them always."""
    context = click.get_current_context()
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "")
        if parameter.name in names and given is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{parameter.opts[0]} is not possible {where} --from.")
