"""Signals: those that `exec` passes on, and those that end a run over many users."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.pythons import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NUMBERS = [
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
]

each_signal = pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number.name)

COUNTING = """\
import os, select, signal, sys
# Through a pipe: Python may notice a signal that comes before a read only after it.
read, write = os.pipe()
os.set_blocking(write, False)
signal.set_wakeup_fd(write)
for number in map(int, sys.argv[1:]):
    signal.signal(number, lambda *_: None)
print("ready", flush=True)
ready = []
while 0 not in ready:
    ready, _, _ = select.select([0, read], [], [])
    for number in os.read(read, 64) if read in ready else b"":
        print("got", signal.Signals(number).name, flush=True)
print("end", flush=True)
sys.exit(7)
"""


class Program:
    """A program under test, and the lines it writes."""

    def __init__(self, *arguments: object, **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.cli.programs", *map(str, arguments)],
            cwd=ROOT,
            stdin=options.pop("stdin", subprocess.PIPE),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def line(self) -> str:
        assert self.process.stdout
        return str(self.process.stdout.readline()).rstrip("\n")

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait until it ends by itself; return the exit code."""
        return self.process.wait(60)

    def end(self, text: str = "") -> tuple[int, list[str], str]:
        """Write to standard input and end it; return the exit code and what else was written."""
        out, err = self.process.communicate(text, timeout=60)
        return self.process.returncode, out.splitlines(), err


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    """Return what starts a program, which ends with the test."""
    started: list[Program] = []

    def start_program(*arguments: object, **options: Any) -> Program:
        started.append(Program(*arguments, **options))
        return started[-1]

    yield start_program
    for program in started:
        program.process.kill()
        program.process.communicate()


@each_signal
def test_a_signal_reaches_the_command_once(
    start: Callable[..., Program], number: signal.Signals
) -> None:
    program = start("run_child", sys.executable, "-c", COUNTING, number.value)
    assert program.line() == "ready"
    program.send(number)
    assert program.line() == f"got {number.name}"
    assert program.end("end\n") == (7, ["end"], "")


@pytest.mark.parametrize(
    "number", [number for number in NUMBERS if number != signal.SIGWINCH], ids=lambda one: one.name
)
def test_a_signal_that_ends_the_command_is_in_the_exit_code(
    start: Callable[..., Program], number: signal.Signals
) -> None:
    program = start("run_child", "sh", "-c", "echo ready; read _")
    assert program.line() == "ready"
    program.send(number)
    assert program.wait() == 128 + number
    assert program.end() == (128 + number, [], "")


def test_a_killed_command_is_in_the_exit_code(start: Callable[..., Program]) -> None:
    assert start("run_child", "sh", "-c", "kill -KILL $$").end()[0] == 137


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_the_exit_code_is_that_of_the_command(start: Callable[..., Program], code: int) -> None:
    assert start("run_child", "sh", "-c", f"exit {code}").end() == (code, [], "")


def test_a_command_that_is_not_there_or_cannot_run(
    start: Callable[..., Program], tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    assert start("run_child", "no-such-command").end() == (
        127,
        [],
        "error: cannot run no-such-command: No such file or directory\n",
    )
    assert start("run_child", plain).end()[0] == 126
    plain.chmod(0o700)
    assert start("run_child", plain).end()[0] == 126
    assert start("run_child", tmp_path).end()[0] == 126


def test_the_command_begins_with_the_signals_as_they_were(start: Callable[..., Program]) -> None:
    program = start("run_child", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
    code, lines, _ = program.end()
    assert code == 0
    # Above the 31st are those that the C library keeps for itself.
    assert [int(line.split()[1], 16) & 0x7FFF_FFFF for line in lines] == [0, 0]


def test_a_signal_that_was_ignored_stays_so(start: Callable[..., Program]) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    program = start("run_child", "sh", "-c", "echo ready; read _; exit 7", preexec_fn=ignore)
    assert program.line() == "ready"
    program.send(signal.SIGHUP)
    assert program.end("end\n") == (7, [], "")


def test_children_may_be_ignored_where_we_come_from(start: Callable[..., Program]) -> None:
    program = start("run_child", "sh", "-c", "exit 7", env={**os.environ, "IGNORE_SIGCHLD": "1"})
    assert program.end()[0] == 7


def test_the_command_gets_the_environment_it_is_given(start: Callable[..., Program]) -> None:
    assert start("run_child", "sh", "-c", 'echo "$GIVEN"').end() == (0, ["to the child"], "")


def test_ctrl_c_on_a_terminal_reaches_the_command_once(start: Callable[..., Program]) -> None:
    ours, theirs = pty.openpty()

    def take_terminal() -> None:
        os.setsid()
        os.close(os.open(os.ttyname(theirs), os.O_RDWR))

    numbers = [signal.SIGINT.value, signal.SIGQUIT.value, signal.SIGUSR1.value]
    program = start(
        "run_child", sys.executable, "-c", COUNTING, *numbers,
        stdin=theirs, preexec_fn=take_terminal,
    )  # fmt: skip
    assert program.line() == "ready"
    os.write(ours, b"\x03")
    assert program.line() == "got SIGINT"
    os.write(ours, b"\x1c")
    assert program.line() == "got SIGQUIT"
    # One that does not come from the terminal is for us, and passed on. Two that wait are one, so
    # the first must have been taken, as it is before one with a higher number.
    program.send(signal.SIGUSR1)
    assert program.line() == "got SIGUSR1"
    program.send(signal.SIGINT)
    assert program.line() == "got SIGINT"
    os.write(ours, b"end\n")
    assert program.end() == (7, ["end"], "")
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_the_login_is_obeyed_after_logging_out(
    start: Callable[..., Program], number: signal.Signals
) -> None:
    program = start("log_in_and_out", "echo", "run")
    assert program.line() == "logging in"
    program.send(number)
    assert program.process.stderr
    told = program.process.stderr.readline()
    assert told == "waiting for the login to end, to log out again\n"
    assert program.end() == (128 + number, ["logged out"], "")


def test_a_second_signal_during_the_login_is_obeyed_at_once(start: Callable[..., Program]) -> None:
    program = start("log_in_and_out", "echo", "run")
    assert program.line() == "logging in"
    program.send(signal.SIGINT)
    assert program.process.stderr
    program.process.stderr.readline()
    program.send(signal.SIGINT)
    assert program.wait() == 130


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGWINCH])
def test_another_signal_during_the_login_is_no_matter(
    start: Callable[..., Program], number: signal.Signals
) -> None:
    program = start("log_in_and_out", "echo", "run")
    assert program.line() == "logging in"
    program.send(number)
    assert program.end() == (0, ["run", "logged out"], "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_lets_users_under_way_end(
    start: Callable[..., Program], number: signal.Signals
) -> None:
    program = start("provision_until_stopped")
    assert program.line() == "begun a"
    program.send(number)
    assert program.process.stderr
    assert program.process.stderr.readline() == "\n"
    assert program.process.stderr.readline().startswith("Stopping: waiting for the users under way")
    assert program.end() == (128 + number, ["done a", "left b", "threads left: False"], "")


def test_the_second_signal_leaves_them(start: Callable[..., Program]) -> None:
    program = start("provision_until_stopped")
    assert program.line() == "begun a"
    program.send(signal.SIGINT)
    assert program.process.stderr
    program.process.stderr.readline()
    program.send(signal.SIGINT)
    assert [program.line() for _ in range(3)] == ["left a", "left b", "threads left: True"]
    assert program.wait() == 130
