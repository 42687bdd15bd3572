"""Failures that whoever runs the command can do something about, and how they are said."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from ..provisioning import ProvisioningError
from .colour import painted
from .output import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

IN_OUR_WORDS = {
    "call again with adopt": "run this again with --adopt",
}
"""What errors say to who writes Python, and what it is here."""


class CommandError(Exception):
    """An expected failure of the command itself. Its text holds no secret."""

    def __init__(self, what: str, advice: str | None = None) -> None:
        """Say what is wrong.

        Args:
            what: In one line, without a full stop.
            advice: How to fix it, in a sentence.
        """
        super().__init__(what)
        self.message = what
        self.advice = advice


def report(error: CommandError | ProvisioningError, subject: str | None = None) -> None:
    """Write a failure to standard error.

    Args:
        error: What went wrong.
        subject: Whom it happened to, if the command goes on with others.
    """
    about = f"{printable(subject)}: " if subject else ""
    mark = painted("error:", "red", err=True)
    click.echo(f"{mark} {about}{_lines(error.message)}", err=True)
    for advice in _advice(error):
        click.echo(_lines(advice), err=True)


def _advice(error: CommandError | ProvisioningError) -> Iterator[str]:
    """Return what to do about a failure, in the words of the command line."""
    if error.advice:
        advice = error.advice
        for written, said in IN_OUR_WORDS.items():
            advice = advice.replace(written, said)
        yield advice
    if isinstance(error, ProvisioningError) and error.retry_after:
        seconds = math.ceil(error.retry_after)
        yield f"Try again in {seconds} second{'' if seconds == 1 else 's'}."


def _lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.splitlines())
