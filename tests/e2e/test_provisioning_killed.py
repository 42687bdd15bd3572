"""Provisioning that is killed at any point: called again, it finishes or says what is undecided."""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider.provisioning import (
    ConfigurationError,
    ConflictError,
    UndecidedError,
)

from tests.harness.provisioning import Means, by_both_means, new_id
from tests.harness.scaffold import Scaffold

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tests.harness.provisioning import Site

pytestmark = pytest.mark.long

PASSWORD = "the password of the owner"


@pytest.fixture
def scaffold(site: Site) -> Iterator[Scaffold]:
    with Scaffold(site) as scaffold:
        yield scaffold


def check_done(site: Site, user_id: str, external_id: str) -> None:
    """Fail unless the account is as it would be had nobody been killed."""
    site.check_finished(user_id)
    assert site.entry(user_id)["external_id"] == external_id
    assert site.profile(user_id) == {
        "displayname": "Finished",
        "avatar_url": "mxc://example.org/finished",
    }
    account = site.account(user_id)
    assert account is not None
    assert account["admin"] in (True, 1)
    assert account["user_type"] == "bot"


@by_both_means
@pytest.mark.parametrize(
    ("answered", "resumed_by_other_means"),
    [
        # This is what after the answer before it is, but for the first request.
        pytest.param(False, False, marks=pytest.mark.nightly),
        (True, False),
        (True, True),
    ],
    ids=["before", "after", "after, resumed by others"],
)
def test_killed_at_every_request(
    site: Site,
    scaffold: Scaffold,
    means: Means,
    answered: bool,
    resumed_by_other_means: bool,
) -> None:
    arguments: dict[str, Any] = {
        "display_name": "Finished",
        "avatar": "mxc://example.org/finished",
        "is_admin": True,
        "user_type": "bot",
    }
    undecided = []
    for number in itertools.count(1):
        user_id = new_id("killed")
        arguments["external_id"] = user_id
        if not scaffold.kill_at(
            number, answered=answered, means=means, user_id=user_id, **arguments
        ):
            break
        site.newest(user_id)
        by = means.other if resumed_by_other_means else means
        provisioner = site.provisioner(by)
        try:
            user = provisioner.provision_user(user_id, **arguments)
        except UndecidedError as error:
            site.check_shown(error)
            assert "adopt" in str(error)
            assert f"kv metadata delete secret/matrix/users/{user_id}" in str(error)
            request = scaffold.requests[-1]
            undecided.append(f"{request.method} {request.path}: {error.message}")
            # Somebody has looked at it, and may change what it was created as.
            provisioner = site.provisioner(Means.ADMIN_API)
            user = provisioner.provision_user(user_id, adopt=True, **arguments)
        except ConfigurationError as error:
            # It was created over the admin API, which alone can say what it is now.
            assert error.key == "user_type"
            assert (means, by) == (Means.ADMIN_API, Means.SHARED_SECRET)
            provisioner = site.provisioner(Means.ADMIN_API)
            user = provisioner.provision_user(user_id, **arguments)
        site.seen(user)
        assert site.user_of(user.access_token or "") == user_id
        check_done(site, user_id, user_id)
        again = site.seen(site.provisioner(Means.ADMIN_API).provision_user(user_id, **arguments))
        assert again.already_exists
    assert len(scaffold.requests) >= 10
    sys.stdout.write(f"{number - 1} times killed, undecided: {undecided}\n")
    if not (resumed_by_other_means and means is Means.ADMIN_API):
        assert undecided == []


def unused(account: dict[str, Any] | None) -> dict[str, Any]:
    """Return an account without the time of its last use, which Synapse notes late."""
    assert account is not None
    return {**account, "last_seen_ts": None}


@by_both_means
@pytest.mark.parametrize("kept_as", ["device", "address", "deactivated"])
def test_somebody_uses_the_account_before_it_is_resumed(
    site: Site, scaffold: Scaffold, means: Means, kept_as: str
) -> None:
    """The process dies before it has created the account, and somebody else creates it."""
    user_id = new_id("killed")
    scaffold.kill_at_creation(answered=False, means=means, user_id=user_id)
    assert site.newest(user_id) is not None
    owner = site.register(user_id, PASSWORD, display_name="The Owner")
    if kept_as == "address":
        address = {
            "medium": "email",
            "address": f"{owner['user_id'][1:].split(':')[0]}@example.org",
        }
        assert site.admin("PUT", f"v2/users/{user_id}", {"threepids": [address]}).ok
        site.client("POST", "_matrix/client/v3/logout", owner["access_token"], {})
    elif kept_as == "deactivated":
        site.admin("POST", f"v1/deactivate/{user_id}", {"erase": False})
    before = unused(site.account(user_id))
    for by in (means, means.other):
        with pytest.raises(ConflictError) as caught:
            site.provisioner(by).provision_user(user_id, display_name="Taken")
        site.check_shown(caught.value)
        assert caught.value.advice
        assert unused(site.account(user_id)) == before
    if kept_as == "device":
        assert site.user_of(owner["access_token"]) == user_id
    if kept_as != "deactivated":
        assert site.password_opens(user_id, PASSWORD)
    entry = site.newest(user_id)
    assert entry is None or "login_secret" not in entry


@by_both_means
def test_killed_twice_under_different_rights(site: Site, scaffold: Scaffold, means: Means) -> None:
    """The first dies before it has created the account, the second, of other rights, after."""
    user_id = new_id("killed")
    scaffold.kill_at_creation(answered=False, means=means, user_id=user_id)
    scaffold.kill_at_creation(answered=True, means=means.other, user_id=user_id)
    site.newest(user_id)
    user = site.seen(site.provisioner(means.other).provision_user(user_id))
    assert site.user_of(user.access_token or "") == user_id
    site.check_finished(user_id)


def test_an_administrator_who_is_not_there_any_more(site: Site, scaffold: Scaffold) -> None:
    """What was begun over the admin API, nobody but an administrator can judge."""
    user_id = new_id("killed")
    scaffold.kill_at_creation(answered=True, means=Means.ADMIN_API, user_id=user_id)
    intent = site.newest(user_id)
    by_secret = site.provisioner(Means.SHARED_SECRET)
    error = site.error(UndecidedError, lambda: by_secret.provision_user(user_id))
    assert "no admin access token" in error.message
    assert site.newest(user_id) == intent
    user = site.seen(by_secret.provision_user(user_id, adopt=True))
    assert user.already_exists
    site.check_finished(user_id)


def test_an_administrator_is_not_finished_as_somebody_else(site: Site, scaffold: Scaffold) -> None:
    user_id = new_id("killed")
    scaffold.kill_at_creation(
        answered=True, means=Means.SHARED_SECRET, user_id=user_id, is_admin=True
    )
    provisioner = site.provisioner(Means.SHARED_SECRET)
    error = site.error(ConflictError, provisioner.provision_user, user_id)
    assert "is_admin=true" in error.message
    assert site.devices(user_id) == []
    site.seen(provisioner.provision_user(user_id, is_admin=True))
    site.check_finished(user_id)


@by_both_means
def test_another_external_id_does_not_resume(site: Site, scaffold: Scaffold, means: Means) -> None:
    user_id = new_id("killed")
    scaffold.kill_at_creation(answered=True, means=means, user_id=user_id, external_id="7")
    intent = site.newest(user_id)
    provisioner = site.provisioner(means)
    for other in ("8", None):
        for adopt in (False, True):
            site.error(
                ConflictError, provisioner.provision_user, user_id, external_id=other, adopt=adopt
            )
    assert site.newest(user_id) == intent
    site.seen(provisioner.provision_user(user_id, external_id="7"))
    site.check_finished(user_id)


def test_an_adoption_that_is_killed_at_every_request(site: Site, scaffold: Scaffold) -> None:
    for number in itertools.count(1):
        user_id = new_id("killed")
        scaffold.kill_at_creation(answered=True, means=Means.ADMIN_API, user_id=user_id)
        site.newest(user_id)
        means = Means.SHARED_SECRET
        if not scaffold.kill_at(number, answered=True, means=means, user_id=user_id, adopt=True):
            break
        user = site.seen(site.provisioner(means).provision_user(user_id, adopt=True))
        assert site.user_of(user.access_token or "") == user_id
        site.check_finished(user_id)
