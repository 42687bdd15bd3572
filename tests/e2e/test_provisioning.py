"""What `provision_user` makes of an account, and what it returns."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider.provisioning import ConfigurationError

from tests.harness.provisioning import (
    PNG,
    SECRET,
    Means,
    by_both_means,
    localpart_of,
    new_id,
    new_name,
)
from tests.servers.synapse import SERVER_NAME, SYNAPSE_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.provisioning import Site


@by_both_means
def test_an_account_is_made(site: Site, means: Means) -> None:
    user_id = new_id()
    user = site.seen(site.provisioner(means).provision_user(user_id))
    assert user.as_dict() == {
        "matrix_user_id": user_id,
        "access_token": user.access_token,
        "device_id": user.device_id,
        "expires_in": None,
        "home_server": SERVER_NAME,
        "already_exists": False,
        "cross_signing_reset_until": None,
        "warnings": [],
    }
    assert repr(user) == (
        f"ProvisionedUser(matrix_user_id='{user_id}', device_id='{user.device_id}',"
        " already_exists=False)"
    )
    assert user.access_token is not None
    assert site.user_of(user.access_token) == user_id
    assert site.device_of(user.access_token) == user.device_id
    # No other session is left over.
    assert [device["device_id"] for device in site.devices(user_id)] == [user.device_id]
    entry = site.entry(user_id)
    assert SECRET.fullmatch(entry["login_secret"])
    assert "external_id" not in entry
    site.check_finished(user_id)
    assert site.versions(user_id) == {1: "destroyed", 2: "live"}
    with pytest.raises(RuntimeError, match="404"):
        site.openbao.api("GET", f"secret/data/matrix/users/{user_id}?version=1")


@by_both_means
def test_an_account_that_is_there_gets_a_token_all_the_same(site: Site, means: Means) -> None:
    user_id = new_id()
    provisioner = site.provisioner(means)
    first = site.seen(provisioner.provision_user(user_id))
    entry = site.entry(user_id)
    second = site.seen(provisioner.provision_user(user_id))
    assert (first.already_exists, second.already_exists) == (False, True)
    assert second.access_token != first.access_token
    assert {site.user_of(token or "") for token in (first.access_token, second.access_token)} == {
        user_id
    }
    assert site.entry(user_id) == entry
    assert site.versions(user_id) == {1: "destroyed", 2: "live"}
    # Whoever provisions it with other rights finds it too.
    assert site.seen(site.provisioner(means.other).provision_user(user_id)).already_exists


@by_both_means
def test_in_an_event_loop(site: Site, means: Means) -> None:
    async def provision() -> None:
        async with site.provisioner(means) as provisioner:
            user_id = new_id()
            user = site.seen(await provisioner.provision_user_async(localpart_of(user_id)))
            assert user.matrix_user_id == user_id
            assert site.user_of(user.access_token or "") == user_id
            site.check_finished(user_id)

    asyncio.run(provision())


@by_both_means
def test_all_attributes_at_once(site: Site, means: Means, tmp_path: Path) -> None:
    user_id = new_id()
    avatar = tmp_path / "avatar"
    avatar.write_bytes(PNG)
    provisioner = site.provisioner(means)
    user = provisioner.provision_user(
        user_id,
        display_name="Zoë & Co. 🙂",
        avatar=str(avatar),
        is_admin=True,
        user_type="bot",
        external_id="ext/7 ü",
    )
    site.seen(user)
    profile = site.profile(user_id)
    assert profile["displayname"] == "Zoë & Co. 🙂"
    media = profile["avatar_url"].removeprefix("mxc://")
    path = f"_matrix/client/v1/media/download/{media}"
    if SYNAPSE_VERSION < (1, 111):
        path = f"_matrix/media/v3/download/{media}"
    downloaded = site.client("GET", path, user.access_token)
    assert downloaded.content == PNG
    assert downloaded.headers["Content-Type"] == "image/png"
    account = site.account(user_id)
    assert account is not None
    assert account["admin"] in (True, 1)
    assert account["user_type"] == "bot"
    assert site.entry(user_id)["external_id"] == "ext/7 ü"
    site.check_finished(user_id)


@by_both_means
def test_a_picture_that_the_homeserver_has(site: Site, means: Means) -> None:
    user_id = new_id()
    provisioner = site.provisioner(means)
    mxc = f"mxc://{SERVER_NAME}/abcdefghijkl"
    user = provisioner.provision_user(user_id, avatar=mxc, with_token=False)
    assert (user.access_token, user.device_id) == (None, None)
    assert site.profile(user_id)["avatar_url"] == mxc
    # The session that it took is over.
    assert site.devices(user_id) == []
    site.check_finished(user_id)


@by_both_means
def test_what_is_not_given_stays(site: Site, means: Means) -> None:
    user_id = new_id()
    provisioner = site.provisioner(means)
    provisioner.provision_user(user_id, display_name="First", is_admin=True, with_token=False)
    provisioner.provision_user(user_id, with_token=False)
    assert site.profile(user_id)["displayname"] == "First"
    account = site.account(user_id)
    assert account is not None
    assert account["admin"] in (True, 1)
    provisioner.provision_user(user_id, display_name="Second", with_token=False)
    assert site.profile(user_id)["displayname"] == "Second"


@by_both_means
def test_without_a_token_nobody_is_logged_in(site: Site, means: Means) -> None:
    user_id = new_id()
    user = site.provisioner(means).provision_user(user_id, with_token=False)
    assert user.as_dict()["access_token"] is None
    assert site.devices(user_id) == []
    site.check_finished(user_id)


def test_what_only_an_administrator_may_change_later(site: Site) -> None:
    user_id = new_id()
    site.provisioner(Means.SHARED_SECRET).provision_user(user_id, with_token=False)
    for argument, value in [("is_admin", True), ("user_type", "support")]:
        call = site.provisioner(Means.SHARED_SECRET).provision_user
        error = site.error(ConfigurationError, call, user_id, **{argument: value})
        assert error.key == argument
        assert "admin_access_token" in str(error)
    by_admin = site.provisioner(Means.ADMIN_API)
    by_admin.provision_user(user_id, is_admin=True, user_type="support", with_token=False)
    account = site.account(user_id)
    assert account is not None
    assert account["admin"] in (True, 1)
    assert account["user_type"] == "support"


@by_both_means
@pytest.mark.parametrize(
    ("argument", "value", "key"),
    [
        ("avatar", "{directory}/text", "avatar"),
        ("avatar", "{directory}/nothing", "avatar"),
        ("avatar", "{directory}", "avatar"),
        ("avatar", "mxc://", "avatar"),
        ("external_id", "", "external_id"),
        ("external_id", "x" * 1025, "external_id"),
    ],
)
def test_wrong_arguments_change_nothing(
    site: Site, means: Means, argument: str, value: str, key: str, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("no picture")
    user_id = new_id()
    arguments = {argument: value.format(directory=tmp_path)}
    call = site.provisioner(means).provision_user
    error = site.error(ConfigurationError, call, user_id, **arguments)
    assert (error.key, error.status, error.errcode) == (key, None, None)
    assert site.account(user_id) is None
    assert site.versions(user_id) == {}


@by_both_means
@pytest.mark.parametrize("localpart", ["a/b", "a+b", "a=b", "=2f", "a.b_c-d", "0"])
def test_every_localpart_of_todays_grammar(site: Site, means: Means, localpart: str) -> None:
    user_id = f"@{new_name()}-{localpart}:{SERVER_NAME}"
    user = site.seen(site.provisioner(means).provision_user(localpart_of(user_id)))
    assert user.matrix_user_id == user_id
    assert site.user_of(user.access_token or "") == user_id
    site.check_finished(user_id)


@by_both_means
@pytest.mark.parametrize(
    "user_id",
    [
        "",
        "@",
        "@:example.org",
        "Alice",
        "a b",
        "ü",
        "a:b",
        "@alice",
        "@alice:other.org",
        "a/../b",
        "a//b",
        "a\nb",
        "a\0b",
        "x" * 255,
    ],
    ids=ascii,
)
def test_ids_that_cannot_be(site: Site, means: Means, user_id: str) -> None:
    error = site.error(ConfigurationError, lambda: site.provisioner(means).provision_user(user_id))
    assert error.key == "user_id"
    assert "\n" not in str(error)


def test_what_others_see_already_takes_no_login(site: Site) -> None:
    """An import that is run once more would meet the homeserver's limit on logins."""
    user_id = new_id()
    provisioner = site.provisioner(Means.SHARED_SECRET)
    for _ in range(2):
        provisioner.provision_user(user_id, display_name="The same", with_token=False)
    assert f"Login of {user_id!r}" not in site.synapse.log()
    provisioner.provision_user(user_id, display_name="Another", with_token=False)
    assert f"Login of {user_id!r}" in site.synapse.log()
    account = site.account(user_id)
    assert account is not None
    assert account["displayname"] == "Another"
