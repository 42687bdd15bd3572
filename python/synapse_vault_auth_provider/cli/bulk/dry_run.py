"""What an import would do: asked of Vault, and changed nowhere."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from ..failure import CommandError
from ..output import Table
from ..token_origin import explained
from .checking import check_all
from .rows import Row
from .source import opened

if TYPE_CHECKING:
    from ...provisioning import ListedUser
    from ..connection import Connection

SAID = {
    "create": "would be created",
    "finish": "would be finished",
    "nothing": "already there",
    "fail": "would fail",
}
"""What is said of each action."""


def show_plan(connection: Connection, source: str) -> int:
    """Check all users in a file, and print what would be done for each.

    The homeserver is not asked: whether it has an account without an entry in Vault shows only
    when one is created.

    Args:
        connection: To Vault.
        source: The file's name, or a dash for standard input.

    Returns:
        The exit code.

    Raises:
        CommandError: Something is wrong with the file.
        ProvisioningError: Vault does not tell which users have entries.
    """
    with opened(source) as users, connection.open() as provisioner, explained(connection):
        check_all(users, provisioner.server_name)
        listed = {user.matrix_user_id: user for user in provisioner.list_users()}
        table = Table("USER", "WHAT WOULD BE DONE", as_json=connection.as_json)
        counts: Counter[str] = Counter()
        for row in users.rows(provisioner.server_name):
            if not isinstance(row, Row):
                raise CommandError(f"{users.name}:{row[0]}, and it was right when it was checked")
            action, why = _planned(row, listed.get(row.matrix_user_id))
            counts[action] += 1
            is_new_admin = bool(row.arguments["is_admin"]) and action == "create"
            said = f"{SAID[action]}{', as an administrator' if is_new_admin else ''}"
            if why is not None:
                said = f"{said}: {why}"
            table.add(
                {
                    "matrix_user_id": row.matrix_user_id,
                    "action": action,
                    "reason": why,
                    "is_admin": row.arguments["is_admin"],
                },
                (row.matrix_user_id, said),
            )
    summed = [f"{counts[action]} {said}" for action, said in SAID.items()]
    shown = [text for text in summed if not text.startswith("0 ")]
    click.echo(", ".join(shown) or "no users in the file", err=True)
    click.echo("nothing was done", err=True)
    return 1 if counts["fail"] else 0


def _planned(row: Row, entry: ListedUser | None) -> tuple[str, str | None]:
    """Return what would be done for a user with this entry in Vault, and why it would fail."""
    if entry is None:
        return "create", None
    if entry.state == "revoking":
        return "fail", "the user is being revoked"
    if entry.state == "unusable":
        return "fail", "the entry in Vault is of no use"
    kept, given = entry.external_id, row.arguments["external_id"]
    is_adopted = kept is None and row.arguments["adopt"]
    if kept == given or is_adopted:
        return ("nothing" if entry.state == "ready" else "finish"), None
    if kept is None:
        return "fail", "the entry in Vault has no external id, and adopt is not true"
    if given is None:
        return "fail", f"the entry in Vault has the external id {kept!r}, and the file has none"
    return "fail", f"the entry in Vault has the external id {kept!r}, and not {given!r}"
