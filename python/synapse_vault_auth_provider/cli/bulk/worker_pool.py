"""Many users, some at a time; every row is accounted for."""

from __future__ import annotations

import itertools
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from ...provisioning import ProvisioningError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .rows import Row
    from .shutdown_signals import ShutdownSignals

Result = TypeVar("Result")
Told = TypeVar("Told", contravariant=True)

TOKEN_REFUSED = (401, 403)
"""Statuses that other users will get too: they are about our tokens, not about the user."""

MOST_FAILURES = 3
"""For each worker: after so many failures in a row that all users would have, the rest is left."""


class Listener(Protocol[Told]):
    """What becomes of the rows is told to one of these, on one thread."""

    @property
    def wants_more(self) -> bool:
        """Whether further rows are to be begun."""

    def done(self, row: Row, result: Told) -> None:
        """Take note of a user."""

    def failed(self, row: Row, error: ProvisioningError) -> None:
        """Take note of a row that failed."""

    def left(self, row: Row) -> None:
        """Take note of a row that was not done, or whose end is not known."""


@dataclass(frozen=True)
class RunResult:
    """How a run ended."""

    gave_up: bool
    """Whether rows were left because there was no hope for them."""

    threads_left: bool
    """Whether threads are still at work, which nobody waits for."""


class Run(Generic[Result]):
    """One run over all rows."""

    def __init__(
        self,
        provision: Callable[[Row], Result],
        workers: int,
        listener: Listener[Result],
        signals: ShutdownSignals,
    ) -> None:
        """Choose how to go about it.

        Args:
            provision: Provisions one user; called on several threads.
            workers: How many at a time.
            listener: Told of every row.
            signals: Says when to stop.
        """
        self._provision = provision
        self._workers = workers
        self._listener = listener
        self._signals = signals
        self._under_way: dict[Future[Result], Row] = {}
        self._ended: SimpleQueue[Future[Result]] = SimpleQueue()
        self._failures_in_a_row = 0

    def over(self, rows: Iterator[Row]) -> RunResult:
        """Go through the rows.

        Args:
            rows: They are taken as they are needed, so that there may be any number of them.
        """
        executor = ThreadPoolExecutor(self._workers, thread_name_prefix="provision")
        try:
            for row in rows:
                self._begin(row, executor)
                while len(self._under_way) >= self._workers and not self._signals.is_order:
                    self._collect()
                if self._signals.is_order:
                    break
            while self._under_way and not self._signals.is_order:
                self._collect()
        finally:
            # Whatever happened, no row is lost.
            executor.shutdown(wait=not self._under_way, cancel_futures=True)
            for row in itertools.chain(self._under_way.values(), rows):
                self._listener.left(row)
        return RunResult(self._gave_up, threads_left=bool(self._under_way))

    @property
    def _gave_up(self) -> bool:
        return self._failures_in_a_row >= MOST_FAILURES * self._workers

    def _begin(self, row: Row, executor: ThreadPoolExecutor) -> None:
        is_over = self._signals.signal is not None or not self._listener.wants_more
        if is_over or self._gave_up:
            self._listener.left(row)
            return
        future = executor.submit(self._provision, row)
        self._under_way[future] = row
        future.add_done_callback(self._end)

    def _end(self, future: Future[Result]) -> None:
        self._ended.put(future)
        self._signals.wake()

    def _collect(self) -> None:
        """Wait for users that have ended, or for a signal."""
        self._signals.wait()
        while not self._ended.empty():
            self._tell(self._ended.get())

    def _tell(self, future: Future[Result]) -> None:
        row = self._under_way[future]
        try:
            result = future.result()
        except ProvisioningError as error:
            concerns_all = isinstance(error, UnreachableError) or error.status in TOKEN_REFUSED
            self._failures_in_a_row = self._failures_in_a_row + 1 if concerns_all else 0
            self._listener.failed(row, error)
        else:
            self._failures_in_a_row = 0
            self._listener.done(row, result)
        del self._under_way[future]
