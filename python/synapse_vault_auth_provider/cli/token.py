"""``synapse-vault token``."""

from __future__ import annotations

import click

from .connection import Connection
from .output import show
from .token_origin import explained
from .verb import json_option, pass_connection, user_argument

keep_in_option = click.option(
    "--keep-in",
    metavar="MOUNT/PATH",
    required=True,
    help="Entry of a KV engine of version 2, its mount first, as `vault kv get` takes it.",
)


@click.command(short_help="Keep an access token in Vault, and replace it in time.")
@user_argument
@keep_in_option
@click.option(
    "--renew-before",
    metavar="DURATION",
    help="Replace the token only if it ends within this time, such as 7d, or no longer works.",
)
@click.option(
    "--device-id", metavar="ID", help="Device of the first token; a new one if not given."
)
@click.option("--device-name", metavar="NAME", help="Name of a new device.")
@click.option(
    "--lifetime",
    metavar="DURATION",
    help="How long the token works, such as 30d, where Matrix Authentication Service signs users "
    "in; mas.session_lifetime of the module if not given.",
)
@click.option(
    "--overlap",
    metavar="DURATION",
    help="How long the earlier token goes on working there; 5m if not given. The command waits.",
)
@json_option
@pass_connection
def token(
    connection: Connection,
    user: str,
    keep_in: str,
    renew_before: str | None,
    device_id: str | None,
    device_name: str | None,
    lifetime: str | None,
    overlap: str | None,
) -> None:
    """Keep an access token in an entry of Vault, for a program that cannot log in.

    Logs the user in with the secret in Vault, and writes access_token, device_id, homeserver_url,
    expires_at and session_id into the entry. The token itself is printed nowhere. A token
    that is there already is replaced on the same device. With --renew-before, it is replaced only
    if that is due, so a timer can run this every day. Where Matrix Authentication Service signs
    users in, the command waits for five minutes and then ends the earlier token. If a run is
    interrupted, the next one finishes the work.
    """
    with connection.open() as provisioner:
        with explained(connection, user, keep_in=keep_in):
            result = provisioner.keep_token(
                user,
                keep_in,
                renew_before=renew_before,
                device_id=device_id,
                device_name=device_name,
                # The program may be on another machine. What is given is meant.
                homeserver_url=connection.homeserver or connection.synapse.public_url,
                lifetime=lifetime,
                overlap=overlap,
            )
        show(result.as_dict(), as_json=connection.as_json)
