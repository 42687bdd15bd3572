"""Whether memory stays flat: many logins with secrets kept in memory, and the process's size.

Run by ``python -m benches.memory``. It drives the module's core as a homeserver does, against an
OpenBao of its own. Ends with 1 if the process grew by more than is allowed once every user had
logged in, and with 0 otherwise.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from tests.harness.accounts import PATH_ROOT, Account
from tests.harness.confidential import Confidential
from tests.harness.login_service import LoginDriver
from tests.harness.stack import Stack
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import OpenBao

IN_FLIGHT = 64
"""How many logins are under way at the same time."""

WRITERS = 8
"""How many secrets are written at the same time."""

MOSTLY_RIGHT = 20
"""One of so many logins has a wrong hash."""


def main() -> int:
    """Run the benchmark and return the exit code."""
    options = arguments()
    with (
        tempfile.TemporaryDirectory(prefix="vault-auth-memory-") as directory,
        Stack(Path(directory), Confidential()) as stack,
    ):
        return 0 if is_flat(stack, options) else 1


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benches.memory", description=__doc__)
    parser.add_argument("--logins", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--every", type=int, default=10_000, help="logins between two lines")
    parser.add_argument("--ttl", default="1s", help="how long secrets open without a read")
    parser.add_argument("--allowed", type=float, default=5.0, help="growth in MB")
    return parser.parse_args()


def is_flat(stack: Stack, options: argparse.Namespace) -> bool:
    """Log in, print the size of the process now and then, and compare it with that at first."""
    accounts = write_accounts(stack.openbao, options.users)
    cache = {"ttl": options.ttl, "stale_if_error": "1h", "max_entries": options.users}
    config = stack.module_config(login_timeout="1m", cache=cache)
    with LoginDriver(config) as core:
        say(f"{'logins':>9} {'RSS in MB':>10}")
        say(f"{0:>9} {resident():>10.1f}")
        log_all_in(core, ((account, True) for account in accounts))
        warm = resident()
        say(f"{options.users:>9} {warm:>10.1f}  every user once")
        sizes = []
        done = options.users
        while done < options.logins:
            count = min(options.every, options.logins - done)
            log_all_in(core, choose(accounts, count))
            done += count
            sizes.append(resident())
            say(f"{done:>9} {sizes[-1]:>10.1f}")
    growth = max(sizes, default=warm) - warm
    say(f"grown by {growth:.1f} MB at most; {options.allowed:.1f} MB are allowed")
    return growth <= float(options.allowed)


def write_accounts(openbao: OpenBao, count: int) -> list[Account]:
    """Make up users and write their secrets, over connections that stay."""
    accounts = [
        Account.with_a_secret_of_its_own(f"@memory-{number}:{SERVER_NAME}")
        for number in range(count)
    ]
    with ThreadPoolExecutor(WRITERS) as pool:
        for _ in pool.map(lambda account: write(openbao, account), accounts):
            pass
    return accounts


def write(openbao: OpenBao, account: Account) -> None:
    """Write one secret."""
    openbao.write(f"{PATH_ROOT}/{account.user_id}", {"login_secret": account.login_secret})


def choose(accounts: list[Account], count: int) -> Iterator[tuple[Account, bool]]:
    """Return so many users, in no order, each with whether the hash is to be right."""
    chance = random.Random(count)
    for _ in range(count):
        yield chance.choice(accounts), chance.randrange(MOSTLY_RIGHT) > 0


def log_all_in(core: LoginDriver, logins: Iterator[tuple[Account, bool]]) -> None:
    """Log in with each, some at the same time; raise if one ends as it should not."""
    expected: dict[int, str] = {}
    while True:
        for account, is_right in itertools.islice(logins, IN_FLIGHT - len(expected)):
            presented = account.token_hash if is_right else "0" * 64
            number = core.begin(account.user_id, presented)
            expected[number] = "ok" if is_right else "bad_hash"
        if not expected:
            return
        for number, outcome in core.take_decided().items():
            if outcome.code != expected.pop(number):
                raise RuntimeError(f"a login ended with {outcome.code}: {outcome.reason}")


def resident() -> float:
    """Return the memory that the process has, in MB.

    See proc(5): the second field of ``/proc/self/statm``.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def say(text: str) -> None:
    """Print for the person who watches."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
