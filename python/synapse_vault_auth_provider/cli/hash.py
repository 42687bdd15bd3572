"""``synapse-vault hash``."""

import sys

import click

from .. import token_hash
from .connection import Connection
from .failure import CommandError
from .output import show, warn
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
    user_id = _whole_id(user, connection)
    login_secret = _login_secret()
    try:
        digest = token_hash(login_secret, user_id)
    except UnicodeEncodeError:
        raise CommandError("the user id is no valid Unicode") from None
    if connection.as_json:
        show({"matrix_user_id": user_id, "token_hash": digest}, as_json=True)
    else:
        click.echo(digest)


def _whole_id(user: str, connection: Connection) -> str:
    if not user.startswith("@"):
        if connection.server_name is None:
            raise CommandError(
                "the server name is not known, and the whole user id is hashed",
                "Give the user as @name:server, or add --server-name.",
            )
        user = f"@{user}:{connection.server_name}"
    localpart, colon, server = user[1:].partition(":")
    if not (localpart and colon and server):
        raise CommandError("the user id must have the form @name:server")
    return user


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
