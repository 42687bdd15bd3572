"""``synapse-vault list``."""

import click

from .connection import Connection
from .output import show_one_of_many
from .verb import json_option, pass_connection


@click.command("list")
@json_option
@pass_connection
def list_(connection: Connection) -> None:
    """List the users that have an entry in Vault.

    Prints for each user the state of the entry and the external id, or a dash if there is none. The
    state is "ready"; "unfinished" if provisioning was interrupted, so run it again; or "unusable"
    if nobody can log in with the entry.
    """
    with connection.open() as provisioner:
        for user in provisioner.list_users():
            show_one_of_many(
                user.as_dict(),
                (user.matrix_user_id, user.state, user.external_id),
                as_json=connection.as_json,
            )
