"""The login service and the reactor: threads, forks and the end of the process."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from . import reactor_programs as programs
from .pythons import ROOT, Interpreter, interpreters, python_with_synapse

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT = 60.0
"""Time after which a program counts as hanging, in seconds."""


def name_of(value: object) -> str:
    return getattr(value, "__name__", str(value))


@pytest.mark.parametrize(
    "program",
    [
        programs.outcomes_arrive_on_the_reactors_thread_and_when_it_is_free,
        programs.an_outcome_known_at_once_is_there_at_once,
        programs.the_outcome_of_a_cancelled_login_is_dropped,
        programs.a_log_that_fails_costs_no_login,
        programs.a_login_that_the_core_never_decides_is_a_timeout,
        programs.what_was_decided_while_the_reactor_was_blocked_is_no_timeout,
        programs.a_core_that_was_held_up_with_the_reactor_has_time_to_decide,
        programs.the_reactor_stops_with_logins_in_flight,
        programs.a_service_has_threads_only_between_start_and_stop,
        programs.starting_twice_is_starting_once,
        programs.a_stopped_service_refuses_and_can_start_again,
    ],
    ids=name_of,
)
def test_in_one_process(program: Callable[[], None]) -> None:
    run(program, interpreters()[0])


@pytest.mark.parametrize("interpreter", interpreters(), ids=str)
@pytest.mark.parametrize(
    "program",
    [
        programs.a_fork_cannot_use_the_threads_of_its_parent,
        programs.a_fork_can_stop_the_service_and_start_it_anew,
        programs.the_process_ends_with_logins_in_flight,
        programs.the_process_ends_while_logins_do,
    ],
    ids=name_of,
)
def test_on_every_interpreter(program: Callable[[], None], interpreter: Interpreter) -> None:
    run(program, interpreter)


def run(program: Callable[[], None], interpreter: Interpreter) -> None:
    """Run a program in a process of its own, which must end well and say nothing."""
    result = subprocess.run(
        [
            python_with_synapse(interpreter),
            # Newer interpreters warn of every fork of a process with threads.
            *("-W", "ignore:This process:DeprecationWarning"),
            *("-m", programs.__name__, program.__name__),
        ],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert (result.returncode, result.stdout) == (0, "")
