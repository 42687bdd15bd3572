"""What may go wrong with MAS, or on the way to it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .http_types import Answer, Request


class ConnectionDroppedError(Exception):
    """The connection ends without an answer."""


@dataclass
class Fault:
    """What happens to the requests that it is for."""

    method: str
    path: re.Pattern[str]
    times: int | None
    """How many requests are left that meet it; `None` for all."""
    before: Callable[[Request], Answer | None] | None = None
    """Happens in place of the work, or holds it up if it gives no answer."""
    after: Callable[[Request, Answer], Answer] | None = None
    """Happens once the work is done."""
    met: int = 0
    """How many requests have met it."""


@dataclass
class Faults:
    """A list of faults; of those that a request matches, all happen, the oldest first."""

    _faults: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, method: str, path: str, answer: Answer, *, times: int | None = 1) -> Fault:
        """Answer so and do nothing."""
        return self._add(method, path, times, before=lambda _: answer)

    def delay(self, method: str, path: str, seconds: float, *, times: int | None = None) -> Fault:
        """Hold the work up."""
        return self._add(method, path, times, before=lambda _: time.sleep(seconds))

    def refuse_connection(self, method: str, path: str, *, times: int | None = 1) -> Fault:
        """Hang up and do nothing."""
        return self._add(method, path, times, before=_drop)

    def lose_answer(self, method: str, path: str, *, times: int | None = 1) -> Fault:
        """Do the work, and hang up instead of answering."""
        return self._add(method, path, times, after=_drop)

    def replace_answer(
        self, method: str, path: str, answer: Answer, *, times: int | None = 1
    ) -> Fault:
        """Do the work, and answer something else."""
        return self._add(method, path, times, after=lambda *_: answer)

    def hold(
        self, method: str, path: str, released: threading.Event, *, times: int | None = None
    ) -> Fault:
        """Do nothing until the event is set: a black hole for as long as it is not."""

        def wait(_: Request) -> None:
            released.wait()

        return self._add(method, path, times, before=wait)

    def hold_answer(
        self, method: str, path: str, released: threading.Event, *, times: int | None = 1
    ) -> Fault:
        """Do the work, and answer once the event is set."""

        def wait(_: Request, answer: Answer) -> Answer:
            released.wait()
            return answer

        return self._add(method, path, times, after=wait)

    def run(
        self,
        method: str,
        path: str,
        action: Callable[[Request], Answer | None],
        *,
        times: int | None = 1,
    ) -> Fault:
        """Do something before the work; what it returns, if anything, is the answer."""
        return self._add(method, path, times, before=action)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, request: Request) -> list[Fault]:
        """Return those that happen to a request, and count it."""
        with self._lock:
            taken = [
                fault
                for fault in self._faults
                if fault.method in ("*", request.method)
                and fault.path.search(request.path)
                and (fault.times is None or fault.times > 0)
            ]
            for fault in taken:
                fault.met += 1
                if fault.times is not None:
                    fault.times -= 1
        return taken

    def _add(
        self,
        method: str,
        path: str,
        times: int | None,
        *,
        before: Callable[[Request], Answer | None] | None = None,
        after: Callable[[Request, Answer], Answer] | None = None,
    ) -> Fault:
        fault = Fault(method, re.compile(path), times, before, after)
        with self._lock:
            self._faults.append(fault)
        return fault


def _drop(*_: object) -> Answer:
    raise ConnectionDroppedError
