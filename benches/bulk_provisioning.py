"""What a bulk import costs: users a second, memory, and what a second run finds to do.

    python -m benches.bulk_provisioning [--users 1000]

Runs ``synapse-vault provision --from`` over the admin API against a real Synapse and a real
OpenBao, kills it half-way, runs it again, and once more when all is done. Prints ratios to the
first run's pace.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from synapse_vault_auth_provider.provisioning import Provisioner

from tests.harness.accounts import PATH_ROOT
from tests.harness.confidential import Confidential
from tests.harness.stack import Stack
from tests.servers import OpenBao, Synapse

if TYPE_CHECKING:
    from collections.abc import Iterator


class Import:
    """One run of the command, watched."""

    def __init__(self, source: Path, config: Path, environment: dict[str, str]) -> None:
        self.command = [
            str(Path(sys.executable).with_name("synapse-vault")),
            *("-c", str(config), "--json", "provision", "--from", str(source)),
        ]
        self.environment = environment
        self.lines: list[dict[str, object]] = []
        self.resident: list[int] = []
        self.seconds = 0.0

    def run(self, kill_after: int | None = None) -> None:
        """Run it to its end, or kill it after so many results."""
        started = time.monotonic()
        with subprocess.Popen(
            self.command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            for line in process.stdout or ():
                self.lines.append(json.loads(line))
                if len(self.lines) % 50 == 0:
                    self.resident.append(resident_kib(process.pid))
                if len(self.lines) == kill_after:
                    process.send_signal(signal.SIGKILL)
        self.seconds = time.monotonic() - started


def resident_kib(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


@contextlib.contextmanager
def servers(directory: Path) -> Iterator[tuple[OpenBao, Synapse]]:
    with Stack(directory, Confidential()) as stack:
        homeserver = stack.start_homeserver(
            "bulk",
            log_level="WARNING",
            homeserver_yaml={"bcrypt_rounds": 12},
            vault_token=stack.openbao.root_token,
        )
        yield homeserver.openbao, homeserver.synapse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1000)
    users: int = parser.parse_args().users
    with tempfile.TemporaryDirectory() as name, servers(Path(name)) as (bao, synapse):
        vault = {"vault_url": bao.url, "vault_token": bao.root_token, "vault_path_root": PATH_ROOT}
        with Provisioner(
            synapse.url, "example.org", registration_shared_secret=synapse.shared_secret, **vault
        ) as provisioner:
            admin = provisioner.provision_user("admin", is_admin=True)
        environment = {
            "PATH": os.environ["PATH"],
            "SYNAPSE_VAULT_ADMIN_ACCESS_TOKEN": admin.access_token or "",
        }
        source = Path(name) / "users.csv"
        rows = (f"bulk-{number},{number}" for number in range(users))
        source.write_text("\n".join(["user_id,external_id", *rows]) + "\n")

        first = Import(source, synapse.config_path, environment)
        first.run(kill_after=users // 2)
        second = Import(source, synapse.config_path, environment)
        second.run()
        third = Import(source, synapse.config_path, environment)
        third.run()

        with Provisioner(synapse.url, "example.org", **vault) as provisioner:
            listed = [user for user in provisioner.list_users() if user.external_id]
        states = {user.state for user in listed}
        new = [line for line in (*first.lines, *second.lines) if not line["already_exists"]]
        pace = first.seconds / max(len(first.lines), 1)
        print(f"{users} users, killed after {len(first.lines)} results, run again")
        print(f"accounts: {len(listed)}, states: {states}, reported as new: {len(new)}")
        print(f"new users a second until the kill: {1 / pace:.1f}")
        print(f"both runs together: {first.seconds + second.seconds:.1f} s")
        print(
            f"a run that finds all done, per user: {third.seconds / users / pace:.2f} of a new one"
        )
        for name_of_run, run in (("second", second), ("third", third)):
            early, late = run.resident[0], run.resident[-1]
            print(f"memory of the {name_of_run} run, last to first sample: {late / early:.3f}")


if __name__ == "__main__":
    main()
