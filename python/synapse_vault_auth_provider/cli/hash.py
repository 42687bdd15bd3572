"""``synapse-vault hash``."""

import sys

import click

from .._core import token_hash
from .connection import Connection
from .failure import CommandError
from .output import show, warn
from .user_id import whole_user_id
from .verb import json_option, pass_connection, user_argument


@click.command("hash")
@user_argument
@json_option
@pass_connection
def hash_(connection: Connection, user: str) -> None:
    """Print the token hash that logs a user in.

    The secret is read from standard input, or from a prompt that does not show it. A line break at
    its end is part of the secret. Neither Vault nor the homeserver is asked.
    """
    # A whole id may be of any homeserver: none is asked.
    why = "the whole user id is hashed"
    user_id = whole_user_id(user, connection.server_name, why=why, of_any=True)
    digest = token_hash(_login_secret(), user_id)
    if connection.as_json:
        show({"matrix_user_id": user_id, "token_hash": digest}, as_json=True)
    else:
        click.echo(digest)


def _login_secret() -> str:
    if sys.stdin is None:
        raise CommandError("there is no standard input to read the secret from")
    if sys.stdin.isatty():
        return str(click.prompt("Secret", hide_input=True, err=True))
    try:
        login_secret = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise CommandError("the secret on standard input is not UTF-8") from None
    if not login_secret:
        raise CommandError("the secret on standard input is empty")
    if login_secret.endswith("\n"):
        warn("the secret ends with a line break, which is hashed with it")
    return login_secret
