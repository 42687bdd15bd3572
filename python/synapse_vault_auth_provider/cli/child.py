"""A command in our place: the signals that we get are for it."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import click

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future


PASSED_ON = frozenset(
    {
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGTERM,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGWINCH,
    }
)

ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
"""Those of them that keep a command from being started."""

OF_TERMINALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH)
"""Those of them that a terminal sends to all its processes in the foreground."""

FROM_KERNEL = 0x80
"""``SI_KERNEL`` of Linux, see sigaction(2): who sent the signal is no process."""

CANNOT_RUN = 126
NOT_FOUND = 127
BY_SIGNAL = 128
"""Exit codes, as shells have them."""


class Renewal(Protocol):
    """What keeps the token of a command while it runs."""

    def pause(self) -> float | None:
        """Return for how many seconds to wait; `None` if for a signal only."""

    def go_on(self) -> int | None:
        """Do what it is time for; return the signal to send to the command, if there is one."""


class Signals:
    """Holds signals back until there is a command to pass them to, so that none gets lost.

    Threads that are started meanwhile leave them alone too.
    """

    def __init__(self) -> None:
        """Change nothing yet."""
        self.ended_by: int | None = None
        """The exit code for a signal that came before the command."""
        self._passed_on = {
            number for number in PASSED_ON if signal.getsignal(number) is not signal.SIG_IGN
        }
        self._mask: set[int] = set()

    def __enter__(self) -> Signals:
        """Hold signals back."""
        # Ignored, as whoever started us may have it, our children would leave without a word.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._mask = set(
            signal.pthread_sigmask(signal.SIG_BLOCK, {*self._passed_on, signal.SIGCHLD})
        )
        return self

    def __exit__(self, *_: object) -> None:
        """Let signals through again."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def wait_for(self, future: Future[Any]) -> None:
        """Wait until something is done, and remember the signal that should have ended us.

        The second one does. Those that end nothing are for the command, which is not there yet.
        """
        wake_after(future)
        while not future.done() or signal.sigpending() & self._passed_on:
            number, _ = self._next()
            if number not in ENDING:
                continue
            if self.ended_by is not None:
                os._exit(BY_SIGNAL + number)
            self.ended_by = BY_SIGNAL + number
            # The terminal may be gone, and the session must not be forgotten for that.
            with suppress(OSError):
                click.echo("waiting for the login to end, to log out again", err=True)

    def run(
        self,
        command: tuple[str, ...],
        environment: Mapping[str, str],
        renewal: Renewal | None = None,
    ) -> int:
        """Run a command and pass signals on to it.

        Args:
            command: Its name and its arguments.
            environment: All of its environment.
            renewal: What replaces its token meanwhile.

        Returns:
            Its exit code as shells have it.
        """
        try:
            process = os.posix_spawnp(
                command[0],
                command,
                environment,
                setsigmask=self._mask,
                # Those that Python ignores.
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
            )
        except OSError as error:
            click.echo(f"error: cannot run {command[0]}: {error.strerror}", err=True)
            return NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_RUN
        while True:
            number, reached_all = self._next(renewal.pause() if renewal else None)
            if number == signal.SIGCHLD:
                ended, status = os.waitpid(process, os.WNOHANG)
                if ended:
                    code = os.waitstatus_to_exitcode(status)
                    return BY_SIGNAL - code if code < 0 else code
            elif number and not reached_all:
                _pass_on(process, number)
            if renewal and (told := renewal.go_on()):
                _pass_on(process, told)

    def _next(self, seconds: float | None = None) -> tuple[int, bool]:
        """Return the next signal, and whether the terminal has sent it to the command as well.

        It is no signal, 0, if none has come for these seconds. Only Linux looks at them.
        """
        watched = {*self._passed_on, signal.SIGCHLD}
        if sys.platform == "linux":
            if seconds is None:
                received: signal.struct_siginfo | None = signal.sigwaitinfo(watched)
            else:
                received = signal.sigtimedwait(watched, seconds)
            if received is None:
                return 0, False
            from_terminal = received.si_code == FROM_KERNEL
            return received.si_signo, from_terminal and received.si_signo in OF_TERMINALS
        number = signal.sigwait(watched)
        return number, number in OF_TERMINALS and _in_foreground()


def wake_after(future: Future[Any]) -> None:
    """Have whoever waits for signals look up once something is done."""
    future.add_done_callback(lambda _: os.kill(os.getpid(), signal.SIGCHLD))


def _pass_on(process: int, number: int) -> None:
    try:
        os.kill(process, number)
    except PermissionError:
        # It runs as somebody else, as sudo does; it goes on, and so do we.
        with suppress(OSError):
            name = signal.Signals(number).name
            click.echo(f"warning: the command may not be sent {name}", err=True)


def _in_foreground() -> bool:
    try:
        return os.tcgetpgrp(sys.stderr.fileno()) == os.getpgrp()
    except OSError:
        return False
