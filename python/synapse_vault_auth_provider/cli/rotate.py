"""``synapse-vault rotate``."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import click

from .connection import Connection
from .output import Table
from .verb import for_each, json_option, pass_connection, users_argument


@click.command()
@users_argument
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@json_option
@pass_connection
def rotate(connection: Connection, users: tuple[str, ...], dry_run: bool) -> int:
    """Give users new secrets in Vault.

    The old secrets no longer work, unless the module's configuration has a rotation_grace or a
    cache. That configuration is read with -c. Open sessions stay open. Prints for each user the
    version of the secret, when it was written, and until when the old one may work. stale_if_error
    can extend this during an outage.
    """
    lives = connection.former_secret_lives
    lives_in_cache = connection.cached_secret_lives
    table = Table("USER", "VERSION", "WRITTEN", "FORMER VALID UNTIL", as_json=connection.as_json)
    table.expect([(user,) for user in users])
    with connection.open() as provisioner:

        def rotate_one(user: str) -> None:
            result = provisioner.rotate_secret(user, dry_run=dry_run)
            valid_until = former_valid_until(
                result.created_time, lives if result.former_kept else lives_in_cache
            )
            table.add(
                {**result.as_dict(), "former_valid_until": valid_until},
                (result.matrix_user_id, result.version, result.created_time, valid_until),
            )

        return for_each(connection, users, rotate_one)


def former_valid_until(created_time: str | None, lives: timedelta | None) -> str | None:
    """Return when the secret before a new one stops working, to the second, by Vault's clock.

    Args:
        created_time: When the new one was written, as of RFC 3339 in UTC; `None` if it was not.
        lives: How long the module may accept the one before, if that is known.
    """
    if lives is None or created_time is None:
        return None
    created = datetime.strptime(created_time[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return (created + lives).strftime("%Y-%m-%dT%H:%M:%SZ")
