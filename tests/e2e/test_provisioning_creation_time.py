"""An entry is for one account: not for another that somebody creates later under the same name."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from synapse_vault_auth_provider.provisioning import ConflictError

from tests.harness.provisioning import Means, by_both_means, new_id

if TYPE_CHECKING:
    from tests.harness.provisioning import Site

DAY = 24 * 3600


def kept(site: Site, user_id: str) -> int | None:
    """Return when the account was created, as the entry has it."""
    provisioning = site.entry(user_id).get("provisioning", {})
    found: int | None = provisioning.get("creation_ts")
    return found


def created(site: Site, user_id: str) -> int:
    account = site.account(user_id)
    assert account is not None
    found: int = account["creation_ts"]
    return found


def move_to(site: Site, entry_of: str, user_id: str, **provisioning: Any) -> None:
    """Write an entry for another account, as if that one had been created under its name."""
    entry = site.entry(entry_of)
    entry["provisioning"] = {**entry["provisioning"], "intent_versions": [], **provisioning}
    site.put(user_id, entry)


def test_the_time_is_kept(site: Site) -> None:
    user_id = new_id("created")
    provisioner = site.provisioner(Means.ADMIN_API)
    site.seen(provisioner.provision_user(user_id, with_token=False))
    assert kept(site, user_id) == created(site, user_id)
    version = len(site.versions(user_id))
    again = site.seen(provisioner.provision_user(user_id, with_token=False))
    assert again.warnings == []
    assert len(site.versions(user_id)) == version
    provisioner.rotate_secret(user_id)
    assert kept(site, user_id) == created(site, user_id)


def test_the_time_of_an_adopted_account_is_kept(site: Site) -> None:
    user_id = new_id("created")
    site.register(user_id)
    provisioner = site.provisioner(Means.ADMIN_API)
    site.seen(provisioner.provision_user(user_id, adopt=True, with_token=False))
    assert kept(site, user_id) == created(site, user_id)
    assert site.seen(provisioner.provision_user(user_id, with_token=False)).warnings == []


def test_an_account_that_was_registered_is_looked_at_later(site: Site) -> None:
    user_id = new_id("created")
    registered = site.provisioner(Means.SHARED_SECRET)
    assert site.seen(registered.provision_user(user_id, with_token=False)).warnings == []
    assert kept(site, user_id) is None
    (warning,) = site.seen(registered.provision_user(user_id, with_token=False)).warnings
    assert "was not checked" in warning
    provisioner = site.provisioner(Means.ADMIN_API)
    assert site.seen(provisioner.provision_user(user_id, with_token=False)).warnings == []
    # It is not written for that alone.
    assert kept(site, user_id) is None


@pytest.mark.parametrize("is_erased", [False, True])
def test_somebody_else_has_the_name_by_now(site: Site, is_erased: bool) -> None:
    """The homeserver was rebuilt, and a stranger has registered the name."""
    before, user_id = new_id("before"), new_id("created")
    provisioner = site.provisioner(Means.ADMIN_API)
    site.seen(provisioner.provision_user(before, with_token=False))
    site.register(user_id)
    move_to(site, before, user_id, creation_ts=created(site, user_id) - DAY)
    if is_erased:
        site.admin("POST", f"v1/deactivate/{user_id}", {"erase": True})
        error = site.error(ConflictError, provisioner.provision_user, user_id)
        assert "deactivated and erased" in error.message
        return
    devices = site.devices(user_id)
    error = site.error(ConflictError, provisioner.provision_user, user_id)
    assert "is not the account" in error.message
    assert "adopt" in str(error)
    assert site.devices(user_id) == devices
    # Somebody has looked at it.
    site.seen(provisioner.provision_user(user_id, adopt=True, with_token=False))
    assert kept(site, user_id) == created(site, user_id)
    site.seen(provisioner.provision_user(user_id, with_token=False))


@by_both_means
def test_an_entry_that_was_written_ahead_gets_its_account(site: Site, means: Means) -> None:
    user_id = new_id("ahead")
    site.put(user_id, {"login_secret": "a secret that was written ahead of its account"})
    provisioner = site.provisioner(means)
    user = site.seen(provisioner.provision_user(user_id, with_token=False))
    assert (user.already_exists, user.warnings) == (False, [])
    provisioner = site.provisioner(Means.ADMIN_API)
    assert site.seen(provisioner.provision_user(user_id, with_token=False)).warnings == []
    is_known = means is Means.ADMIN_API
    assert kept(site, user_id) == (created(site, user_id) if is_known else None)


@pytest.mark.parametrize(
    "is_waited_for", [False, pytest.param(True, marks=pytest.mark.nightly)], ids=["set", "waited"]
)
def test_an_account_that_is_younger_than_its_entry_is_pointed_at(
    site: Site, is_waited_for: bool
) -> None:
    """Entries of earlier versions do not say when their accounts were created."""
    user_id = new_id("younger")
    site.put(user_id, {"login_secret": "a secret that was written ahead of its account"})
    if is_waited_for:
        time.sleep(62)
        site.register(user_id)
    else:
        site.register(user_id)
        # Before anybody looks at the account, so that Synapse remembers no other time.
        with site.synapse.database() as database:
            database.execute(
                "UPDATE users SET creation_ts = creation_ts + 62 WHERE name = ?", (user_id,)
            )
            database.commit()
    provisioner = site.provisioner(Means.ADMIN_API)
    for _ in range(2):
        (warning,) = site.seen(provisioner.provision_user(user_id, with_token=False)).warnings
        assert "after its entry was written" in warning
    assert kept(site, user_id) is None
    site.seen(provisioner.provision_user(user_id, adopt=True, with_token=False))
    assert site.seen(provisioner.provision_user(user_id, with_token=False)).warnings == []


def test_an_erased_account_is_not_just_created(site: Site) -> None:
    """Without an admin token the homeserver shows nothing of it, as of a name that is free."""
    user_id = new_id("erased")
    site.seen(site.provisioner(Means.SHARED_SECRET).provision_user(user_id, with_token=False))
    assert site.admin("POST", f"v1/deactivate/{user_id}", {"erase": True}).ok
    provisioner = site.provisioner(Means.SHARED_SECRET)
    error = site.error(ConflictError, provisioner.provision_user, user_id)
    assert "just created" not in error.message
    assert "has no profile" in error.message


@pytest.mark.parametrize("state", ["locked", "suspended"])
def test_an_account_that_is_out_of_use_is_named_so(site: Site, state: str) -> None:
    user_id = new_id(state)
    provisioner = site.provisioner(Means.ADMIN_API)
    site.seen(provisioner.provision_user(user_id, with_token=False))
    if state == "locked":
        assert site.admin("PUT", f"v2/users/{user_id}", {"locked": True}).ok
    else:
        answer = site.admin("PUT", f"v1/suspend/{user_id}", {"suspend": True})
        if not answer.ok:
            pytest.skip("this Synapse suspends nobody")
    (warning,) = site.seen(provisioner.provision_user(user_id, with_token=False)).warnings
    assert f"is {state}" in warning


def test_a_conflict_names_both_external_ids(site: Site) -> None:
    user_id = new_id("owned")
    provisioner = site.provisioner(Means.ADMIN_API)
    provisioner.provision_user(user_id, external_id="1001", with_token=False)
    error = site.error(ConflictError, provisioner.provision_user, user_id, external_id="9999")
    assert "1001" in error.message
    assert "9999" in error.message
