"""What MAS does after it has answered."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from .http_types import RefusedError

Job = Callable[[], None]

TRIES = 50

RETRY_AFTER = 0.2
"""In seconds."""


class Jobs:
    """Does one job after the other on a thread of its own; one that fails is tried again."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Job | None] = queue.Queue()
        self._allowed = threading.Event()
        self._allowed.set()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._allowed.set()
        self._queue.put(None)

    def add(self, job: Job) -> None:
        self._queue.put(job)

    def hold(self) -> None:
        """Begin no further job until `resume`."""
        self._allowed.clear()

    def resume(self) -> None:
        self._allowed.set()

    def wait(self) -> None:
        """Wait until all jobs so far are done."""
        done = threading.Event()
        self._queue.put(done.set)
        if not done.wait(60):
            raise TimeoutError("the jobs of the stand-in for MAS take too long")

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            self._allowed.wait()
            for _ in range(TRIES):
                try:
                    job()
                    break
                except RefusedError:
                    time.sleep(RETRY_AFTER)
