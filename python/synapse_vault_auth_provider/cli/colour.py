"""Colour, where a terminal wants it: https://no-color.org/."""

from __future__ import annotations

import os
import sys

import click


class _Choice:
    """What the option ``--no-color`` says; there is one command in a process."""

    off = False


def choose(*, off: bool) -> None:
    """Turn colours off, or leave them to the terminal and the environment."""
    _Choice.off = off


def painted(text: str, colour: str, *, err: bool = False) -> str:
    """Return a text in a colour if it goes to a terminal that shows colours.

    Args:
        text: The text.
        colour: Its name, as click has it.
        err: Whether it goes to standard error.
    """
    stream = sys.stderr if err else sys.stdout
    is_plain = (
        _Choice.off
        or bool(os.environ.get("NO_COLOR"))
        or os.environ.get("TERM") == "dumb"
        or stream is None
        or not stream.isatty()
    )
    return text if is_plain else click.style(text, fg=colour, bold=True)
