"""What can be mended by whoever runs the command, and how it is said."""

import click

from ..provisioning import ProvisioningError
from .output import printable


class CommandError(Exception):
    """An expected failure of the command itself. Its text holds no secret."""

    def __init__(self, what: str, advice: str | None = None) -> None:
        """Say what is wrong.

        Args:
            what: In one line, without a full stop.
            advice: How to mend it, in a sentence.
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
    click.echo(f"error: {about}{_lines(error.message)}", err=True)
    if error.advice:
        click.echo(_lines(error.advice), err=True)


def _lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.splitlines())
