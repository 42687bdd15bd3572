"""``synapse-vault login``."""

import click

from .connection import Connection
from .output import hand_over, show
from .token_origin import explained
from .verb import json_option, pass_connection, user_argument


@click.command(short_help="Log a user in and print the access token.")
@user_argument
@click.option("--device-id", metavar="ID", help="Device to log in as; a new one if not given.")
@click.option("--device-name", metavar="NAME", help="Name of a new device.")
@click.option("--logout-others", is_flag=True, help="End all other sessions of the user.")
@json_option
@pass_connection
def login(
    connection: Connection,
    user: str,
    device_id: str | None,
    device_name: str | None,
    logout_others: bool,
) -> None:
    """Log a user in with the secret in Vault, and print the access token."""
    with connection.open() as provisioner:
        with explained(connection, user):
            result = provisioner.login(
                user, device_id=device_id, device_name=device_name, logout_others=logout_others
            )
        hand_over(
            provisioner,
            result.access_token,
            lambda: show(result.as_dict(), as_json=connection.as_json),
        )
