"""What can be mended by whoever runs the command, and how it is said."""

import click

from ..provisioning import ConfigurationError, ProvisioningError
from .output import printable

WHERE_TO_GIVE = {
    "vault_path_root": "Set SYNAPSE_VAULT_PATH_ROOT, or name Synapse's configuration with -c.",
}
"""For settings that an error does not tell it of: how they are given to this command."""


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
    advice = error.advice or _advice(error)
    if advice:
        click.echo(_lines(advice), err=True)


def _advice(error: CommandError | ProvisioningError) -> str | None:
    """Say where a setting that is missing can be given."""
    if isinstance(error, ConfigurationError) and ": required: " in error.message:
        return WHERE_TO_GIVE.get(error.key or "")
    return None


def _lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.splitlines())
