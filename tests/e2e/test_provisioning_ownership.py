"""No account is ever taken over, and no entry of somebody else's is written over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from synapse_vault_auth_provider.provisioning import (
    ConfigurationError,
    ConflictError,
    HomeserverError,
    UndecidedError,
)

from tests.harness.provisioning import Means, by_both_means, new_id
from tests.harness.scaffold import is_creation
from tests.servers import Relay

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.provisioning import Site
    from tests.servers.relay import Request

PASSWORD = "the password of the owner"


@dataclass
class Owner:
    """Somebody who has an account that is none of ours."""

    site: Site
    user_id: str
    token: str

    @classmethod
    def of(cls, site: Site, user_id: str) -> Owner:
        answer = site.register(user_id, PASSWORD, display_name="The Owner")
        return cls(site, user_id, answer["access_token"])

    def check_unharmed(self) -> None:
        """Fail if the account is any other than the owner left it."""
        assert self.site.user_of(self.token) == self.user_id
        assert self.site.password_opens(self.user_id, PASSWORD)
        assert self.site.profile(self.user_id) == {"displayname": "The Owner"}
        account = self.site.account(self.user_id)
        assert account is not None
        assert account["admin"] in (False, 0)
        assert account["user_type"] is None


def provision_all(site: Site, means: Means, user_id: str, **changes: Any) -> Callable[[], object]:
    """Return a call that would change everything about an account."""
    arguments = {
        "display_name": "Taken",
        "avatar": "mxc://example.org/taken",
        "is_admin": True,
        "user_type": "bot",
        **changes,
    }
    return lambda: site.seen(site.provisioner(means).provision_user(user_id, **arguments))


@by_both_means
def test_the_account_of_others(site: Site, means: Means) -> None:
    owner = Owner.of(site, new_id())
    error = site.error(ConflictError, provision_all(site, means, owner.user_id))
    assert "created by others" in error.message
    assert "adopt" in (error.advice or "")
    owner.check_unharmed()
    assert site.versions(owner.user_id) == {}


@by_both_means
def test_it_is_adopted_if_that_is_wanted(site: Site, means: Means) -> None:
    owner = Owner.of(site, new_id())
    provisioner = site.provisioner(means)
    user = provisioner.provision_user(
        owner.user_id, display_name="Adopted", external_id="7", adopt=True
    )
    site.seen(user)
    assert user.already_exists
    assert site.user_of(user.access_token or "") == owner.user_id
    assert site.profile(owner.user_id)["displayname"] == "Adopted"
    assert site.entry(owner.user_id)["external_id"] == "7"
    site.check_finished(owner.user_id)
    assert site.versions(owner.user_id) == {1: "live"}
    # What the owner had stays.
    assert site.user_of(owner.token) == owner.user_id
    assert site.password_opens(owner.user_id, PASSWORD)
    again = site.seen(provisioner.provision_user(owner.user_id, external_id="7"))
    assert again.already_exists
    assert site.versions(owner.user_id) == {1: "live"}


def test_what_an_adopted_account_cannot_become_without_an_administrator(site: Site) -> None:
    owner = Owner.of(site, new_id())
    call = provision_all(site, Means.SHARED_SECRET, owner.user_id, adopt=True)
    assert site.error(ConfigurationError, call).key == "user_type"
    account = site.account(owner.user_id)
    assert account is not None
    assert account["admin"] in (False, 0)


@by_both_means
@pytest.mark.parametrize(
    ("kept", "given", "message"),
    [
        ("7", "8", 'belongs to a user with external id "7", and not "'),
        ("7", None, "belongs to a user of a service"),
        (None, "7", "has a secret in Vault and no external id"),
        ("7", "7 ", 'belongs to a user with external id "7", and not "'),
    ],
)
def test_an_account_belongs_to_one_external_id(
    site: Site, means: Means, kept: str | None, given: str | None, message: str
) -> None:
    user_id = new_id()
    provisioner = site.provisioner(means)
    provisioner.provision_user(
        user_id, display_name="First", external_id=kept, is_admin=True, user_type="bot"
    )
    entry, versions = site.entry(user_id), site.versions(user_id)
    error = site.error(ConflictError, provision_all(site, means, user_id, external_id=given))
    assert message in error.message
    assert error.advice
    assert site.entry(user_id) == entry
    assert site.versions(user_id) == versions
    assert site.profile(user_id) == {"displayname": "First"}


@by_both_means
def test_an_external_id_is_added_by_adoption_alone(site: Site, means: Means) -> None:
    user_id = new_id()
    provisioner = site.provisioner(means)
    provisioner.provision_user(user_id, with_token=False)
    secret = site.secret(user_id)
    user = site.seen(provisioner.provision_user(user_id, external_id="7", adopt=True))
    assert user.already_exists
    assert site.entry(user_id)["external_id"] == "7"
    assert site.secret(user_id) == secret
    for other in ("8", None):
        call = provision_all(site, means, user_id, external_id=other, adopt=True)
        site.error(ConflictError, call)
    assert site.entry(user_id)["external_id"] == "7"


@by_both_means
def test_an_entry_without_an_account_opens_the_one_that_is_made(site: Site, means: Means) -> None:
    user_id = new_id()
    site.put(user_id, {"login_secret": "chosen by hand, long ago", "note": "kept", "n": 7})
    user = site.seen(site.provisioner(means).provision_user(user_id))
    assert not user.already_exists
    assert site.user_of(user.access_token or "") == user_id
    entry = site.entry(user_id)
    # That we have made the account is kept beside what was there.
    assert entry.pop("provisioning")["state"] == "done"
    assert entry == {"login_secret": "chosen by hand, long ago", "note": "kept", "n": 7}
    # The entry is written again, so that the account is not younger than it.
    assert site.versions(user_id) == {1: "live", 2: "live"}


@by_both_means
@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "it has no login_secret"),
        ({"login_secret": ""}, "its login_secret is empty"),
        ({"login_secret": 7}, "its login_secret is not a string"),
        ({"note": "for later"}, "it has no login_secret"),
        ({"provisioning": {"state": "of the future"}}, "provisioning is not understood"),
        ({"provisioning": 7}, "provisioning is not understood"),
    ],
    ids=str,
)
def test_an_entry_that_is_of_no_use(
    site: Site, means: Means, fields: dict[str, Any], problem: str
) -> None:
    user_id = new_id()
    site.put(user_id, fields)
    error = site.error(ConflictError, provision_all(site, means, user_id))
    assert problem in error.message
    assert error.advice
    site.error(ConflictError, provision_all(site, means, user_id, adopt=True))
    assert site.entry(user_id) == fields
    assert site.account(user_id) is None


@by_both_means
@pytest.mark.parametrize("state", ["deleted", "destroyed"])
def test_a_new_start_after_an_entry_that_is_gone(site: Site, means: Means, state: str) -> None:
    user_id = new_id()
    site.put(user_id, {"login_secret": "the one before"})
    if state == "deleted":
        site.openbao.api("DELETE", f"secret/data/matrix/users/{user_id}")
    else:
        site.openbao.api("PUT", f"secret/destroy/matrix/users/{user_id}", {"versions": [1]})
    user = site.seen(site.provisioner(means).provision_user(user_id))
    assert not user.already_exists
    assert site.versions(user_id) == {1: state, 2: "destroyed", 3: "live"}
    assert site.opens(user_id, site.secret(user_id))


@by_both_means
def test_an_account_whose_entry_is_gone_is_not_ours_any_more(site: Site, means: Means) -> None:
    user_id = new_id()
    provisioner = site.provisioner(means)
    provisioner.provision_user(user_id, with_token=False)
    site.openbao.api("DELETE", f"secret/data/matrix/users/{user_id}")
    site.error(ConflictError, lambda: provisioner.provision_user(user_id))
    assert site.seen(provisioner.provision_user(user_id, adopt=True)).already_exists


@by_both_means
@pytest.mark.parametrize("has_entry", [False, True])
def test_a_deactivated_account(site: Site, means: Means, has_entry: bool) -> None:
    user_id = new_id()
    if has_entry:
        site.provisioner(means).provision_user(user_id, with_token=False)
    else:
        site.register(user_id)
    assert site.admin("POST", f"v1/deactivate/{user_id}", {"erase": False}).ok
    before = site.newest(user_id)
    kind = HomeserverError if has_entry and means is Means.SHARED_SECRET else ConflictError
    error = site.error(kind, provision_all(site, means, user_id, is_admin=False, user_type=None))
    if kind is HomeserverError:
        assert error.errcode == "M_USER_DEACTIVATED"
    assert "deactivated" in str(error) or not has_entry
    assert site.newest(user_id) == before
    account = site.account(user_id)
    assert account is not None
    assert account["deactivated"] in (True, 1)


@by_both_means
def test_names_that_an_application_service_keeps_for_itself(bare_site: Site, means: Means) -> None:
    user_id = "@irc-alice:example.org"
    error = bare_site.error(HomeserverError, provision_all(bare_site, means, user_id))
    assert (error.status, error.errcode) == (400, "M_EXCLUSIVE")
    assert bare_site.newest(user_id) is None


@by_both_means
@pytest.mark.parametrize("is_used", [True, False], ids=["used", "unused"])
def test_somebody_is_faster(site: Site, means: Means, is_used: bool) -> None:
    """The account comes to be between our look and our request."""
    user_id = new_id()
    owners: list[Owner] = []

    def register_first(request: Request) -> None:
        if is_creation(request) and not owners:
            if is_used:
                owners.append(Owner.of(site, user_id))
            else:
                site.register(user_id, PASSWORD, login=False, display_name="The Owner")
                owners.append(Owner(site, user_id, ""))

    with Relay(site.synapse.url) as relay:
        relay.meddle = register_first
        provisioner = site.provisioner(means, homeserver=relay.url)
        with pytest.raises(ConflictError) as caught:
            provisioner.provision_user(user_id, display_name="Taken", is_admin=True)
    site.check_shown(caught.value)
    assert not isinstance(caught.value, UndecidedError)
    assert len(owners) == 1
    assert site.newest(user_id) is None
    assert set(site.versions(user_id).values()) <= {"destroyed"}
    if not is_used:
        answer = site.synapse.post_login(
            {
                "type": "m.login.password",
                "password": PASSWORD,
                "identifier": {"type": "m.id.user", "user": user_id},
            }
        )
        assert answer.ok, answer.text
        owners[0].token = site.confidential.add(answer.json()["access_token"])
    owners[0].check_unharmed()
    site.error(ConflictError, provision_all(site, means, user_id))
    owners[0].check_unharmed()
