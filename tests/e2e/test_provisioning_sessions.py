"""Logging in and out with the secrets that provisioning keeps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider.provisioning import (
    ConfigurationError,
    ConflictError,
    HomeserverError,
    VaultError,
)

from tests.harness.provisioning import Means, localpart_of, new_id
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from tests.harness.provisioning import Site

ALL_RIGHTS = pytest.mark.parametrize(
    "means", [None, *Means], ids=lambda means: means.value if means else "no rights"
)
"""Logging in takes no right to create accounts."""


def provisioned(site: Site, means: Means = Means.ADMIN_API) -> str:
    user_id = new_id()
    site.provisioner(means).provision_user(user_id, with_token=False)
    return user_id


@ALL_RIGHTS
def test_a_login(site: Site, means: Means | None) -> None:
    user_id = provisioned(site)
    login = site.seen(site.provisioner(means).login(localpart_of(user_id)))
    assert login.as_dict() == {
        "matrix_user_id": user_id,
        "access_token": login.access_token,
        "device_id": login.device_id,
        "expires_in": None,
        "home_server": SERVER_NAME,
    }
    assert repr(login) == f"Login(matrix_user_id='{user_id}', device_id='{login.device_id}')"
    assert site.user_of(login.access_token) == user_id
    assert site.device_of(login.access_token) == login.device_id


def test_a_device_of_ones_own(site: Site) -> None:
    user_id = provisioned(site)
    provisioner = site.provisioner()
    first = site.seen(provisioner.login(user_id, device_id="WORKER", device_name="A worker"))
    assert first.device_id == "WORKER"
    (device,) = site.devices(user_id)
    assert (device["device_id"], device["display_name"]) == ("WORKER", "A worker")
    second = site.seen(provisioner.login(user_id, device_id="WORKER"))
    assert site.user_of(second.access_token) == user_id
    assert len(site.devices(user_id)) == 1
    # What ends a device ends all of its sessions.
    site.seen(provisioner.login(user_id, logout_others=True))
    for session in (first, second):
        assert site.user_of(session.access_token) is None


@ALL_RIGHTS
def test_the_others_are_logged_out(site: Site, means: Means | None) -> None:
    user_id = provisioned(site)
    provisioner = site.provisioner(means)
    others = [site.seen(provisioner.login(user_id)) for _ in range(3)]
    login = site.seen(provisioner.login(user_id, logout_others=True))
    assert [site.user_of(other.access_token) for other in others] == [None] * 3
    assert site.user_of(login.access_token) == user_id
    assert [device["device_id"] for device in site.devices(user_id)] == [login.device_id]
    # Where there are none, too.
    login = site.seen(provisioner.login(user_id, device_id=login.device_id, logout_others=True))
    assert site.user_of(login.access_token) == user_id


def test_a_logout(site: Site) -> None:
    user_id = provisioned(site)
    provisioner = site.provisioner()
    one, other = (site.seen(provisioner.login(user_id)) for _ in range(2))
    provisioner.logout(one.access_token)
    assert site.user_of(one.access_token) is None
    assert site.user_of(other.access_token) == user_id
    # One that is dead already, and one that never lived.
    assert provisioner.logout(one.access_token) is None  # type: ignore[func-returns-value]
    provisioner.logout("syt_of_nobody")
    for token in ("", "a b", "a\nb"):
        error = site.error(ConfigurationError, provisioner.logout, token)
        assert error.key == "access_token"


def test_in_an_event_loop(site: Site) -> None:
    user_id = provisioned(site)

    async def log_in_and_out() -> None:
        async with site.provisioner() as provisioner:
            login = site.seen(await provisioner.login_async(user_id, device_id="LOOP"))
            assert login.device_id == "LOOP"
            assert site.user_of(login.access_token) == user_id
            assert await provisioner.logout_async(login.access_token) is None  # type: ignore[func-returns-value]
            assert site.user_of(login.access_token) is None

    asyncio.run(log_in_and_out())


def test_a_user_whom_vault_does_not_know(site: Site) -> None:
    user_id = new_id()
    site.register(user_id)
    error = site.error(VaultError, lambda: site.provisioner().login(user_id))
    assert f"no secret of {user_id} at secret/matrix/users/{user_id}" in error.message
    assert "provision the user first" in (error.advice or "")


def test_a_user_whom_the_homeserver_does_not_know(site: Site) -> None:
    user_id = new_id()
    site.put(user_id, {"login_secret": "a secret without an account"})
    error = site.error(HomeserverError, lambda: site.provisioner().login(user_id))
    assert (error.status, error.errcode) == (403, "M_FORBIDDEN")
    assert error.advice


@pytest.mark.parametrize("fields", [{}, {"login_secret": ""}, {"login_secret": ["x"]}], ids=str)
def test_an_entry_that_is_of_no_use(site: Site, fields: dict[str, object]) -> None:
    user_id = new_id()
    site.put(user_id, fields)
    provisioner = site.provisioner()
    for verb in (provisioner.login, provisioner.rotate_secret):
        error = site.error(ConflictError, verb, user_id)
        assert "holds no usable secret" in error.message
    assert site.entry(user_id) == fields


def test_an_id_of_old_times(site: Site) -> None:
    """It cannot be provisioned today, and it logs in."""
    user_id = site.synapse.insert_user(f"@Provisioned Long Ago:{SERVER_NAME}")
    site.put(user_id, {"login_secret": "the secret of long ago"})
    login = site.seen(site.provisioner().login(user_id))
    assert login.matrix_user_id == user_id
    assert site.user_of(login.access_token) == user_id


def test_a_deactivated_account(site: Site) -> None:
    user_id = provisioned(site)
    assert site.admin("POST", f"v1/deactivate/{user_id}", {"erase": False}).ok
    error = site.error(HomeserverError, lambda: site.provisioner().login(user_id))
    assert (error.status, error.errcode) == (403, "M_USER_DEACTIVATED")
    assert "does not take the secret" not in str(error)
