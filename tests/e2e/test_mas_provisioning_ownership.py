"""Whose an account at MAS is: none is taken over, and each refusal says what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider.provisioning import (
    ConfigurationError,
    ConflictError,
    Provisioner,
    UndecidedError,
)

from tests.harness.mas_provisioning import MasScaffold, MasSite
from tests.harness.provisioning import localpart_of, new_id
from tests.servers.mas.http_types import error as mas_error
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.stack import Stack
    from tests.servers.mas.http_types import Answer, Request


@pytest.fixture(scope="module")
def file_site(file_stack: Stack) -> MasSite:
    mas = file_stack.start_mas()
    return MasSite.of(file_stack.start_homeserver_under_mas("owned", mas, has_module=False))


@pytest.fixture
def site(file_site: MasSite) -> Iterator[MasSite]:
    yield file_site
    file_site.mas.recover()


@pytest.fixture
def scaffold(site: MasSite) -> Iterator[MasScaffold]:
    with MasScaffold(site) as scaffold:
        yield scaffold


def test_an_account_of_others_is_taken_only_if_that_is_said(site: MasSite) -> None:
    user_id = new_id("owned")
    site.mas.add_user(localpart_of(user_id))
    before = site.account(user_id)
    provisioner = site.provisioner()
    error = site.error(ConflictError, provisioner.provision_user, user_id, is_admin=True)
    assert "it was created by others, or revoked" in error.message
    assert "adopt" in (error.advice or "")
    assert (site.newest(user_id), site.account(user_id)) == (None, before)
    user = site.seen(provisioner.provision_user(user_id, adopt=True))
    assert user.already_exists
    assert site.user_of(user.access_token or "") == user_id
    site.check_finished(user_id)


def test_a_name_that_the_homeserver_keeps_back(site: MasSite) -> None:
    user_id = f"@12345678:{SERVER_NAME}"
    for adopt in (False, True):
        error = site.error(ConflictError, site.provisioner().provision_user, user_id, adopt=adopt)
        assert "keeps the name" in error.message
        assert "Username is reserved by the homeserver" in error.message
        assert error.advice == "choose another id"
        assert error.status == 409
    assert (site.newest(user_id), site.account(user_id)) == (None, None)


def test_a_name_that_mas_does_not_take(site: MasSite) -> None:
    user_id = f"@_hidden:{SERVER_NAME}"
    error = site.error(ConfigurationError, site.provisioner().provision_user, user_id)
    assert error.key == "user_id"
    assert "Username is not valid" in error.message
    assert site.newest(user_id) is None


def test_a_name_that_is_taken_in_another_case(site: MasSite) -> None:
    user_id = new_id("owned")
    site.mas.add_user(localpart_of(user_id).upper(), at_homeserver=False)
    for adopt in (False, True):
        error = site.error(ConflictError, site.provisioner().provision_user, user_id, adopt=adopt)
        assert "upper and lower case" in error.message
        assert "User already exists" in error.message
    assert site.newest(user_id) is None


def test_an_account_that_the_homeserver_has_and_mas_has_not(site: MasSite) -> None:
    """As one that was created with Synapse's own means, or whose creation MAS has dropped."""
    user_id = new_id("owned")
    site.mas.homeserver.provision_user(localpart_of(user_id))
    provisioner = site.provisioner()
    error = site.error(ConflictError, provisioner.provision_user, user_id)
    assert "and Matrix Authentication Service has not" in error.message
    assert "adopt" in (error.advice or "")
    assert (site.newest(user_id), site.account(user_id)) == (None, None)
    user = site.seen(provisioner.provision_user(user_id, adopt=True))
    assert site.user_of(user.access_token or "") == user_id
    assert site.entry(user_id)["provisioning"]["state"] == "adopted"
    site.check_finished(user_id)


def test_mas_drops_a_creation_after_it_has_told_the_homeserver(site: MasSite) -> None:
    """It does so for a sender who is gone; what is left has no session at MAS."""
    user_id = new_id("owned")

    def tell_and_drop(_: Request) -> Answer:
        site.mas.homeserver.provision_user(localpart_of(user_id))
        return mas_error(502, "gone")

    site.mas.faults.run("POST", "/api/admin/v1/users$", tell_and_drop)
    user = site.seen(site.provisioner().provision_user(user_id))
    assert not user.already_exists
    assert site.user_of(user.access_token or "") == user_id
    assert site.entry(user_id)["provisioning"]["state"] == "done"
    site.check_finished(user_id)


@pytest.mark.parametrize("seconds", [0, 65])
def test_what_mas_did_not_keep_of_a_killed_call(
    site: MasSite, scaffold: MasScaffold, seconds: int
) -> None:
    user_id = new_id("owned")
    scaffold.kill_at_creation(answered=False, user_id=user_id)
    site.mas.homeserver.provision_user(localpart_of(user_id))
    fields = site.entry(user_id)
    assert fields["provisioning"]["free_at_homeserver"] is True
    if seconds:
        fields["provisioning"]["started"] -= seconds
        fields["provisioning"]["former"] = [1]
        site.put(user_id, fields)
    secret = fields["provisioning"]["login_secret"]
    provisioner = site.provisioner()
    if seconds:
        for _ in range(2):
            error = site.error(UndecidedError, provisioner.provision_user, user_id)
            assert "and Matrix Authentication Service has not" in error.message
            assert site.account(user_id) is None
        site.seen(provisioner.provision_user(user_id, adopt=True, with_token=False))
    else:
        user = site.seen(provisioner.provision_user(user_id))
        assert not user.already_exists
        assert site.user_of(user.access_token or "") == user_id
    assert site.secret(user_id) == secret
    site.check_finished(user_id)


def test_the_answer_to_the_creation_gets_lost(site: MasSite) -> None:
    user_id = new_id("owned")
    site.mas.faults.lose_answer("POST", "/api/admin/v1/users$")
    user = site.seen(site.provisioner().provision_user(user_id))
    assert not user.already_exists
    assert site.user_of(user.access_token or "") == user_id
    site.check_finished(user_id)
    assert site.mas.count("POST", "/api/admin/v1/users") >= 1


def others_create_it(site: MasSite, user_id: str) -> Callable[[Request], None]:
    """Return what creates an account when the request comes that was to."""

    def create(_: Request) -> None:
        site.mas.add_user(localpart_of(user_id))

    return create


def test_others_are_faster(site: MasSite) -> None:
    user_id = new_id("owned")
    site.mas.faults.run("POST", "/api/admin/v1/users$", others_create_it(site, user_id))
    error = site.error(ConflictError, site.provisioner().provision_user, user_id)
    assert not isinstance(error, UndecidedError)
    assert "created by others" in error.message
    assert site.newest(user_id) is None


TRACES: dict[str, Callable[[MasSite, str], object]] = {
    "browser": lambda site, user_id: site.mas.add_user_session(site.user(user_id)),
    "compat": lambda site, user_id: site.open_compat_session(user_id, "OTHERDEVICE"),
    "oauth2": lambda site, user_id: site.mas.add_oauth2_session(site.user(user_id), "OTHERDEVICE"),
    "personal": lambda site, user_id: site.open_personal_session(user_id),
    "e-mail": lambda site, user_id: site.add_email(user_id),
    "link": lambda site, user_id: site.add_link(user_id),
}


@pytest.mark.parametrize(
    ("trace", "has_ended"),
    [
        *((trace, False) for trace in TRACES),
        *((trace, True) for trace in TRACES if trace not in ("e-mail", "link")),
    ],
)
def test_somebody_has_used_what_a_lost_answer_left(
    site: MasSite, scaffold: MasScaffold, trace: str, has_ended: bool
) -> None:
    user_id = new_id("owned")
    scaffold.kill_at_creation(answered=True, user_id=user_id)
    left = TRACES[trace](site, user_id)
    if has_ended:
        left.finished_at = site.mas.clock.now()  # type: ignore[attr-defined]
    before, kinds = site.account(user_id), site.open_kinds(user_id)
    intent = site.newest(user_id)
    provisioner = site.provisioner()
    error = site.error(UndecidedError, provisioner.provision_user, user_id, is_admin=True)
    assert "adopt" in (error.advice or "")
    assert (site.account(user_id), site.open_kinds(user_id)) == (before, kinds)
    assert site.newest(user_id) == intent
    site.seen(provisioner.provision_user(user_id, adopt=True, with_token=False))
    site.check_finished(user_id)


@pytest.mark.parametrize("change", ["locked", "deactivated", "administrator", "late"])
def test_somebody_has_changed_what_a_lost_answer_left(
    site: MasSite, scaffold: MasScaffold, change: str
) -> None:
    user_id = new_id("owned")
    scaffold.kill_at_creation(answered=True, user_id=user_id)
    user = site.user(user_id)
    if change == "locked":
        user.locked_at = site.mas.clock.now()
    elif change == "deactivated":
        user.deactivated_at = site.mas.clock.now()
    elif change == "administrator":
        user.is_admin = True
    else:
        user.created_at = user.created_at.fromtimestamp(
            user.created_at.timestamp() + 62, tz=user.created_at.tzinfo
        )
    intent = site.newest(user_id)
    with pytest.raises(ConflictError) as caught:
        site.provisioner().provision_user(user_id)
    site.check_shown(caught.value)
    assert isinstance(caught.value, UndecidedError) == (change != "deactivated")
    assert site.newest(user_id) == intent


def test_an_intent_that_waits_for_long_is_dated_by_its_last_look(
    site: MasSite, scaffold: MasScaffold
) -> None:
    """The name was free then as well, and the account is from just after."""
    user_id = new_id("owned")
    scaffold.kill_at_creation(answered=False, user_id=user_id)
    fields = site.entry(user_id)
    fields["provisioning"]["started"] -= 86_400
    site.put(user_id, fields)
    scaffold.kill_at_creation(answered=True, user_id=user_id)
    site.newest(user_id)
    site.seen(site.provisioner().provision_user(user_id, with_token=False))
    assert site.entry(user_id)["provisioning"]["state"] == "done"


def test_an_account_that_was_begun_before_mas_is_undecided(site: MasSite) -> None:
    user_id = new_id("owned")
    site.mas.add_user(localpart_of(user_id))
    site.put(
        user_id,
        {
            "provisioning": {
                "state": "intent",
                "login_secret": "a" * 43,
                "password": "b" * 43,
                "started": int(site.mas.clock.now().timestamp()),
                "tries": [{"means": "shared_secret", "is_admin": False, "user_type": None}],
                "former": [],
            }
        },
    )
    error = site.error(UndecidedError, site.provisioner().provision_user, user_id)
    assert "before Matrix Authentication Service" in error.message
    without = site.settings_without_client(registration_shared_secret="anything")
    refused = site.error(ConfigurationError, Provisioner(**without).provision_user, user_id)
    assert refused.key == "mas_admin_api"
