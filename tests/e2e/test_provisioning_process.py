"""Provisioners in processes that fork, are interrupted, and end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.provisioning import Means, new_id
from tests.harness.waiting import WAIT_LIMIT, wait_until
from tests.pythons import Interpreter, interpreters, python_with_synapse
from tests.servers import BrokenVault
from tests.servers.broken_vault import silence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.provisioning import Site

BEGINNING = """
import asyncio, json, os, signal, sys, threading, time
from synapse_vault_auth_provider.provisioning import Provisioner

settings, user_ids = json.load(sys.stdin)
provisioner = Provisioner(**settings)
"""

FORKING = """
assert provisioner.provision_user(user_ids[0]).matrix_user_id == user_ids[0]

async def provision(user_id):
    user = await provisioner.provision_user_async(user_id)
    assert user.matrix_user_id == user_id

child = os.fork()
if child == 0:
    assert provisioner.provision_user(user_ids[1]).matrix_user_id == user_ids[1]
    asyncio.run(provision(user_ids[2]))
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
asyncio.run(provision(user_ids[3]))
assert len(provisioner.list_users()) >= 4
"""

INTERRUPTED = """
try:
    provisioner.provision_user(user_ids[0])
except KeyboardInterrupt:
    print("interrupted")
"""

ENDS = {
    "tasks that wait": """
async def main():
    tasks = [asyncio.ensure_future(provisioner.provision_user_async(one)) for one in user_ids]
    await asyncio.sleep(0.2)
    sys.exit(3)

asyncio.run(main())
""",
    "a loop that is left behind": """
loop = asyncio.new_event_loop()

async def begin():
    return [provisioner.provision_user_async(one) for one in user_ids]

waiting = loop.run_until_complete(begin())
time.sleep(0.2)
sys.exit(3)
""",
    "a daemon thread that blocks": """
def provision():
    try:
        provisioner.provision_user(user_ids[0])
    except RuntimeError as error:
        assert str(error) == "the interpreter is about to exit"

threading.Thread(target=provision, daemon=True).start()
time.sleep(0.2)
sys.exit(3)
""",
    "daemon threads that begin": """
def provision():
    while True:
        try:
            provisioner.provision_user(user_ids[0])
        except Exception:
            pass

for _ in range(4):
    threading.Thread(target=provision, daemon=True).start()
time.sleep(0.2)
sys.exit(3)
""",
}

BAD_ENDS = ("Fatal", "fatal", "Aborted", "panicked", "Traceback", "never retrieved")


@pytest.fixture
def silent_vault() -> Iterator[BrokenVault]:
    vault = BrokenVault()
    vault.listen(silence)
    yield vault
    vault.close()


def start(
    program: str, settings: dict[str, Any], python: str = sys.executable, count: int = 4
) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [python, "-c", BEGINNING + program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"]},
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps([settings, [new_id("process") for _ in range(count)]]))
    process.stdin.close()
    process.stdin = None
    return process


def end(site: Site, process: subprocess.Popen[str]) -> tuple[str, str]:
    output, errors = process.communicate(timeout=WAIT_LIMIT)
    site.confidential.check_text(output + errors)
    return output, errors


def test_a_provisioner_that_is_closed(site: Site) -> None:
    provisioner = site.provisioner(Means.ADMIN_API)
    user_id = new_id("process")
    with provisioner as entered:
        assert entered is provisioner
        site.seen(provisioner.provision_user(user_id))
    provisioner.close()
    with pytest.raises(RuntimeError, match="the Provisioner is closed"):
        provisioner.login(user_id)

    async def login() -> None:
        await provisioner.login_async(user_id)

    with pytest.raises(RuntimeError, match="the Provisioner is closed"):
        asyncio.run(login())
    assert repr(provisioner) == f"<Provisioner of example.org at {site.synapse.url}>"


def test_what_is_under_way_ends_after_the_provisioner_is_closed(site: Site) -> None:
    user_id = new_id("process")

    async def provision() -> None:
        provisioner = site.provisioner(Means.ADMIN_API)
        under_way = asyncio.ensure_future(provisioner.provision_user_async(user_id))
        await asyncio.sleep(0)
        provisioner.close()
        assert site.seen(await under_way).matrix_user_id == user_id

    asyncio.run(provision())


def test_a_fork(site: Site) -> None:
    process = start(FORKING, site.settings(Means.ADMIN_API))
    _, errors = end(site, process)
    assert process.returncode == 0, errors


def test_an_interrupt_ends_a_verb(site: Site, silent_vault: BrokenVault) -> None:
    settings = site.settings(Means.ADMIN_API, vault_url=silent_vault.url, timeout="10m")
    process = start(INTERRUPTED, settings)
    assert silent_vault.connected.wait(WAIT_LIMIT)
    process.send_signal(signal.SIGINT)
    output, errors = end(site, process)
    assert (process.returncode, output) == (0, "interrupted\n"), errors


def test_a_task_that_is_cancelled(site: Site, silent_vault: BrokenVault) -> None:
    settings = site.settings(Means.ADMIN_API, vault_url=silent_vault.url, timeout="10m")

    async def cancel() -> None:
        async with site.provisioner(**settings) as provisioner:
            task = asyncio.ensure_future(provisioner.provision_user_async(new_id("process")))
            await asyncio.to_thread(silent_vault.connected.wait, WAIT_LIMIT)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(provisioner.login_async(new_id("process")), 0.1)
            # What they wanted of Vault is given up as well.
            await asyncio.to_thread(
                wait_until, "nobody waits for Vault", lambda: not silent_vault._open
            )

    asyncio.run(cancel())


@pytest.mark.parametrize("interpreter", interpreters(), ids=str)
@pytest.mark.parametrize("program", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("is_answered", [False, True], ids=["silence", "answers"])
def test_the_interpreter_ends_under_way(
    site: Site,
    silent_vault: BrokenVault,
    interpreter: Interpreter,
    program: str,
    is_answered: bool,
) -> None:
    vault_url = site.openbao.url if is_answered else silent_vault.url
    settings = site.settings(Means.ADMIN_API, vault_url=vault_url, timeout="10m")
    process = start(program, settings, str(python_with_synapse(interpreter)), count=20)
    _, errors = end(site, process)
    assert process.returncode == 3, errors
    assert [bad for bad in BAD_ENDS if bad in errors] == [], errors
