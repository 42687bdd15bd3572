"""Revoking at MAS: sessions of every kind end, and accounts are closed where MAS learns of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider.provisioning import (
    ConfigurationError,
    Provisioner,
    VaultError,
)

from tests.harness.accounts import READ_USERS
from tests.harness.mas_provisioning import SESSIONS, MasSite
from tests.harness.provisioning import localpart_of, new_id
from tests.servers import Relay
from tests.servers.relay import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.stack import Stack
    from tests.servers.relay import Request


@pytest.fixture(scope="module")
def file_site(file_stack: Stack) -> MasSite:
    mas = file_stack.start_mas()
    return MasSite.of(file_stack.start_homeserver_under_mas("revoked", mas, has_module=False))


@pytest.fixture
def site(file_site: MasSite) -> Iterator[MasSite]:
    yield file_site
    file_site.mas.recover()


@pytest.fixture
def user_id(site: MasSite) -> str:
    """Return an account with sessions of every kind, a password and an address."""
    user_id = new_id("revoked")
    site.provisioner().provision_user(user_id, with_token=False)
    site.newest(user_id)
    site.open_sessions(user_id)
    site.add_email(user_id)
    site.add_link(user_id)
    site.user(user_id).password = "the password of somebody"
    return user_id


def test_sessions_of_every_kind_end(site: MasSite, user_id: str) -> None:
    login = site.seen(site.provisioner().login(user_id))
    assert site.open_kinds(user_id) == list(SESSIONS)
    revoked = site.provisioner().revoke_user(user_id)
    assert (revoked.secret_removed, revoked.sessions_ended, revoked.deactivated) == (
        True,
        True,
        False,
    )
    assert site.open_kinds(user_id) == []
    site.mas.jobs.wait()
    assert site.devices_of(user_id) == set()
    assert site.user_of(login.access_token) is None
    assert site.newest(user_id) is None
    account = site.account(user_id)
    assert account is not None
    assert account["deactivated_at"] is None
    # What else lets somebody in is gone too.
    assert site.user(user_id).password != "the password of somebody"
    assert not [
        one for one in site.mas.database.emails.values() if one.user_id == site.user(user_id).id
    ]
    assert not [
        one for one in site.mas.database.links.values() if one.user_id == site.user(user_id).id
    ]


def test_more_sessions_than_a_page_has(site: MasSite, user_id: str) -> None:
    for number in range(120):
        site.open_compat_session(user_id, f"MANYDEVICES{number}")
    site.provisioner().revoke_user(user_id)
    assert site.open_kinds(user_id) == []


def test_deactivating_is_mas_own(site: MasSite, user_id: str) -> None:
    login = site.seen(site.provisioner().login(user_id))
    site.mas.jobs.hold()
    try:
        revoked = site.provisioner().revoke_user(user_id, deactivate=True)
        assert (revoked.sessions_ended, revoked.deactivated) == (True, True)
        # The sessions have ended although MAS has not got to its own work.
        assert site.open_kinds(user_id) == []
    finally:
        site.mas.jobs.resume()
    site.mas.jobs.wait()
    account = site.account(user_id)
    assert account is not None
    assert account["deactivated_at"] is not None
    assert site.user_of(login.access_token) is None
    with site.synapse.database() as database:
        (row,) = database.execute("SELECT deactivated FROM users WHERE name = ?", (user_id,))
    assert row[0] == 1
    again = site.provisioner().revoke_user(user_id, deactivate=True)
    assert again.deactivated


def test_a_dry_run_changes_nothing(site: MasSite, user_id: str) -> None:
    for deactivate in (False, True):
        revoked = site.provisioner().revoke_user(user_id, deactivate=deactivate, dry_run=True)
        assert (revoked.secret_removed, revoked.sessions_ended) == (True, True)
        assert revoked.deactivated == deactivate
    assert site.entry(user_id)["login_secret"]
    assert site.open_kinds(user_id) == list(SESSIONS)


def test_an_account_of_others_is_not_closed(site: MasSite) -> None:
    user_id = new_id("revoked")
    site.mas.add_user(localpart_of(user_id))
    site.user(user_id).password = "the password of somebody"
    revoked = site.provisioner().revoke_user(user_id, deactivate=True)
    assert not revoked.deactivated
    assert any("was not deactivated" in warning for warning in revoked.warnings)
    account = site.account(user_id)
    assert account is not None
    assert account["deactivated_at"] is None
    assert site.user(user_id).password == "the password of somebody"


def test_an_account_of_another_case_is_left_alone(site: MasSite) -> None:
    user_id = new_id("revoked")
    other = site.mas.add_user(localpart_of(user_id).upper(), at_homeserver=False)
    session = site.mas.add_user_session(other)
    site.put(user_id, {"login_secret": "a" * 43})
    revoked = site.provisioner().revoke_user(user_id, deactivate=True)
    assert any("has no account" in warning for warning in revoked.warnings)
    assert (session.finished_at, other.deactivated_at) == (None, None)
    assert site.newest(user_id) is None


@pytest.mark.parametrize("right", [None, "admin_access_token"])
def test_without_a_client_the_secret_goes_and_the_rest_is_said(
    site: MasSite, user_id: str, right: str | None
) -> None:
    given = {right: "anything"} if right else {}
    provisioner = Provisioner(**site.settings_without_client(**given))
    error = site.error(ConfigurationError, provisioner.revoke_user, user_id, deactivate=True)
    assert error.key == "mas_admin_api"
    assert site.entry(user_id)["login_secret"]
    revoked = provisioner.revoke_user(user_id)
    assert (revoked.secret_removed, revoked.sessions_ended) == (True, False)
    assert any("give mas_admin_api, mas_client_id" in warning for warning in revoked.warnings)
    assert not any("admin access token" in warning for warning in revoked.warnings)
    assert "login_secret" not in site.entry(user_id)
    # Whoever has a client finishes it.
    finished = site.provisioner().revoke_user(user_id, deactivate=True)
    assert (finished.sessions_ended, finished.deactivated) == (True, True)
    assert site.open_kinds(user_id) == []
    assert site.newest(user_id) is None


def test_the_homeserver_is_away_and_the_secret_goes(site: MasSite, user_id: str) -> None:
    settings = site.settings_without_client(homeserver="http://127.0.0.1:1", timeout=20)
    revoked = Provisioner(**settings).revoke_user(user_id)
    assert (revoked.secret_removed, revoked.sessions_ended) == (True, False)
    assert "login_secret" not in site.entry(user_id)


def test_the_homeserver_says_who_signs_users_in_only_when_the_secret_is_gone(
    site: MasSite, user_id: str
) -> None:
    """Synapse's administrators end no session at MAS, and must not say that they have."""

    def fail(request: Request) -> Reply | None:
        is_early = request.path.endswith("/auth_metadata") and "login_secret" in site.entry(user_id)
        return Reply(502, b"") if is_early else None

    with Relay(site.synapse.url) as relay:
        relay.meddle = fail
        settings = site.settings_without_client(admin_access_token="anything", homeserver=relay.url)
        revoked = Provisioner(**settings).revoke_user(user_id)
    assert (revoked.secret_removed, revoked.sessions_ended) == (True, False)
    assert any("give mas_admin_api, mas_client_id" in warning for warning in revoked.warnings)
    assert "login_secret" not in site.entry(user_id)
    assert site.open_kinds(user_id) == list(SESSIONS)


def test_somebody_finishes_a_session_at_the_same_time(site: MasSite, user_id: str) -> None:
    from tests.servers.mas.http_types import error as answer

    site.mas.faults.answer("POST", "/compat-sessions/[^/]+/finish", answer(500, "a conflict"))
    site.mas.faults.lose_answer("POST", "/oauth2-sessions/[^/]+/finish")
    site.mas.faults.lose_answer("POST", "/personal-sessions/[^/]+/revoke")
    site.mas.faults.lose_answer("POST", "/user-sessions/[^/]+/finish")
    assert site.provisioner().revoke_user(user_id).sessions_ended
    assert site.open_kinds(user_id) == []


def test_vault_refuses_and_nothing_has_happened(site: MasSite, user_id: str) -> None:
    token = site.confidential.add(site.openbao.create_token("reading", READ_USERS))
    site.error(VaultError, site.provisioner(vault_token=token).revoke_user, user_id)
    assert site.open_kinds(user_id) == list(SESSIONS)
