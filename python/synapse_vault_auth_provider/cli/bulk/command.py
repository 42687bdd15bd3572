"""``synapse-vault provision --from``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from ..failure import CommandError, report
from ..output import Table, log_out, printable
from ..token_origin import explained
from .checking import check_all
from .failed_rows import FailedRows, failed_rows
from .progress import Progress
from .rows import Row
from .shutdown_signals import ShutdownSignals
from .source import opened
from .worker_pool import Run, RunResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ...provisioning import ProvisionedUser, Provisioner, ProvisioningError
    from ..connection import Connection
    from .source import Source


def provision_all(
    connection: Connection,
    source: str,
    *,
    workers: int,
    failed_to: Path | None,
    with_token: bool,
) -> int:
    """Provision all users in a file.

    Args:
        connection: To homeserver and Vault.
        source: The file's name, or a dash for standard input.
        workers: How many users at a time.
        failed_to: Where rows go that are left to do.
        with_token: Whether to log the users in too.

    Returns:
        The exit code.

    Raises:
        CommandError: Something is wrong with the file.
        ProvisioningError: Something is wrong with the configuration.
    """
    with opened(source) as users, connection.open() as provisioner:
        total = check_all(users, provisioner.server_name)

        def provision(row: Row) -> ProvisionedUser:
            with explained(connection):
                return provisioner.provision_user(
                    row.matrix_user_id, with_token=with_token, **row.arguments
                )

        with (
            ShutdownSignals() as signals,
            failed_rows(users, failed_to) as left,
            Progress(total) as progress,
        ):
            ledger = Ledger(
                provisioner,
                users,
                left,
                progress,
                with_token=with_token,
                as_json=connection.as_json,
            )
            run = Run(provision, workers, ledger, signals)
            result = run.over(_as_checked(users, provisioner.server_name))
        ledger.sum_up(result)
        if result.threads_left:
            # Leaving in the usual way would wait for them.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(128 + (signals.signal or 0))
    if ledger.output_error is not None:
        raise ledger.output_error
    if signals.signal is not None:
        return 128 + signals.signal
    return 1 if left.rows else 0


class Ledger:
    """Writes down what becomes of each row."""

    def __init__(
        self,
        provisioner: Provisioner,
        source: Source,
        left: FailedRows,
        progress: Progress,
        *,
        with_token: bool,
        as_json: bool,
    ) -> None:
        """Start with nothing done."""
        self.output_error: OSError | None = None
        """Why results cannot be written any more."""
        self._provisioner = provisioner
        self._source = source
        self._left = left
        self._progress = progress
        headers = ["USER", "STATE", *(["ACCESS TOKEN", "DEVICE"] if with_token else [])]
        self._table = Table(*headers, as_json=as_json)
        self._created = self._present = self._failed = self._not_done = 0

    @property
    def wants_more(self) -> bool:
        """Whether what becomes of further rows could be told."""
        return self.output_error is None

    def done(self, row: Row, result: ProvisionedUser) -> None:
        """Print a user."""
        if result.already_exists:
            self._present += 1
        else:
            self._created += 1
        columns: list[object] = [
            result.matrix_user_id,
            "already there" if result.already_exists else "created",
        ]
        if result.access_token is not None:
            columns += [result.access_token, result.device_id]
        try:
            if self.output_error is not None:
                raise self.output_error
            self._step(lambda: self._table.add(result.as_dict(), columns))
        except OSError as error:
            # The user is there, and the token that was wanted is not: the row is to do again.
            self.output_error = error
            self._left.add(row.record)
            if result.access_token is not None:
                log_out(self._provisioner, result.access_token)

    def failed(self, row: Row, error: ProvisioningError) -> None:
        """Say why, and keep the row."""
        self._failed += 1
        self._left.add(row.record)
        where = f"{self._source.name}:{row.record.line}: {row.matrix_user_id}"
        self._step(lambda: report(error, where))

    def left(self, row: Row) -> None:
        """Keep the row."""
        self._not_done += 1
        self._left.add(row.record)

    def sum_up(self, result: RunResult) -> None:
        """Say how many users there are of each kind."""
        counts = {
            "created": self._created,
            "already there": self._present,
            "failed": self._failed,
            "not done": self._not_done,
        }
        self._table.sum_up_warnings()
        said = [f"{count} {name}" for name, count in counts.items() if count]
        click.echo(", ".join(said) or "no users in the file", err=True)
        if result.gave_up and self._not_done:
            click.echo("gave up on the rest: it would have failed in the same way", err=True)
        if self._left.rows:
            path = printable(str(self._left.path))
            click.echo(f"what is left to do is in {path}", err=True)

    def _step(self, write: Callable[[], None]) -> None:
        self._progress.step(write)


def _as_checked(source: Source, server_name: str) -> Iterator[Row]:
    for row in source.rows(server_name):
        if not isinstance(row, Row):
            raise CommandError(f"{source.name}:{row[0]}, and it was right when it was checked")
        yield row
