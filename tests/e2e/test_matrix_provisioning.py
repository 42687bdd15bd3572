"""The drop-in for services, on real servers and configured by the environment alone."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider import matrix_provisioning
from synapse_vault_auth_provider.matrix_provisioning import (
    get_matrix_login_token,
    provision_matrix_user,
    update_matrix_profile,
)
from synapse_vault_auth_provider.provisioning import ConflictError

from tests.harness.accounts import PATH_ROOT
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from synapse_vault_auth_provider.matrix_provisioning import MatrixUser

    from tests.harness.provisioning import Site

FORKING = """\
import asyncio, os, sys
from synapse_vault_auth_provider.matrix_provisioning import get_matrix_login_token
def token():
    return asyncio.run(get_matrix_login_token(sys.argv[1]))
print(token(), flush=True)
child = os.fork()
if child == 0:
    print(token(), flush=True)
    sys.exit()
_, status = os.waitpid(child, 0)
print(token(), flush=True)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.fixture(autouse=True)
def _environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("VAULT_", "BAO_", "SYNAPSE_VAULT_")):
            monkeypatch.delenv(name)
    for name, value in {
        "SYNAPSE_VAULT_HOMESERVER": site.synapse.url,
        "SYNAPSE_VAULT_SERVER_NAME": SERVER_NAME,
        "SYNAPSE_VAULT_REGISTRATION_SHARED_SECRET": site.shared_secret,
        "SYNAPSE_VAULT_PATH_ROOT": PATH_ROOT,
        "VAULT_ADDR": site.openbao.url,
        "VAULT_TOKEN": site.vault_token,
    }.items():
        monkeypatch.setenv(name, value)
    # Not that of a test before, which had another environment.
    monkeypatch.setattr(matrix_provisioning, "_shared", None)


def provision(
    site: Site, user_id: str, email: str = "alice@example.com", name: str | None = None
) -> MatrixUser:
    user = asyncio.run(provision_matrix_user(user_id, email, name))
    site.confidential.add(user["access_token"] or "")
    return user


def test_a_user_gets_an_account_and_a_token(site: Site) -> None:
    user_id = str(uuid.uuid4())
    user = provision(site, user_id)
    matrix_user_id = f"@{user_id}:{SERVER_NAME}"
    assert user == {
        "matrix_user_id": matrix_user_id,
        "access_token": user["access_token"],
        "device_id": user["device_id"],
        "home_server": SERVER_NAME,
        "already_exists": False,
    }
    assert site.user_of(user["access_token"] or "") == matrix_user_id
    # The address has a name in front, and nothing of it is to be seen besides.
    assert site.profile(matrix_user_id)["displayname"] == "alice"
    assert site.entry(matrix_user_id)["external_id"] == user_id


def test_a_user_that_has_one_gets_a_token_all_the_same(site: Site) -> None:
    user_id = str(uuid.uuid4())
    first = provision(site, user_id, name="A Name")
    second = provision(site, user_id, name="A Name")
    assert second["already_exists"] is True
    assert second["matrix_user_id"] == first["matrix_user_id"]
    assert site.user_of(second["access_token"] or "") == first["matrix_user_id"]
    assert site.profile(first["matrix_user_id"])["displayname"] == "A Name"


def test_users_whose_accounts_would_be_one_are_told_apart(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNAPSE_VAULT_ACCOUNT_TEMPLATE", "daarion_{user_id:.8}")
    begin = uuid.uuid4().hex[:8]
    user = provision(site, f"{begin}-one")
    assert user["matrix_user_id"] == f"@daarion_{begin}:{SERVER_NAME}"
    with pytest.raises(ConflictError):
        provision(site, f"{begin}-two")


def test_many_event_loops_share_a_provisioner(site: Site) -> None:
    user_id = str(uuid.uuid4())

    async def several() -> list[MatrixUser]:
        return await asyncio.gather(
            *(provision_matrix_user(user_id, "alice@example.com") for _ in range(3))
        )

    with ThreadPoolExecutor(4) as threads:
        loops = [threads.submit(asyncio.run, several()) for _ in range(4)]
        users = [user for loop in loops for user in loop.result()]
    assert {user["matrix_user_id"] for user in users} == {f"@{user_id}:{SERVER_NAME}"}
    assert [user["already_exists"] for user in users].count(False) <= 1
    for user in users:
        token = site.confidential.add(user["access_token"] or "")
        assert site.user_of(token) == f"@{user_id}:{SERVER_NAME}"


def test_it_works_on_both_sides_of_a_fork(site: Site) -> None:
    matrix_user_id = provision(site, str(uuid.uuid4()))["matrix_user_id"]
    shown = subprocess.run(
        # From 3.12 on Python warns of forks of a process with threads.
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, matrix_user_id],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    tokens = [site.confidential.add(token) for token in shown.stdout.split()]
    assert len(set(tokens)) == 3
    assert {site.user_of(token) for token in tokens} == {matrix_user_id}


def test_a_token_is_there_for_who_has_a_secret(site: Site) -> None:
    matrix_user_id = provision(site, str(uuid.uuid4()))["matrix_user_id"]
    token = asyncio.run(get_matrix_login_token(matrix_user_id))
    assert token
    assert site.user_of(site.confidential.add(token)) == matrix_user_id
    assert asyncio.run(get_matrix_login_token(f"@nobody:{SERVER_NAME}")) is None


def test_a_profile_is_set_with_and_without_a_token(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    user = provision(site, str(uuid.uuid4()))
    matrix_user_id, token = user["matrix_user_id"], user["access_token"]
    assert asyncio.run(update_matrix_profile(matrix_user_id, "One"))
    assert site.profile(matrix_user_id)["displayname"] == "One"
    avatar = f"mxc://{SERVER_NAME}/abc"
    assert asyncio.run(update_matrix_profile(matrix_user_id, avatar_url=avatar, access_token=token))
    assert site.profile(matrix_user_id)["avatar_url"] == avatar
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    wrong = site.confidential.add("syt_a_token_that_is_none")
    assert not asyncio.run(update_matrix_profile(matrix_user_id, "Two", access_token=wrong))
    assert not asyncio.run(update_matrix_profile(f"@nobody:{SERVER_NAME}", "Two"))
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 2
    assert site.profile(matrix_user_id)["displayname"] == "One"
