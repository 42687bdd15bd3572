"""Profiles that are set, and users that are listed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from synapse_vault_auth_provider.provisioning import (
    ConfigurationError,
    HomeserverError,
    VaultError,
)

from tests.harness.provisioning import PNG, Means, Site, by_both_means, new_id, new_name
from tests.harness.scaffold import Scaffold
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import OpenBao

BY = ["the admin API", "a login", "a token"]


@pytest.mark.parametrize("by", BY)
def test_a_profile(site: Site, by: str, tmp_path: Path) -> None:
    user_id = new_id()
    session = site.seen(site.provisioner(Means.ADMIN_API).provision_user(user_id))
    provisioner = site.provisioner(Means.ADMIN_API if by == "the admin API" else None)
    token: dict[str, Any] = {"access_token": session.access_token} if by == "a token" else {}
    avatar = tmp_path / "avatar.png"
    avatar.write_bytes(PNG)
    profile = site.seen(
        provisioner.update_profile(user_id, display_name="Ü", avatar=str(avatar), **token)
    )
    assert profile.as_dict() == {
        "matrix_user_id": user_id,
        "display_name": "Ü",
        "avatar_url": profile.avatar_url,
    }
    assert site.profile(user_id) == {"displayname": "Ü", "avatar_url": profile.avatar_url}
    # What is not given stays.
    profile = site.seen(provisioner.update_profile(user_id, display_name="B", **token))
    assert (profile.display_name, profile.avatar_url) == ("B", None)
    mxc = f"mxc://{SERVER_NAME}/another"
    provisioner.update_profile(user_id, avatar=mxc, **token)
    assert site.profile(user_id) == {"displayname": "B", "avatar_url": mxc}
    assert [device["device_id"] for device in site.devices(user_id)] == [session.device_id]


def test_in_an_event_loop(site: Site) -> None:
    user_id = new_id()

    async def update() -> None:
        async with site.provisioner(Means.ADMIN_API) as provisioner:
            await provisioner.provision_user_async(user_id, with_token=False)
            profile = await provisioner.update_profile_async(user_id, display_name="Loop")
            assert repr(profile) == (
                f"Profile(matrix_user_id='{user_id}', display_name='Loop', avatar_url=None)"
            )
            assert user_id in {user.matrix_user_id for user in await provisioner.list_users_async()}

    asyncio.run(update())
    assert site.profile(user_id)["displayname"] == "Loop"


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({}, "display_name"),
        ({"avatar": "/nonexistent.png"}, "avatar"),
        ({"display_name": "x", "access_token": ""}, "access_token"),
        ({"display_name": "x", "access_token": "a b"}, "access_token"),
    ],
    ids=str,
)
def test_wrong_arguments(site: Site, arguments: dict[str, Any], key: str) -> None:
    provisioner = site.provisioner(Means.ADMIN_API)
    error = site.error(
        ConfigurationError, lambda: provisioner.update_profile(new_id(), **arguments)
    )
    assert error.key == key


def test_nobody_is_created_for_a_profile(site: Site) -> None:
    user_id = new_id()
    error = site.error(
        HomeserverError,
        lambda: site.provisioner(Means.ADMIN_API).update_profile(user_id, display_name="x"),
    )
    assert (error.status, error.errcode) == (404, "M_NOT_FOUND")
    assert site.account(user_id) is None
    site.error(VaultError, lambda: site.provisioner().update_profile(user_id, display_name="x"))
    error = site.error(
        HomeserverError,
        lambda: site.provisioner().update_profile(user_id, display_name="x", access_token="none"),
    )
    assert (error.status, error.errcode) == (401, "M_UNKNOWN_TOKEN")


def test_the_token_of_another_user(site: Site) -> None:
    user_id, other = new_id(), new_id()
    provisioner = site.provisioner(Means.ADMIN_API)
    provisioner.provision_user(user_id, display_name="Mine", with_token=False)
    token = site.seen(provisioner.provision_user(other)).access_token
    error = site.error(
        HomeserverError,
        lambda: provisioner.update_profile(user_id, display_name="Not", access_token=token),
    )
    assert error.status in (400, 403)
    assert site.profile(user_id)["displayname"] == "Mine"


@pytest.fixture
def listing_site(site: Site, openbao: OpenBao) -> Site:
    """Return where nobody else writes entries."""
    root = new_name("root")
    policy = "".join(
        f'path "secret/{kind}/{root}/*" {{ capabilities = ["create", "read", "update", "list"] }}\n'
        for kind in ("data", "metadata", "destroy")
    )
    listing = object.__new__(Site)
    vars(listing).update(vars(site))
    listing.vault_token = site.confidential.add(openbao.create_token(root, policy))
    listing.root = root
    return listing


@by_both_means
def test_all_kinds_of_entries(listing_site: Site, means: Means) -> None:
    site = listing_site
    provisioner = site.provisioner(means)
    assert provisioner.list_users() == []
    ready, folder, unfinished = (
        new_id("list-b"),
        f"@{new_name('list-a')}/x/y:{SERVER_NAME}",
        new_id(),
    )
    provisioner.provision_user(folder, external_id="7", with_token=False)
    provisioner.provision_user(ready, with_token=False)
    with Scaffold(site) as scaffold:
        scaffold.kill_at_creation(answered=False, means=means, user_id=unfinished, external_id="8")
    unusable, old, deleted = new_id("unusable"), f"@A Ü:{SERVER_NAME}", new_id("deleted")
    site.put(unusable, {"login_secret": 7, "external_id": "9"})
    site.put(old, {"login_secret": "of long ago"})
    site.put(deleted, {"login_secret": "of long ago"})
    site.openbao.api("DELETE", f"secret/data/{site.root}/{deleted}")
    for foreign in ("@alice:other.org", "no-user", "folder/no-user", "@alice"):
        site.put(foreign, {"login_secret": "of somebody else"})
    site.newest(unfinished)
    listed = [site.seen(user).as_dict() for user in provisioner.list_users()]
    assert listed == [
        {"matrix_user_id": user_id, "state": state, "external_id": external_id}
        for user_id, state, external_id in sorted(
            [
                (ready, "ready", None),
                (folder, "ready", "7"),
                (unfinished, "unfinished", "8"),
                (unusable, "unusable", None),
                (old, "ready", None),
            ]
        )
    ]


def test_many_users(listing_site: Site) -> None:
    site = listing_site
    user_ids = sorted(new_id("listed") for _ in range(100))
    for user_id in user_ids:
        site.put(user_id, {"login_secret": f"the secret of {user_id}"})
    listed = site.provisioner().list_users()
    assert [user.matrix_user_id for user in listed] == user_ids
