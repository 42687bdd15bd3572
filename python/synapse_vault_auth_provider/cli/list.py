"""``synapse-vault list``."""

import click

from .connection import Connection
from .output import Table
from .token_origin import explained
from .verb import json_option, pass_connection


@click.command("list")
@json_option
@pass_connection
def list_(connection: Connection) -> None:
    """List the users that have an entry in Vault.

    Prints for each user the state of the entry and the external id, or a dash if there is none. The
    state is "ready"; "unfinished" or "revoking" if provision or revoke was interrupted, so run it
    again; or "unusable" if nobody can log in with the entry.
    """
    with connection.open() as provisioner, explained(connection):
        users = provisioner.list_users()
    table = Table("USER", "STATE", "EXTERNAL ID", as_json=connection.as_json)
    rows = [(user.matrix_user_id, user.state, user.external_id) for user in users]
    table.expect(rows)
    for user, row in zip(users, rows, strict=True):
        table.add(user.as_dict(), row)
