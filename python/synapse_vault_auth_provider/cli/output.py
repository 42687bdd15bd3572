"""Results on standard output, in JSON or in lines that `grep` and `cut` take apart."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING

import click

from ..provisioning import ProvisioningError
from .colour import painted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..provisioning import Provisioner


def printable(text: str) -> str:
    """Escape what would break the line or steer the terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def show(fields: Mapping[str, object], *, as_json: bool) -> None:
    """Print the one result of a command: as JSON, or a line for each field that has a value.

    Args:
        fields: What there is to know. `warnings` among it go to standard error as well.
        as_json: Whether to print JSON.
    """
    if as_json:
        show_json(fields)
    else:
        shown = {
            name: value
            for name, value in fields.items()
            if name != "warnings" and value is not None
        }
        width = max(map(len, shown), default=0)
        for name, value in shown.items():
            click.echo(f"{name:<{width}}  {_text(value)}")
    _warn_of(fields)


class Table:
    """Several results, each in one line: as JSON, or as columns with a tab between.

    On a terminal the columns have headers and are aligned, as far as the widths are known.
    """

    def __init__(self, *headers: str, as_json: bool) -> None:
        """Print nothing yet.

        Args:
            headers: What the columns have, for people.
            as_json: Whether to print JSON.
        """
        self._headers = headers
        self._as_json = as_json
        self._is_for_people = not as_json and sys.stdout is not None and sys.stdout.isatty()
        self._widths = [len(header) for header in headers]
        self._is_begun = False
        self._warnings: Counter[str] = Counter()

    def expect(self, rows: Iterable[Iterable[object]]) -> None:
        """Make the columns wide enough for rows that will be printed."""
        for row in rows:
            for column, value in enumerate(row):
                self._widths[column] = max(self._widths[column], len(_text(value)))

    def add(self, fields: Mapping[str, object], columns: Iterable[object]) -> None:
        """Print one result.

        Args:
            fields: What there is to know. `warnings` among it go to standard error as well: of
                those that are the same but for the user, the first.
            columns: What of it a line for people has; a dash stands for `None`.
        """
        if self._as_json:
            show_json(fields)
        elif self._is_for_people:
            if not self._is_begun:
                self._is_begun = True
                click.echo(painted(self._aligned(self._headers), "cyan"))
            click.echo(self._aligned(columns))
        else:
            click.echo("\t".join(map(_text, columns)))
        for warning, user in _warnings_of(fields):
            kind = warning.replace(user, "USER")
            self._warnings[kind] += 1
            if self._warnings[kind] == 1:
                warn(_about(user, warning))

    def sum_up_warnings(self) -> None:
        """Say how many more results each warning is about."""
        for kind, count in self._warnings.items():
            if count > 1:
                warn(f"the same of {count - 1} more: {kind}")

    def _aligned(self, columns: Iterable[object]) -> str:
        texts = [_text(value) for value in columns]
        padded = [f"{text:<{width}}" for text, width in zip(texts, self._widths, strict=False)]
        return "  ".join([*padded, *texts[len(padded) :]]).rstrip()


def show_json(value: object) -> None:
    """Print a value as JSON in one line, in ASCII, so that every terminal can take it."""
    click.echo(json.dumps(value))


def hand_over(provisioner: Provisioner, token: str | None, write: Callable[[], None]) -> None:
    """Write a result with the token of a new session; log out again if that does not work.

    Otherwise a session would be open that nobody knows.

    Args:
        provisioner: What logged in.
        token: The session's token, if there is one.
        write: Writes the result to standard output.

    Raises:
        OSError: The result could not be written.
    """
    try:
        write()
    except OSError:
        if token is not None:
            log_out(provisioner, token)
        raise


def log_out(provisioner: Provisioner, token: str) -> None:
    """End a session whose token could not be handed over; say if that does not work either."""
    try:
        provisioner.logout(token)
    except ProvisioningError as error:
        warn(f"a session that nobody knows stays open: {error.message}")


def warn(text: str) -> None:
    """Write a warning to standard error."""
    click.echo(f"{painted('warning:', 'yellow', err=True)} {printable(text)}", err=True)


def _warn_of(fields: Mapping[str, object]) -> None:
    for warning, user in _warnings_of(fields):
        warn(_about(user, warning))


def _warnings_of(fields: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return the warnings of a result, each with the user that it is about."""
    warnings = fields.get("warnings")
    user = str(fields.get("matrix_user_id"))
    return [(str(text), user) for text in warnings] if isinstance(warnings, list) else []


def _about(user: str, warning: str) -> str:
    return warning if user in warning else f"{user}: {warning}"


def _text(value: object) -> str:
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else printable(str(value))
