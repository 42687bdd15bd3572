"""Accounts that are provisioned at MAS, on a homeserver where the module serves no logins."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider.provisioning import (
    ConfigurationError,
    ConflictError,
    HomeserverError,
    Provisioner,
    UnreachableError,
    provisioning_settings,
)

from tests.harness.mas_provisioning import MasSite
from tests.harness.provisioning import PNG, localpart_of, new_id
from tests.harness.waiting import wait_until
from tests.servers import Relay
from tests.servers.mas.admin import single
from tests.servers.relay import Reply
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.harness.stack import Stack
    from tests.servers.mas.http_types import Answer, Request
    from tests.servers.relay import Request as RelayRequest

MXC = "mxc://example.org/bot"


@pytest.fixture(scope="module")
def file_site(file_stack: Stack) -> MasSite:
    mas = file_stack.start_mas()
    return MasSite.of(file_stack.start_homeserver_under_mas("provisioned", mas, has_module=False))


@pytest.fixture
def site(file_site: MasSite) -> Iterator[MasSite]:
    yield file_site
    file_site.mas.recover()


def test_an_account_is_created_at_mas_and_opened(site: MasSite) -> None:
    user_id = new_id("mas")
    provisioner = site.provisioner()
    user = site.seen(
        provisioner.provision_user(
            user_id, display_name="Bot", avatar=MXC, is_admin=True, external_id="7"
        )
    )
    assert not user.already_exists
    assert site.user_of(user.access_token or "") == user_id
    assert site.device_of(user.access_token or "") == user.device_id
    account = site.account(user_id)
    assert account is not None
    assert account["admin"] is True
    assert site.profile(user_id) == {"displayname": "Bot", "avatar_url": MXC}
    assert site.entry(user_id)["external_id"] == "7"
    assert site.entry(user_id)["provisioning"]["state"] == "done"
    site.check_finished(user_id)
    (warning,) = user.warnings
    assert "Matrix Authentication Service has opened the token's session" in warning
    provisioner.logout(user.access_token or "")
    assert site.user_of(user.access_token or "") is None
    provisioner.logout(user.access_token or "")

    again = site.seen(provisioner.provision_user(user_id, external_id="7", with_token=False))
    assert (again.already_exists, again.access_token) == (True, None)


def test_a_name_and_a_picture_are_set_with_the_accounts_own_token(
    site: MasSite, tmp_path: Path
) -> None:
    """As MAS before 1.18 takes neither, and never a file."""
    picture = tmp_path / "bot.png"
    picture.write_bytes(PNG)
    site.mas.users.takes_displayname = False
    try:
        user_id = new_id("mas")
        provisioner = site.provisioner()
        provisioner.provision_user(
            user_id, display_name="Bot", avatar=str(picture), with_token=False
        )
    finally:
        site.mas.users.takes_displayname = True
    profile = site.profile(user_id)
    assert profile["displayname"] == "Bot"
    assert profile["avatar_url"].startswith(f"mxc://{SERVER_NAME}/")
    assert site.open_kinds(user_id) == []
    shown = provisioner.update_profile(user_id, display_name="Other Name")
    assert (shown.display_name, shown.avatar_url) == ("Other Name", None)
    assert site.profile(user_id)["displayname"] == "Other Name"
    assert site.open_kinds(user_id) == []
    error = site.error(HomeserverError, provisioner.update_profile, new_id(), display_name="Nobody")
    assert error.status == 404


def test_an_account_that_was_set_at_its_creation_needs_no_session(site: MasSite) -> None:
    user_id = new_id("mas")
    site.provisioner().provision_user(user_id, display_name="Bot", avatar=MXC, with_token=False)
    assert site.profile(user_id) == {"displayname": "Bot", "avatar_url": MXC}
    assert site.deployment.sessions(user_id, is_active=None) == []


def test_logging_in_without_the_module(site: MasSite) -> None:
    user_id = new_id("mas")
    provisioner = site.provisioner()
    provisioner.provision_user(user_id, with_token=False)
    first = site.seen(provisioner.login(user_id, device_name="One"))
    second = site.seen(provisioner.login(user_id, device_id="SECONDDEVICE"))
    assert second.device_id == "SECONDDEVICE"
    assert site.user_of(first.access_token) == site.user_of(second.access_token) == user_id
    assert site.devices_of(user_id) == {first.device_id, "SECONDDEVICE"}
    # As a login at MAS does, another one ends the session that had the device before.
    third = site.seen(provisioner.login(user_id, device_id="SECONDDEVICE"))
    assert site.user_of(third.access_token) == user_id
    assert len(site.deployment.sessions(user_id)) == 2
    site.open_sessions(user_id)
    last = site.seen(provisioner.login(user_id, device_id="SECONDDEVICE", logout_others=True))
    assert site.open_kinds(user_id) == ["personal"]
    assert site.devices_of(user_id) == {"SECONDDEVICE"}
    assert site.user_of(last.access_token) == user_id
    assert site.user_of(first.access_token) is None
    for token in (last, third, second):
        provisioner.logout(token.access_token)
    assert site.open_kinds(user_id) == []


@pytest.mark.parametrize(
    "device_id",
    [
        "SHORT",
        "",
        "AAAAAAAAAA urn:synapse:admin:*",
        "AAAAAAAAAA\turn:mas:admin",
        "A" * 256,
        "ÄÄÄÄÄÄÄÄÄÄ",
    ],
)
def test_a_device_that_is_none(site: MasSite, device_id: str) -> None:
    user_id = new_id("mas")
    provisioner = site.provisioner()
    provisioner.provision_user(user_id, with_token=False)
    error = site.error(ConfigurationError, provisioner.login, user_id, device_id=device_id)
    assert error.key == "device_id"
    assert site.deployment.sessions(user_id, is_active=None) == []


def test_a_device_of_a_persons_client_is_not_taken(site: MasSite) -> None:
    user_id = new_id("mas")
    provisioner = site.provisioner()
    provisioner.provision_user(user_id, with_token=False)
    site.open_sessions(user_id)
    error = site.error(ConfigurationError, provisioner.login, user_id, device_id="OAUTHDEVICE")
    assert "has the device OAUTHDEVICE" in error.message
    assert site.open_kinds(user_id) == ["browser", "compat", "oauth2", "personal"]


def test_a_session_lives_as_long_as_the_module_is_to_give_it(site: MasSite) -> None:
    user_id = new_id("mas")
    module = {"vault_path_root": site.root, "mas": {"session_lifetime": "1h"}}
    settings = provisioning_settings(site.settings(), module=module)
    provisioner = Provisioner.with_settings(settings)
    provisioner.provision_user(user_id, with_token=False)
    site.seen(provisioner.login(user_id))
    (session,) = site.deployment.sessions(user_id)
    assert session.expires_at is not None
    assert (session.expires_at - session.created_at).total_seconds() == 3600


def test_a_long_name_is_cut(site: MasSite) -> None:
    user_id = new_id("mas")
    provisioner = site.provisioner()
    provisioner.provision_user(user_id, with_token=False)
    login = site.seen(provisioner.login(user_id, device_name="a" * 101))
    answer = site.client("GET", f"_matrix/client/v3/devices/{login.device_id}", login.access_token)
    assert answer.json()["display_name"] == "a" * 100


def test_a_session_whose_device_cannot_be_named_is_ended(site: MasSite) -> None:
    user_id = new_id("mas")
    site.provisioner().provision_user(user_id, with_token=False)
    with Relay(site.synapse.url) as relay:

        def refuse(request: RelayRequest) -> Reply | None:
            is_naming = request.method == "PUT" and "/devices/" in request.path
            return Reply(400, {"errcode": "M_UNKNOWN"}) if is_naming else None

        relay.meddle = refuse
        provisioner = site.provisioner(homeserver=relay.url)
        site.error(HomeserverError, provisioner.login, user_id, device_name="Bot")
    assert site.deployment.sessions(user_id) == []


def test_a_lost_answer_leaves_no_session(site: MasSite) -> None:
    user_id = new_id("mas")
    provisioner = site.provisioner()
    provisioner.provision_user(user_id, with_token=False)
    site.mas.faults.lose_answer("POST", r"/personal-sessions$")
    login = site.seen(provisioner.login(user_id))
    (session,) = site.deployment.sessions(user_id)
    assert session.token == login.access_token


def test_verbs_that_ask_vault_alone(site: MasSite) -> None:
    user_id = new_id("mas")
    site.provisioner().provision_user(user_id, with_token=False)
    secret = site.secret(user_id)
    provisioner = Provisioner(
        **site.settings(homeserver="http://127.0.0.1:1", mas_admin_api="http://127.0.0.1:1")
    )
    provisioner.rotate_secret(user_id)
    assert site.secret(user_id) != secret
    assert user_id in [user.matrix_user_id for user in provisioner.list_users()]


@pytest.mark.parametrize("rights", [None, "registration_shared_secret", "admin_access_token"])
def test_without_a_client_it_is_said_what_is_missing(site: MasSite, rights: str | None) -> None:
    user_id = new_id("mas")
    given = {rights: "anything"} if rights else {}
    provisioner = Provisioner(**site.settings_without_client(**given))
    error = site.error(ConfigurationError, provisioner.provision_user, user_id)
    assert error.key == "mas_admin_api"
    assert f"Matrix Authentication Service ({site.mas.url}/) signs" in error.message
    for key in ("mas_admin_api", "mas_client_id", "mas_client_secret_file"):
        assert key in (error.advice or "")
    assert site.newest(user_id) is None
    assert site.account(user_id) is None

    site.provisioner().provision_user(user_id, with_token=False)
    error = site.error(ConfigurationError, provisioner.revoke_user, user_id, deactivate=True)
    assert error.key == "mas_admin_api"
    assert site.entry(user_id)["login_secret"]
    refused = site.error(HomeserverError, provisioner.login, user_id)
    assert "the module serves no logins" in refused.message
    assert "mas_admin_api" in (refused.advice or "")


def test_a_type_of_user_is_refused_before_anything_is_done(site: MasSite) -> None:
    user_id = new_id("mas")
    provisioner = site.provisioner()
    error = site.error(
        ConfigurationError, provisioner.provision_user, user_id, user_type="bot", adopt=True
    )
    assert error.key == "user_type"
    assert "Matrix Authentication Service" in error.message
    assert (site.newest(user_id), site.account(user_id)) == (None, None)


@pytest.mark.parametrize(
    ("changes", "key", "message"),
    [
        (
            {"server_name": "elsewhere.org"},
            "mas_admin_api",
            f"belongs to the homeserver {SERVER_NAME}",
        ),
        ({"mas_client_secret": "wrong"}, None, "gives the client"),
        ({"mas_client_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}, None, "gives the client"),
    ],
    ids=["another homeserver", "wrong secret", "no client"],
)
def test_a_client_that_is_not_right(
    site: MasSite, changes: dict[str, str], key: str | None, message: str
) -> None:
    provisioner = Provisioner(**site.settings(None, **changes))
    with pytest.raises((ConfigurationError, HomeserverError)) as caught:
        provisioner.provision_user("mas-nobody")
    site.check_shown(caught.value)
    assert caught.value.key == key
    assert message in caught.value.message
    assert site.newest(f"@mas-nobody:{SERVER_NAME}") is None


def test_a_client_that_may_not_use_the_admin_api(site: MasSite) -> None:
    client = site.mas.add_client(is_admin=False)
    provisioner = Provisioner(
        **site.settings(mas_client_id=client.id, mas_client_secret=client.secret)
    )
    error = site.error(HomeserverError, provisioner.provision_user, "mas-nobody")
    assert "policy.data.admin_clients" in str(error)


def test_mas_is_away(site: MasSite) -> None:
    user_id = new_id("mas")
    provisioner = Provisioner(**site.settings(mas_admin_api="http://127.0.0.1:1", timeout=1))
    error = site.error(UnreachableError, provisioner.provision_user, user_id)
    assert "check mas_admin_api" in (error.advice or "")
    assert site.newest(user_id) is None


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_mas_stumbles_and_goes_on(site: MasSite, status: int) -> None:
    from tests.servers.mas.http_types import error as answer

    user_id = new_id("mas")
    for method, path in (
        ("GET", "/by-username/"),
        ("POST", "/api/admin/v1/users$"),
        ("POST", "/personal-sessions$"),
        ("POST", "/oauth2/token"),
    ):
        site.mas.faults.answer(method, path, answer(status, "not now"))
    user = site.seen(site.provisioner().provision_user(user_id))
    assert site.user_of(user.access_token or "") == user_id
    assert not user.already_exists
    site.check_finished(user_id)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/oauth2/token$"),
        ("GET", "/site-config$"),
        ("GET", "/users/by-username/"),
        ("POST", "/admin/v1/users$"),
        ("POST", "/users/[^/]+/set-admin$"),
        ("POST", "/personal-sessions$"),
    ],
)
def test_any_answer_of_mas_may_get_lost(site: MasSite, method: str, path: str) -> None:
    user_id = new_id("mas")
    lost = site.mas.faults.lose_answer(method, path)
    user = site.seen(site.provisioner().provision_user(user_id, is_admin=True))
    assert lost.met == 1
    assert not user.already_exists
    account = site.account(user_id)
    assert account is not None
    assert account["admin"] is True
    (session,) = site.deployment.sessions(user_id)
    assert session.token == user.access_token
    site.check_finished(user_id)


def test_a_token_that_mas_has_forgotten_is_fetched_again(site: MasSite) -> None:
    provisioner = site.provisioner()
    provisioner.provision_user(new_id("mas"), with_token=False)
    site.mas.forget_tokens()
    user = site.seen(provisioner.provision_user(new_id("mas")))
    assert site.user_of(user.access_token or "")


def created_without_the_homeserver(site: MasSite, user_id: str) -> Callable[[Request], Answer]:
    """Return what creates an account at MAS of which the homeserver is not told."""

    def create(_: Request) -> Answer:
        return single(201, site.mas.add_user(localpart_of(user_id), at_homeserver=False))

    return create


def test_the_homeserver_is_told_late(site: MasSite) -> None:
    user_id = new_id("mas")
    site.mas.faults.run("POST", "/users$", created_without_the_homeserver(site, user_id))
    with Relay(site.synapse.url) as relay:

        def looks() -> int:
            return sum("/profile/" in request.path for request in relay.requests)

        def tell() -> None:
            # The first look is that before the creation.
            wait_until("two looks after the creation", lambda: looks() >= 3)
            site.mas.homeserver.provision_user(localpart_of(user_id))

        teller = threading.Thread(target=tell)
        teller.start()
        user = site.seen(site.provisioner(homeserver=relay.url).provision_user(user_id))
        teller.join()
    assert site.user_of(user.access_token or "") == user_id
    site.check_finished(user_id)


def test_the_homeserver_is_not_told(site: MasSite) -> None:
    user_id = new_id("mas")
    site.mas.faults.run("POST", "/users$", created_without_the_homeserver(site, user_id))
    provisioner = Provisioner(**site.settings(timeout=8))
    error = site.error(UnreachableError, provisioner.provision_user, user_id)
    assert "the homeserver does not know it yet" in error.message
    assert "login_secret" not in site.entry(user_id)
    site.mas.homeserver.provision_user(localpart_of(user_id))
    user = site.seen(provisioner.provision_user(user_id))
    assert not user.already_exists
    site.check_finished(user_id)


def test_locked_and_deactivated_accounts_are_named(site: MasSite) -> None:
    user_id = new_id("mas")
    provisioner = site.provisioner()
    provisioner.provision_user(user_id, with_token=False)
    user = site.user(user_id)
    user.locked_at = site.mas.clock.now()
    refused = site.error(HomeserverError, provisioner.login, user_id)
    assert refused.errcode == "M_USER_LOCKED"
    assert "unlock the account at Matrix Authentication Service" in (refused.advice or "")
    assert site.deployment.sessions(user_id, is_active=None) == []
    warned = site.seen(provisioner.provision_user(user_id, with_token=False))
    assert any("is locked" in warning for warning in warned.warnings)
    user.locked_at, user.deactivated_at = None, site.mas.clock.now()
    error = site.error(ConflictError, provisioner.provision_user, user_id)
    assert "is deactivated" in error.message
    assert "at Matrix Authentication Service" in (error.advice or "")
    refused = site.error(HomeserverError, provisioner.login, user_id)
    assert refused.errcode == "M_USER_DEACTIVATED"
    assert "reactivate the account at Matrix Authentication Service" in (refused.advice or "")


def test_an_account_that_was_moved_to_mas(site: MasSite) -> None:
    """As `syn2mas` does it: the account, its devices and their sessions."""
    user_id = new_id("mas")
    created = 1_600_000_000
    user = site.mas.add_user(localpart_of(user_id))
    user.created_at = user.created_at.fromtimestamp(created, tz=user.created_at.tzinfo)
    site.put(
        user_id,
        {
            "login_secret": "a" * 43,
            "external_id": "7",
            "provisioning": {
                "state": "done",
                "intent_versions": [],
                "is_admin": False,
                "user_type": "bot",
                "creation_ts": created,
            },
        },
    )
    provisioner = site.provisioner()
    again = site.seen(
        provisioner.provision_user(user_id, external_id="7", user_type="bot", with_token=False)
    )
    assert (again.already_exists, again.warnings) == (True, [])
    error = site.error(ConfigurationError, provisioner.login, user_id, device_id="SHORTDEV")
    assert error.key == "device_id"
    site.open_compat_session(user_id, "SHORTDEV")
    login = site.seen(provisioner.login(user_id, device_id="SHORTDEV"))
    assert site.device_of(login.access_token) == "SHORTDEV"
    assert site.open_kinds(user_id) == ["personal"]
    # Somebody else's of the same name is not taken for it.
    user.created_at = site.mas.clock.now()
    error_of_other = site.error(ConflictError, provisioner.provision_user, user_id, external_id="7")
    assert "is not the account that" in error_of_other.message


def test_many_calls_for_one_account_create_one(site: MasSite) -> None:
    from concurrent.futures import ThreadPoolExecutor

    user_id = new_id("mas")
    provisioners = [site.provisioner() for _ in range(3)]
    with ThreadPoolExecutor(9) as threads:
        users = list(
            threads.map(
                lambda provisioner: provisioner.provision_user(user_id, with_token=False),
                itertools.islice(itertools.cycle(provisioners), 9),
            )
        )
    assert [user.already_exists for user in users].count(False) == 1
    site.check_finished(user_id)
