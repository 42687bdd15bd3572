"""Logins without end, while Vault is killed and started again: does anything grow, or go wrong?

Run by ``make soak``, or ``python -m benches.soak``. Most logins go to the module on a reactor, some
to a real Synapse, all with the same OpenBao behind them. Ends with 1 if a login ended as none may,
if descriptors, sockets or threads were not given back, or if memory grew by more than is allowed.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.harness.accounts import PATH_ROOT, Account
from tests.harness.confidential import Confidential
from tests.harness.stack import Stack
from tests.harness.waiting import wait_until
from tests.servers.synapse import SERVER_NAME

from .findings import NEVER, Findings, Process, logins, table
from .footprint import Footprint, connections
from .homeserver import Client
from .logins import LoginProcess, Plan

USERS = 1000
"""How many log in to the module on the reactor."""

REMEMBERED = 900
"""How many of them are in memory at most. Each of the others needs Vault."""

HOMESERVER_USERS = 20

MODULE: dict[str, Any] = {
    # Those in memory go by that while Vault is away; the others wait until it is back.
    "cache": {"ttl": "5s", "stale_if_error": "1h", "max_entries": REMEMBERED},
    "login_timeout": "1m",
}

MARKER = "<!-- soak -->"
"""Stands before and behind the table in the manual."""


class Soak:
    """The servers, the logins, and what is seen of them."""

    def __init__(self, directory: Path, options: argparse.Namespace, stack: ExitStack) -> None:
        """Start everything, and let it warm up until it takes what it needs."""
        self.options = options
        self.restarts = 0
        servers = stack.enter_context(Stack(directory, Confidential()))
        self.openbao = servers.start_openbao(durable=True)
        config = servers.module_config(self.openbao, **MODULE)
        homeserver = servers.start_homeserver(
            "soak", openbao=self.openbao, log_level="WARNING", has_metrics=True, **MODULE
        )
        self.synapse = homeserver.synapse
        known = [
            self.account(self.synapse.register(f"soak-{number}"))
            for number in range(HOMESERVER_USERS)
        ]
        self.client = Client(self.synapse, known, options.homeserver_rate)
        stack.callback(self.client.stop)

        accounts = [self.account(f"@reactor-{number}:{SERVER_NAME}") for number in range(USERS)]
        hashes = {account.user_id: account.token_hash for account in accounts}
        plan = Plan(config, hashes, options.logins / options.seconds)
        self.reactor = stack.enter_context(LoginProcess(plan))

        say("warming up")
        self.client.log_in(3 * HOMESERVER_USERS)
        self.reactor.begin(2 * USERS)
        self.restart_vault()
        self.warm_tally = self.reactor.tally()
        self.warm_answers = dict(self.client.tally)
        self.processes = {name: Process(self.at_rest(pid)) for name, pid in self.pids().items()}

    def account(self, user_id: str) -> Account:
        """Write a secret for a user."""
        account = Account.with_a_secret_of_its_own(user_id)
        self.openbao.write(f"{PATH_ROOT}/{user_id}", {"login_secret": account.login_secret})
        return account

    def pids(self) -> dict[str, int]:
        """Return the numbers of the processes that are looked at."""
        if self.synapse.process is None:
            raise RuntimeError("the homeserver has ended")
        return {"logins": self.reactor.pid, "homeserver": self.synapse.process.pid}

    def restart_vault(self) -> None:
        """Kill Vault, and start it again as an administrator would."""
        self.openbao.stop(signal.SIGKILL)
        self.openbao.start()
        self.restarts += 1

    def at_rest(self, pid: int) -> Footprint:
        """Wait until a process has closed its connections to Vault, and look at it."""
        port = int(self.openbao.port)
        footprint = Footprint.of(pid)

        def has_no_connection() -> bool:
            nonlocal footprint
            is_free = connections(pid, port) == 0
            footprint = Footprint.of(pid)
            # The module looks after its token by itself, at any time.
            return is_free and connections(pid, port) == 0

        wait_until("connections to Vault are closed", has_no_connection)
        return footprint

    def run(self) -> Findings:
        """Log in until all logins are done; meanwhile restart Vault and look at the processes."""
        begun = time.monotonic()
        restarts_before = self.restarts
        tallies: list[dict[str, int]] = []
        self.reactor.begin(self.options.logins)
        waiting = threading.Thread(target=lambda: tallies.append(self.reactor.tally()))
        waiting.start()
        self.client.start()
        while waiting.is_alive():
            waiting.join(self.options.restart_every / 2)
            self.restart_vault()
            waiting.join(self.options.restart_every / 2)
            for name, pid in self.pids().items():
                self.processes[name].under_way.append(Footprint.of(pid))
            self.say_footprints(time.monotonic() - begun)
        self.client.stop()
        (tally,) = tallies
        seconds = time.monotonic() - begun
        for name, pid in self.pids().items():
            self.processes[name].at_rest_after = self.back_at_rest(name, pid)
        self.check_homeserver()
        return Findings(
            seconds=seconds,
            restarts=self.restarts - restarts_before,
            tally=since(self.warm_tally, tally),
            homeserver_tally=since(self.warm_answers, self.client.tally),
            processes=self.processes,
        )

    def back_at_rest(self, name: str, pid: int) -> Footprint:
        """Wait until a process holds no more than before the run; fail if it goes on to."""
        before = self.processes[name].at_rest_before
        now = self.at_rest(pid)

        def has_given_back() -> bool:
            nonlocal now
            now = self.at_rest(pid)
            return all(a <= b for a, b in zip(now.countable, before.countable, strict=True))

        # A homeserver's own pools grow as it sees fit. What is ours there is the connections.
        if name != "homeserver":
            wait_until("descriptors, sockets and threads are as before", has_given_back)
        return now

    def check_homeserver(self) -> None:
        """Fail if the module in the homeserver called a right hash wrong."""
        outcomes = self.synapse.metrics().logins()
        wrong = sum(n for what, n in self.client.tally.items() if what.startswith("wrong"))
        if outcomes.get("bad_hash", 0) > wrong:
            raise RuntimeError(f"a right hash was called wrong: {outcomes}")

    def say_footprints(self, seconds: float) -> None:
        """Print how large the processes are."""
        shown = " | ".join(
            f"{name}: RSS {now.rss:.1f} MB, {now.descriptors} descriptors, {now.sockets} sockets, "
            f"{now.threads} threads"
            for name, process in self.processes.items()
            for now in process.under_way[-1:]
        )
        say(f"{seconds:6.0f} s  {shown}")


def since(before: dict[str, int], now: dict[str, int]) -> dict[str, int]:
    """Return what was counted in between."""
    return {what: count - before.get(what, 0) for what, count in sorted(now.items())}


def main() -> int:
    """Run, report and return the exit code."""
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="vault-auth-soak-") as directory, ExitStack() as stack:
        findings = Soak(Path(directory), options, stack).run()
    found = findings.as_json()
    say(table(found))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    if options.manual:
        write_into(options.manual, table(found))
    if findings.wrong:
        say(f"logins that ended as none may ({', '.join(NEVER)}): {findings.wrong}")
    if findings.troubled:
        say(f"{findings.troubled} logins with the right hash were turned away")
    growing = findings.growing(
        {"logins": options.allowed, "homeserver": options.allowed_homeserver}
    )
    for what in growing:
        say(f"grown: {what}")
    is_complete = logins(findings.tally) == options.logins
    return 0 if is_complete and not findings.wrong and not growing else 1


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benches.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800, help="how long it is to take")
    parser.add_argument("--logins", type=int, help="on the reactor; 10000 a minute")
    parser.add_argument("--restart-every", type=float, default=60, help="in seconds")
    parser.add_argument("--homeserver-rate", type=float, default=4, help="logins a second, at most")
    parser.add_argument("--allowed", type=float, default=5, help="growth in MB")
    parser.add_argument("--allowed-homeserver", type=float, default=30, help="that of Synapse")
    parser.add_argument("--json", type=Path, help="the file for what was found")
    parser.add_argument("--manual", type=Path, help="the page that shows it as a table")
    options = parser.parse_args()
    if options.logins is None:
        options.logins = round(options.seconds * 10_000 / 60)
    return options


def write_into(page: Path, text: str) -> None:
    """Replace what stands between two markers."""
    before, _, after = page.read_text().split(MARKER)
    page.write_text(f"{before}{MARKER}\n\n{text}\n\n{MARKER}{after}")


def say(text: str) -> None:
    """Print for the person who watches."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
