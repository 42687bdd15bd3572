"""Secrets that are replaced, and accounts that lose theirs."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider.provisioning import ConflictError, VaultError

from tests.harness.provisioning import SECRET, Means, by_both_means, new_id, new_name
from tests.harness.scaffold import Scaffold
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from tests.harness.provisioning import Site

PASSWORD = "the password of the owner"


def provisioned(site: Site, **arguments: object) -> str:
    user_id = new_id()
    provisioner = site.provisioner(Means.ADMIN_API)
    site.seen(provisioner.provision_user(user_id, **arguments))  # type: ignore[arg-type]
    return user_id


def test_another_secret(site: Site) -> None:
    user_id = provisioned(site, external_id="7")
    entry = site.entry(user_id)
    provisioner = site.provisioner()
    session = site.seen(provisioner.login(user_id))
    rotated = site.seen(provisioner.rotate_secret(user_id))
    assert rotated.as_dict() == {
        "matrix_user_id": user_id,
        "version": 3,
        "created_time": rotated.created_time,
        "former_kept": True,
        "warnings": [],
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", rotated.created_time or "")
    secret = site.secret(user_id)
    assert SECRET.fullmatch(secret)
    assert not site.opens(user_id, entry["login_secret"])
    assert site.opens(user_id, secret)
    assert site.entry(user_id)["external_id"] == "7"
    assert site.user_of(session.access_token) == user_id
    assert site.versions(user_id) == {1: "destroyed", 2: "live", 3: "live"}
    assert site.seen(provisioner.login(user_id))


def test_an_entry_of_somebody_elses_making_keeps_its_fields(site: Site) -> None:
    user_id = new_id()
    site.register(user_id)
    fields = {"login_secret": "chosen by hand", "display_name": "Hand", "n": [1, {"a": None}]}
    site.put(user_id, fields)
    assert site.provisioner().rotate_secret(user_id).version == 2
    assert site.entry(user_id) == {**fields, "login_secret": site.secret(user_id)}
    assert site.opens(user_id, site.secret(user_id))


def test_many_rotations_at_once(site: Site) -> None:
    user_id = provisioned(site)
    provisioner = site.provisioner()
    with ThreadPoolExecutor(4) as threads:
        rotated = list(threads.map(provisioner.rotate_secret, [user_id] * 4))
    assert {one.version for one in rotated} == {3, 4, 5, 6}
    assert site.opens(user_id, site.secret(user_id))


def test_in_an_event_loop(site: Site) -> None:
    user_id = provisioned(site)

    async def rotate_and_revoke() -> None:
        async with site.provisioner(Means.ADMIN_API) as provisioner:
            assert (await provisioner.rotate_secret_async(user_id)).version == 3
            assert (await provisioner.revoke_user_async(user_id)).secret_removed

    asyncio.run(rotate_and_revoke())
    assert site.versions(user_id) == {}


@by_both_means
def test_an_account_that_is_half_made(site: Site, means: Means) -> None:
    user_id = new_id()
    with Scaffold(site) as scaffold:
        scaffold.kill_at_creation(answered=True, means=means, user_id=user_id)
    intent = site.newest(user_id)
    provisioner = site.provisioner()
    for verb in (provisioner.login, provisioner.rotate_secret):
        error = site.error(ConflictError, verb, user_id)
        assert "half-made" in error.message
        assert "provision the user again" in (error.advice or "")
    assert site.newest(user_id) == intent


def test_nothing_to_rotate(site: Site) -> None:
    error = site.error(VaultError, lambda: site.provisioner().rotate_secret(new_id()))
    assert "Vault holds no secret" in error.message
    user_id = provisioned(site)
    site.openbao.api("DELETE", f"secret/data/matrix/users/{user_id}")
    site.error(VaultError, lambda: site.provisioner().rotate_secret(user_id))


@pytest.mark.parametrize("means", [None, *Means], ids=str)
@pytest.mark.parametrize("deactivate", [False, True])
def test_a_secret_is_taken_away(site: Site, means: Means | None, deactivate: bool) -> None:
    user_id = f"@{new_name()}/a+b=c:{SERVER_NAME}"
    site.provisioner(Means.ADMIN_API).provision_user(user_id, with_token=False)
    secret = site.secret(user_id)
    provisioner = site.provisioner(means)
    sessions = [site.seen(provisioner.login(user_id)) for _ in range(2)]
    revoked = site.seen(provisioner.revoke_user(user_id, deactivate=deactivate))
    assert revoked.as_dict() == {
        "matrix_user_id": user_id,
        "secret_removed": True,
        "sessions_ended": True,
        "sessions_end_at": None,
        "deactivated": deactivate,
        "warnings": revoked.warnings,
    }
    if deactivate:
        assert revoked.warnings == []
    assert [site.user_of(session.access_token) for session in sessions] == [None, None]
    assert site.versions(user_id) == {}
    assert not site.opens(user_id, secret)
    account = site.account(user_id)
    assert account is not None
    assert bool(account["deactivated"]) is deactivate
    # Twice does no harm, and says what it can.
    again = site.seen(provisioner.revoke_user(user_id, deactivate=deactivate))
    assert not again.secret_removed
    if means is Means.ADMIN_API:
        assert (again.sessions_ended, again.deactivated) == (True, deactivate)
        assert again.warnings == []
    else:
        assert (again.sessions_ended, again.deactivated) == (False, False)
        (warning,) = again.warnings
        assert "admin access token" in warning


@pytest.mark.parametrize("left", ["nothing", "a deleted entry", "an entry without a secret"])
def test_an_account_of_others_is_not_closed(site: Site, left: str) -> None:
    user_id = new_id()
    site.register(user_id, PASSWORD)
    if left != "nothing":
        site.put(user_id, {"login_secret": ""})
    if left == "a deleted entry":
        site.openbao.api("DELETE", f"secret/data/matrix/users/{user_id}")
    revoked = site.seen(site.provisioner(Means.ADMIN_API).revoke_user(user_id, deactivate=True))
    assert not revoked.deactivated
    (warning,) = revoked.warnings
    assert "was not deactivated" in warning
    assert site.password_opens(user_id, PASSWORD)


@pytest.mark.parametrize("means", [None, Means.ADMIN_API], ids=str)
def test_a_user_whom_nobody_knows(site: Site, means: Means | None) -> None:
    user_id = new_id()
    revoked = site.seen(site.provisioner(means).revoke_user(user_id, deactivate=True))
    assert (revoked.secret_removed, revoked.sessions_ended, revoked.deactivated) == (False,) * 3
    assert len(revoked.warnings) == 1
    assert site.account(user_id) is None


def test_only_an_administrator_ends_sessions_of_an_account_without_a_secret(site: Site) -> None:
    user_id = new_id()
    token = site.register(user_id, PASSWORD)["access_token"]
    site.put(user_id, {"login_secret": ""})
    revoked = site.seen(site.provisioner().revoke_user(user_id))
    assert (revoked.secret_removed, revoked.sessions_ended) == (True, False)
    assert "no usable secret" in revoked.warnings[0]
    assert site.versions(user_id) == {}
    assert site.user_of(token) == user_id
    revoked = site.seen(site.provisioner(Means.ADMIN_API).revoke_user(user_id))
    assert (revoked.secret_removed, revoked.sessions_ended) == (False, True)
    assert site.user_of(token) is None
    # The password is the owner's.
    assert site.password_opens(user_id, PASSWORD)


@by_both_means
def test_an_account_without_a_secret_is_nobodys_to_take(site: Site, means: Means) -> None:
    user_id = provisioned(site)
    provisioner = site.provisioner(means)
    provisioner.revoke_user(user_id)
    site.error(ConflictError, lambda: provisioner.provision_user(user_id))
    site.seen(provisioner.provision_user(user_id, adopt=True))
    assert site.versions(user_id) == {1: "live"}
