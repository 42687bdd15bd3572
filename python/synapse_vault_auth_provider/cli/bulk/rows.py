"""One row of a file with users: which columns there are, and what may stand in them."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..._core import parse_user_id

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = ("user_id", "display_name", "avatar", "admin", "user_type", "external_id", "adopt")

BOOLEANS = {"true": True, "false": False}
"""How they are written where everything is text, in lower case; spreadsheets use upper case.

Nothing else is taken: nobody becomes an administrator by a guess at what was meant.
"""

LONGEST_EXTERNAL_ID = 1024
"""In bytes; longer ones are not taken."""

MXC = re.compile(r"mxc://[^/]+/[A-Za-z0-9_-]+")
"""https://spec.matrix.org/v1.16/client-server-api/#matrix-content-mxc-uris"""

SEPARATORS = re.compile(r"[;\t|]")
"""What spreadsheets of some countries put between columns in place of commas."""

LONGEST_SHOWN = 60
"""How much of a wrong value an error repeats, in characters."""


@dataclass(frozen=True)
class Record:
    """A row as it is written."""

    line: int
    """In which line of the file it begins, from 1 on."""

    fields: Mapping[str, Any]
    """Its values; in CSV they are strings, and empty ones are absent."""


@dataclass(frozen=True)
class Row:
    """A row that has been checked."""

    record: Record
    matrix_user_id: str
    arguments: Mapping[str, Any]
    """What `Provisioner.provision_user` is called with, besides the id."""


@dataclass(frozen=True)
class Problem:
    """Something wrong with a file."""

    line: int
    what: str
    column: str | None = None

    def __str__(self) -> str:
        """Say where it is, and what."""
        return ": ".join(filter(None, (str(self.line), self.column, self.what)))


class WrongValueError(ValueError):
    """A value is none that may stand in its column."""


def check(record: Record, server_name: str) -> Row | list[Problem]:
    """Give the values of a row their types.

    Args:
        record: The row as it is written.
        server_name: The homeserver's name, which whole user ids must have.

    Returns:
        The row, or everything that is wrong with it.
    """
    problems = [
        Problem(record.line, _unknown(column)) for column in record.fields if column not in COLUMNS
    ]
    values: dict[str, Any] = {}
    for column in COLUMNS:
        value = _checked(record, column, server_name)
        if isinstance(value, Problem):
            problems.append(value)
        values[column] = value
    if problems:
        return problems
    matrix_user_id = values.pop("user_id")
    return Row(record, matrix_user_id, {"is_admin": values.pop("admin"), **values})


def check_header(columns: list[str], line: int) -> list[Problem]:
    """Return what is wrong with the names of the columns in CSV."""
    if len(columns) == 1 and (found := SEPARATORS.search(columns[0])):
        separator = {"\t": "tabs", ";": "semicolons", "|": "bars"}[found[0]]
        return [Problem(line, f"the columns have {separator} between them; export with commas")]
    problems = [Problem(line, _unknown(column)) for column in columns if column not in COLUMNS]
    problems += [
        Problem(line, f"the column {column} is there more than once")
        for column in COLUMNS
        if columns.count(column) > 1
    ]
    if "user_id" not in columns:
        problems.append(Problem(line, "there is no column user_id"))
    return problems


def _unknown(column: str) -> str:
    near = difflib.get_close_matches(column.strip().lower(), COLUMNS, 1)
    hint = f"did you mean {near[0]}?" if near else f"the columns are {', '.join(COLUMNS)}"
    return f"unknown column {_shown(column)}; {hint}"


def _checked(record: Record, column: str, server_name: str) -> object:
    try:
        return _value(column, record.fields.get(column), server_name)
    except WrongValueError as wrong:
        return Problem(record.line, str(wrong), column)


def _value(column: str, value: object, server_name: str) -> object:
    if column in ("admin", "adopt"):
        return _boolean(value)
    if value is None or value == "":
        if column == "user_id":
            raise WrongValueError("is missing")
        return None
    if not isinstance(value, str):
        raise WrongValueError("must be a string")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise WrongValueError("is no valid UTF-8")
    if column == "user_id":
        return _matrix_user_id(value, server_name)
    if column == "avatar":
        _check_avatar(value)
    if column == "external_id" and len(value.encode()) > LONGEST_EXTERNAL_ID:
        raise WrongValueError(f"is longer than {LONGEST_EXTERNAL_ID} bytes")
    return value


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value is None or value == "":
        return False
    if isinstance(value, str) and value.lower() in BOOLEANS:
        return BOOLEANS[value.lower()]
    raise WrongValueError(f"must be true or false, not {_shown(value)}")


def _matrix_user_id(text: str, server_name: str) -> str:
    try:
        matrix_user_id, _ = parse_user_id(text, server_name, is_new=True)
    except ValueError as error:
        raise WrongValueError(
            f"{_shown(text)} cannot be a user of {server_name}: {error}"
        ) from None
    return matrix_user_id


def _check_avatar(avatar: str) -> None:
    if avatar.startswith("mxc://"):
        if not MXC.fullmatch(avatar):
            raise WrongValueError("must be mxc://, a server's name, a slash and a media id")
        return
    if not Path(avatar).is_file():
        raise WrongValueError(f"there is no file {_shown(avatar)}")
    if not os.access(avatar, os.R_OK):
        raise WrongValueError(f"the file {_shown(avatar)} cannot be read")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
