"""Plays faults to a deployment under logins, and counts what becomes of them."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.nginx import nginx_command
from tests.servers.openbao import bao_command
from tests.servers.postgres import postgres_command

from .results import Happening, Results, Tally, by_second
from .traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .deployment import Deployment
    from .faults import Fault
    from .traffic import Login

ANSWER_LIMIT = 10.0
"""How long clients wait for an answer, in seconds."""

CALM = 5.0
"""Time without a fault before the first one and, at least, after each, in seconds."""

_LINE = re.compile(r"Login of '(?P<user_id>[^']+)': (?P<rest>(?P<outcome>\w+): .*)")


@dataclass(frozen=True)
class Span:
    """When a fault happened, by `time.monotonic`, and to whom."""

    fault: Fault
    whom: str
    begun: float
    undone: float
    recovered: float


def run(
    deployment: Deployment,
    faults: Sequence[Fault],
    left_out: dict[str, str],
    *,
    seconds: float,
    interval: float,
) -> Results:
    """Let users log in for some time, or until all faults are over.

    Args:
        deployment: Where.
        faults: What happens meanwhile.
        left_out: What does not, and why.
        seconds: The least time.
        interval: Time from one login of a user to the next, in seconds.
    """
    spans: list[Span] = []
    traffic = Traffic(
        deployment.users, deployment.urls, interval=interval, answer_limit=ANSWER_LIMIT
    )
    starved = _starved()
    with traffic:
        start = time.monotonic()
        time.sleep(CALM)
        for number, fault in enumerate(faults):
            # Evenly over the time that there is, unless one takes longer.
            due = start + CALM + (seconds - CALM) * number / len(faults)
            time.sleep(max(0.0, due - time.monotonic()))
            spans.append(_play(fault, deployment, start))
            time.sleep(CALM if number == len(faults) - 1 else 1)
        time.sleep(max(0.0, start + seconds - time.monotonic()))
        end = time.monotonic()
        starved = (_starved() - starved) / (end - start)
    logins = sorted(traffic.logins, key=lambda login: login.start)
    lines = _lines(deployment)
    return Results(
        setting=_setting(),
        users=len(deployment.users),
        lasted=round(end - start, 1),
        starved=min(round(starved, 2), 1.0) if starved else None,
        calm=_tally(logins, start, spans[0].begun if spans else end),
        happenings=_happenings(logins, spans, start, end),
        left_out=left_out,
        all_logins=Tally.of(logins, start, end),
        presented=dict(Counter(login.rightness.value for login in logins)),
        outcomes=dict(Counter(line["outcome"] for line in lines)),
        seconds=by_second(logins, start),
        lost=[_describe(login, lines, deployment, start) for login in logins if login.is_lost],
    )


def _play(fault: Fault, deployment: Deployment, start: float) -> Span:
    begun = time.monotonic()
    _say(f"{begun - start:5.1f} s: {fault.what} ...")
    with fault.harm(deployment) as whom:
        time.sleep(max(0.0, begun + fault.lasts - time.monotonic()))
        undone = time.monotonic()
        _say(f"{undone - start:5.1f} s: ... ({whom}) that is undone ...")
    deployment.vault.recover()
    recovered = time.monotonic()
    _say(f"{recovered - start:5.1f} s: ... all is well again")
    return Span(fault, whom, begun, undone, recovered)


def _happenings(
    logins: Sequence[Login], spans: Sequence[Span], start: float, end: float
) -> list[Happening]:
    ends = [span.begun for span in spans[1:]] + [end]
    return [
        Happening(
            name=span.fault.name,
            what=span.fault.what,
            whom=span.whom,
            begun=round(span.begun - start, 1),
            undone=round(span.undone - start, 1),
            recovered=round(span.recovered - start, 1),
            logins=_tally(logins, span.begun, end),
        )
        for span, end in zip(spans, ends, strict=True)
    ]


def _tally(logins: Sequence[Login], begun: float, ended: float) -> Tally:
    return Tally.of([login for login in logins if begun <= login.start < ended], begun, ended)


def _describe(
    login: Login, lines: Sequence[re.Match[str]], deployment: Deployment, start: float
) -> str:
    """Say what is known of a login that was lost, with what the homeserver logged of the user."""
    served_by = deployment.front.process_behind(login.served_by) if deployment.front else "?"
    logged = [line["rest"] for line in lines if line["user_id"] == login.user_id]
    return (
        f"{login.start - start:.2f} to {login.end - start:.2f} s, {login.user_id} at"
        f" {served_by or '?'} with {login.rightness.value}: {login.answer.value}"
        f" ({login.detail}); in the logs: {logged}"
    )


def _starved() -> float:
    """Return for how long, in seconds, something has waited for a processor; 0 if that is unknown.

    See https://docs.kernel.org/accounting/psi.html
    """
    path = Path("/proc/pressure/cpu")
    found = re.search(r"^some .* total=(\d+)$", path.read_text(), re.M) if path.exists() else None
    return int(found[1]) / 1e6 if found else 0.0


def _lines(deployment: Deployment) -> list[re.Match[str]]:
    """Return what the module wrote of logins."""
    lines = (
        _LINE.match(record.message)
        for worker in deployment.workers
        for record in worker.log_records()
    )
    return [line for line in lines if line is not None]


def _setting() -> dict[str, str]:
    commands: dict[str, Sequence[str | Path | None]] = {
        "OpenBao": [bao_command(), "version"],
        "PostgreSQL": [postgres_command("postgres"), "--version"],
        "Redis": ["redis-server", "--version"],
        "nginx": [nginx_command(), "-v"],
    }
    return {
        "Synapse": version("matrix-synapse"),
        **{name: _version(command) for name, command in commands.items()},
        "matrix-nio": version("matrix-nio"),
        "Python": platform.python_version(),
        "Linux": f"{platform.release().partition('-')[0]} on {os.cpu_count()} cores",
    }


def _version(command: Sequence[str | Path | None]) -> str:
    printed = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    ).stdout
    found = re.search(r"\d+(\.\d+)+", printed)
    return found[0] if found else "?"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201
