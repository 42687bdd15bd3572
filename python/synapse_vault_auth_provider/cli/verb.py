"""What all verbs have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..provisioning import ProvisioningError
from .connection import Connection
from .failure import report
from .token_origin import explained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

pass_connection = click.make_pass_decorator(Connection)


def _print_json(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Connection).as_json = True


json_option = click.option(
    "--json", is_flag=True, expose_value=False, callback=_print_json, allow_from_autoenv=False,
    help="Print the result as JSON.",
)  # fmt: skip
"""The option of the whole command once more, behind the verb, where Vault's command has it."""

user_argument = click.argument("user", metavar="USER")
"""A user id, ``@alice:example.org``, or its localpart, ``alice``."""

users_argument = click.argument("users", metavar="USER...", nargs=-1, required=True)
"""The same, one or several."""


def accept_behind(verb: click.Command, options: Iterable[click.Parameter]) -> None:
    """Let options of the whole command stand behind the verb as well, where many write them.

    Args:
        verb: Its help does not repeat them.
        options: Those of the whole command. One that the verb has itself stays the verb's.
    """
    own = {name for parameter in verb.params for name in parameter.opts}
    for option in options:
        if isinstance(option, click.Option) and option.expose_value and not own & set(option.opts):
            verb.params.append(
                click.Option(
                    [option.name or "", *option.opts],
                    type=option.type,
                    is_flag=option.is_flag,
                    multiple=option.multiple,
                    default=None,
                    hidden=True,
                    expose_value=False,
                    allow_from_autoenv=False,
                    callback=_keep,
                )
            )


def _keep(context: click.Context, option: click.Parameter, value: Any) -> None:
    """Take the value of an option behind the verb as if it had stood before it."""
    if value not in (None, (), False):
        connection = context.ensure_object(Connection)
        name = option.name or ""
        if option.multiple:
            value = (*getattr(connection, name), *value)
        setattr(connection, name, value)


def for_each(connection: Connection, users: Sequence[str], do: Callable[[str], Any]) -> int:
    """Do something for each of several users, whatever happens to the others.

    Args:
        connection: What says where the token comes from.
        users: Their ids.
        do: What to do; it prints its result.

    Returns:
        The exit code.
    """

    def succeeds(user: str) -> bool:
        try:
            with explained(connection):
                do(user)
        except ProvisioningError as error:
            report(error, user if len(users) > 1 else None)
            return False
        return True

    outcomes = [succeeds(user) for user in users]
    return 0 if all(outcomes) else 1
