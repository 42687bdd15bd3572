"""Many users, some at a time: every row is accounted for, whatever happens."""

from __future__ import annotations

import itertools
import signal
import threading
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider.cli.bulk.rows import Record, Row
from synapse_vault_auth_provider.cli.bulk.shutdown_signals import ShutdownSignals
from synapse_vault_auth_provider.cli.bulk.worker_pool import MOST_FAILURES, Run
from synapse_vault_auth_provider.provisioning import (
    ConflictError,
    ProvisioningError,
    UnreachableError,
    VaultError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORKERS = 4


def rows(count: int) -> Iterator[Row]:
    return (Row(Record(number, {}), f"@{number}:example.org", {}) for number in range(1, count + 1))


class Ledger:
    """Remembers what became of each row, by its line."""

    wants_more = True

    def __init__(self) -> None:
        self.lines: dict[str, list[int]] = {"done": [], "failed": [], "left": []}

    def done(self, _: Row, result: int) -> None:
        self.lines["done"].append(result)

    def failed(self, row: Row, error: ProvisioningError) -> None:
        assert str(error) == f"no {row.record.line}"
        self.lines["failed"].append(row.record.line)

    def left(self, row: Row) -> None:
        self.lines["left"].append(row.record.line)

    def check_each_once(self, count: int) -> None:
        assert sorted(itertools.chain(*self.lines.values())) == list(range(1, count + 1))


def provisioned(row: Row) -> int:
    return row.record.line


def failing(error: type[ProvisioningError], status: int | None = None) -> Callable[[Row], int]:
    def fail(row: Row) -> int:
        raise error(f"no {row.record.line}", status=status)

    return fail


@pytest.mark.parametrize("count", [0, 1, WORKERS, 101])
def test_all_rows_are_done_and_no_more_at_a_time_than_there_are_workers(count: int) -> None:
    busy = threading.Semaphore(WORKERS)

    def provision(row: Row) -> int:
        assert busy.acquire(blocking=False)
        try:
            return provisioned(row)
        finally:
            busy.release()

    ledger = Ledger()
    end = Run(provision, WORKERS, ledger, ShutdownSignals()).over(rows(count))
    assert not end.gave_up
    assert not end.threads_left
    assert len(ledger.lines["done"]) == count
    ledger.check_each_once(count)


def test_workers_work_at_the_same_time() -> None:
    together = threading.Barrier(WORKERS, timeout=60)

    def provision(row: Row) -> int:
        together.wait()
        return provisioned(row)

    ledger = Ledger()
    Run(provision, WORKERS, ledger, ShutdownSignals()).over(rows(3 * WORKERS))
    assert len(ledger.lines["done"]) == 3 * WORKERS


def test_a_row_that_fails_is_no_matter_of_the_others() -> None:
    def provision(row: Row) -> int:
        return failing(ConflictError)(row) if row.record.line % 3 == 0 else provisioned(row)

    ledger = Ledger()
    assert not Run(provision, WORKERS, ledger, ShutdownSignals()).over(rows(100)).gave_up
    assert len(ledger.lines["failed"]) == 33
    ledger.check_each_once(100)


@pytest.mark.parametrize(
    ("error", "status"), [(ConflictError, None), (VaultError, 404), (VaultError, 500)], ids=str
)
def test_failures_that_are_about_the_user_do_not_end_the_run(
    error: type[ProvisioningError], status: int | None
) -> None:
    ledger = Ledger()
    assert (
        not Run(failing(error, status), WORKERS, ledger, ShutdownSignals()).over(rows(100)).gave_up
    )
    assert len(ledger.lines["failed"]) == 100


@pytest.mark.parametrize(
    ("error", "status"),
    [(UnreachableError, None), (VaultError, 403), (ProvisioningError, 401)],
    ids=str,
)
def test_a_run_without_hope_gives_up_and_keeps_the_rest(
    error: type[ProvisioningError], status: int | None
) -> None:
    ledger = Ledger()
    assert Run(failing(error, status), WORKERS, ledger, ShutdownSignals()).over(rows(1000)).gave_up
    enough = MOST_FAILURES * WORKERS
    assert enough <= len(ledger.lines["failed"]) < enough + WORKERS
    ledger.check_each_once(1000)


def test_any_success_gives_hope_again() -> None:
    def provision(row: Row) -> int:
        fail = failing(UnreachableError)
        return provisioned(row) if row.record.line % (2 * WORKERS) == 0 else fail(row)

    ledger = Ledger()
    assert not Run(provision, WORKERS, ledger, ShutdownSignals()).over(rows(100)).gave_up
    ledger.check_each_once(100)


def test_a_wish_to_stop_lets_those_under_way_end() -> None:
    signals = ShutdownSignals()
    all_under_way = threading.Barrier(WORKERS, timeout=60)

    def provision(row: Row) -> int:
        if all_under_way.wait() == 0:
            signals.take(signal.SIGINT)
        all_under_way.wait()
        return provisioned(row)

    ledger = Ledger()
    end = Run(provision, WORKERS, ledger, signals).over(rows(100))
    assert not end.threads_left
    assert sorted(ledger.lines["done"]) == list(range(1, WORKERS + 1))
    ledger.check_each_once(100)


@pytest.mark.parametrize("count", [WORKERS - 1, WORKERS, 100])
def test_an_order_to_stop_leaves_them(count: int) -> None:
    signals = ShutdownSignals()
    released = threading.Event()

    def provision(row: Row) -> int:
        for _ in range(2):
            signals.take(signal.SIGINT)
        released.wait(60)
        return provisioned(row)

    ledger = Ledger()
    end = Run(provision, WORKERS, ledger, signals).over(rows(count))
    released.set()
    assert end.threads_left
    assert ledger.lines["done"] == ledger.lines["failed"] == []
    ledger.check_each_once(count)


def test_an_error_of_ours_loses_no_row() -> None:
    def provision(row: Row) -> int:
        if row.record.line == 50:
            raise ZeroDivisionError
        return provisioned(row)

    ledger = Ledger()
    with pytest.raises(ZeroDivisionError):
        Run(provision, WORKERS, ledger, ShutdownSignals()).over(rows(100))
    assert 50 in ledger.lines["left"]
    ledger.check_each_once(100)


@pytest.mark.parametrize("is_stopped", [False, True], ids=["done", "left"])
def test_memory_stays_flat(is_stopped: bool) -> None:
    class Counter:
        count = 0

        wants_more = True

        def done(self, _: Row, __: int) -> None:
            self.count += 1

        def failed(self, row: Row, error: ProvisioningError) -> None: ...

        def left(self, _: Row) -> None:
            self.count += 1

    def peak(count: int) -> int:
        counter = Counter()
        signals = ShutdownSignals()
        if is_stopped:
            signals.take(signal.SIGINT)
            signals.take(signal.SIGINT)
        tracemalloc.start()
        Run(provisioned, WORKERS, counter, signals).over(rows(count))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert counter.count == count
        return most

    peak(100)
    assert peak(5000) - peak(500) < 100_000
