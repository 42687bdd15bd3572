"""``synapse-vault profile``."""

import click

from .connection import Connection
from .output import show
from .token_origin import explained
from .verb import json_option, pass_connection, user_argument


@click.command(short_help="Set a user's display name or avatar.")
@user_argument
@click.option("--display-name", metavar="NAME", help="Name that others see.")
@click.option("--avatar", metavar="FILE|MXC", help="Picture: a file, or an mxc:// address.")
@json_option
@pass_connection
def profile(
    connection: Connection, user: str, display_name: str | None, avatar: str | None
) -> None:
    """Set a user's display name or avatar, and print what was set."""
    if display_name is None and avatar is None:
        raise click.UsageError("Give --display-name, --avatar or both.")
    with connection.open() as provisioner, explained(connection, user):
        result = provisioner.update_profile(user, display_name=display_name, avatar=avatar)
    show(result.as_dict(), as_json=connection.as_json)
