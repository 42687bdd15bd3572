"""How far it is, on standard error: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

LINES = 10
"""How many lines a run has where there is no terminal."""


class Progress:
    """Counts rows, and makes room for what else is written."""

    def __init__(self, total: int) -> None:
        """Expect so many rows."""
        self._total = total
        self._done = 0
        self._bar: Any = None
        self._closing = ExitStack()

    def __enter__(self) -> Progress:
        """Show the bar, if there is a terminal."""
        if sys.stderr.isatty():
            self._bar = self._closing.enter_context(
                click.progressbar(
                    length=self._total, label="Provisioning", show_pos=True, file=sys.stderr
                )
            )
        return self

    def __exit__(self, *_: object) -> None:
        """End the bar's line."""
        self._closing.close()

    def step(self, write: Callable[[], None]) -> None:
        """Count a row, after writing what there is to say of it.

        Args:
            write: Writes it, to standard output or standard error.
        """
        if self._bar is not None:
            # Both may be the same terminal: clear the bar's line; it is drawn again below it.
            click.echo("\r\x1b[K", nl=False, err=True)
        write()
        self._done += 1
        if self._bar is not None:
            self._bar.update(1)
        elif self._done % -(-self._total // LINES) == 0:
            click.echo(f"{self._done} of {self._total}", err=True)
