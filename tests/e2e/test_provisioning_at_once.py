"""Many who provision at once: one account and one secret each, and nobody fails."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.harness.provisioning import Means, by_both_means, new_id

if TYPE_CHECKING:
    from synapse_vault_auth_provider.provisioning import ProvisionedUser, Provisioner

    from tests.harness.provisioning import Site

MANY = 50

PROGRAM = """
import asyncio, json, sys
from synapse_vault_auth_provider.provisioning import Provisioner

async def provision(settings, user_ids):
    async with Provisioner(**settings) as provisioner:
        users = [provisioner.provision_user_async(user_id) for user_id in user_ids]
        return [user.as_dict() for user in await asyncio.gather(*users)]

settings, user_ids = json.load(sys.stdin)
print(json.dumps(asyncio.run(provision(settings, user_ids))))
"""


def provision_at_once(provisioner: Provisioner, user_ids: list[str]) -> list[ProvisionedUser]:
    async def provision() -> list[ProvisionedUser]:
        return await asyncio.gather(
            *(provisioner.provision_user_async(user_id) for user_id in user_ids)
        )

    return asyncio.run(provision())


@by_both_means
def test_different_users(site: Site, means: Means) -> None:
    user_ids = [new_id("crowd") for _ in range(MANY)]
    users = provision_at_once(site.provisioner(means), user_ids)
    assert [user.matrix_user_id for user in users] == user_ids
    for user in users:
        assert not site.seen(user).already_exists
        assert site.user_of(user.access_token or "") == user.matrix_user_id
        site.check_finished(user.matrix_user_id)
    assert len({site.secret(user_id) for user_id in user_ids}) == MANY


@by_both_means
def test_the_same_user(site: Site, means: Means) -> None:
    user_id = new_id("crowd")
    users = provision_at_once(site.provisioner(means), [user_id] * MANY)
    site.newest(user_id)
    assert [user.already_exists for user in users].count(False) == 1
    for user in users:
        assert site.user_of(site.seen(user).access_token or "") == user_id
    assert len({user.device_id for user in users}) == MANY
    site.check_finished(user_id)


@by_both_means
def test_the_same_users_from_two_processes(site: Site, means: Means) -> None:
    user_ids = [new_id("crowd") for _ in range(20)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": os.environ["PATH"]},
        )
        for _ in range(2)
    ]
    work = json.dumps([site.settings(means), user_ids])
    with ThreadPoolExecutor() as threads:
        outputs = list(threads.map(lambda process: process.communicate(work, 120), processes))
    for user_id in user_ids:
        site.newest(user_id)
    for process, (_, errors) in zip(processes, outputs, strict=True):
        site.confidential.check_text(errors)
        assert process.returncode == 0, errors
    both = [json.loads(output) for output, _ in outputs]
    for one, other in zip(*both, strict=True):
        assert one["matrix_user_id"] == other["matrix_user_id"]
        assert {one["already_exists"], other["already_exists"]} == {True, False}
        for user in (one, other):
            site.confidential.add(user["access_token"])
            assert site.user_of(user["access_token"]) == user["matrix_user_id"]
        site.check_finished(one["matrix_user_id"])


def test_event_loops_and_threads_share_a_provisioner(site: Site) -> None:
    provisioner = site.provisioner(Means.ADMIN_API)
    begin = threading.Barrier(6)

    def block(user_id: str) -> ProvisionedUser:
        begin.wait()
        return provisioner.provision_user(user_id, with_token=False)

    def loop(user_id: str) -> ProvisionedUser:
        begin.wait()
        return provision_at_once(provisioner, [user_id])[0]

    user_ids = [new_id("crowd") for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        blocking = [threads.submit(block, user_id) for user_id in user_ids[:3]]
        looping = [threads.submit(loop, user_id) for user_id in user_ids[3:]]
        found = [future.result() for future in [*blocking, *looping]]
    assert [site.seen(user).matrix_user_id for user in found] == user_ids
    for user_id in user_ids:
        site.check_finished(user_id)


def test_one_event_loop_after_the_other(site: Site) -> None:
    provisioner = site.provisioner(Means.ADMIN_API)
    user_id = new_id("crowd")
    found = [site.seen(provision_at_once(provisioner, [user_id])[0]) for _ in range(3)]
    assert [user.already_exists for user in found] == [False, True, True]
