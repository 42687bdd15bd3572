"""A hundred logins at once while Vault takes 200 ms for everything.

Run by ``python -m benches.slow_vault``. Prints how long it takes until all are answered and how
long other requests of the homeserver take meanwhile, beside a module that refuses every login
without asking anyone: the homeserver's own share. Each is measured in turn, several times, in one
run.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import requests
from synapse_vault_auth_provider import token_hash

from tests.servers import OpenBao, Relay, Synapse

DELAY = 0.2
"""Time that Vault takes for every answer, in seconds."""


@dataclass
class Measured:
    """Times of several rounds, in seconds."""

    all_answered: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)

    def row(self, name: str) -> str:
        """One line of the table."""
        return (
            f"{name:<34}{statistics.median(self.all_answered):>10.2f}"
            f"{min(self.all_answered):>8.2f} to {max(self.all_answered):.2f}"
            f"{1000 * quantile(self.others, 0.5):>12.0f}{1000 * quantile(self.others, 0.99):>8.0f}"
        )


def quantile(values: list[float], part: float) -> float:
    """Return the value that this part of the others is not above."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def measure(synapse: Synapse, logins: list[tuple[str, str]], expected: int, to: Measured) -> None:
    """Send all logins at once, and other requests one after the other until they are answered."""
    gate = threading.Barrier(len(logins) + 1)
    done = threading.Event()

    def log_in(user_id: str, presented: str) -> float:
        gate.wait()
        status = synapse.login(user_id, presented).status_code
        if status != expected:
            raise RuntimeError(f"a login was answered with {status}")
        return time.perf_counter()

    def ask_others() -> None:
        with requests.Session() as session:
            while not done.is_set():
                started = time.perf_counter()
                session.get(f"{synapse.url}/_matrix/client/versions", timeout=60)
                to.others.append(time.perf_counter() - started)

    with ThreadPoolExecutor(len(logins) + 1) as pool:
        answered = [pool.submit(log_in, *login) for login in logins]
        gate.wait()
        started = time.perf_counter()
        other = pool.submit(ask_others)
        to.all_answered.append(max(login.result() for login in answered) - started)
        done.set()
        other.result()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--logins", type=int, default=100)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bao = OpenBao(directory / "openbao")
        stack.callback(bao.stop)
        bao.start()
        relay = stack.enter_context(Relay(bao.url))
        relay.delay = DELAY
        config = {
            "vault_url": relay.url,
            "vault_token": bao.root_token,
            "vault_path_root": "matrix/users",
        }
        ours = Synapse(directory / "ours", config, log_level="WARNING")
        refusing = Synapse(
            directory / "refusing",
            {},
            module="tests.servers.refusing_provider.RefusingProvider",
            environment={"PYTHONPATH": str(Path(__file__).parents[1])},
            log_level="WARNING",
        )
        for synapse in (ours, refusing):
            stack.callback(synapse.stop)
            synapse.start()
        right = []
        for number in range(arguments.logins):
            user_id = ours.register(f"user{number}")
            refusing.register(f"user{number}")
            login_secret = hashlib.sha256(user_id.encode()).hexdigest()
            bao.write(f"matrix/users/{user_id}", {"login_secret": login_secret})
            right.append((user_id, token_hash(login_secret, user_id)))
        wrong = [(user_id, "0" * 64) for user_id, _ in right]

        accepted, refused, base = Measured(), Measured(), Measured()
        for _ in range(arguments.rounds):
            measure(refusing, wrong, 403, base)
            measure(ours, wrong, 403, refused)
            measure(ours, right, 200, accepted)
    print(
        f"{arguments.logins} logins at once, Vault {1000 * DELAY:.0f} ms away, "
        f"{arguments.rounds} rounds"
    )
    print(f"{'':<34}{'all answered, s':>26}{'others, ms':>20}")
    print(f"{'':<34}{'median':>10}{'range':>16}{'p50':>12}{'p99':>8}")
    print(base.row("refused without asking anyone"))
    print(refused.row("refused by this module"))
    print(accepted.row("accepted by this module"))
    beyond = statistics.median(refused.all_answered) - statistics.median(base.all_answered)
    print(f"beyond the homeserver's own share: {beyond:.2f} s, of which Vault takes {DELAY} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
