"""A homeserver that uses new accounts itself, and one whose proxy has another clock."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from synapse_vault_auth_provider.provisioning import UndecidedError

from tests.harness.provisioning import Means, Site, new_id
from tests.harness.scaffold import Scaffold
from tests.servers import Relay
from tests.servers.relay import Reply
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from tests.harness.stack import Stack
    from tests.servers.relay import Request, Reset, Silence

NEW_ACCOUNTS = {
    "auto_join_rooms": [f"#welcome:{SERVER_NAME}"],
    "autocreate_auto_join_rooms": True,
}
"""What has Synapse itself join each new account to a room."""

LIFETIME = 600
"""Seconds after which tokens of that homeserver end."""


@pytest.fixture(scope="module")
def busy(file_stack: Stack) -> Site:
    """Return servers that let new accounts join a room, and end their tokens."""
    settings = {**NEW_ACCOUNTS, "nonrefreshable_access_token_lifetime": f"{LIFETIME}s"}
    return Site.of(file_stack.start_homeserver("busy", homeserver_yaml=settings))


def rooms(site: Site, user_id: str) -> list[str]:
    found: list[str] = site.admin("GET", f"v1/users/{user_id}/joined_rooms").json()["joined_rooms"]
    return found


def test_a_room_that_the_homeserver_has_joined_shows_nobodys_use(busy: Site) -> None:
    user_id = new_id("joined")
    with Scaffold(busy) as scaffold:
        scaffold.kill_at_creation(answered=True, means=Means.ADMIN_API, user_id=user_id)
    busy.newest(user_id)
    until = time.monotonic() + 20
    while not rooms(busy, user_id) and time.monotonic() < until:
        time.sleep(0.2)
    assert rooms(busy, user_id)
    user = busy.seen(busy.provisioner(Means.ADMIN_API).provision_user(user_id))
    assert busy.user_of(user.access_token or "") == user_id
    busy.check_finished(user_id)


def test_tokens_that_end_say_when(busy: Site) -> None:
    provisioner = busy.provisioner(Means.ADMIN_API)
    user = busy.seen(provisioner.provision_user(new_id("ending")))
    login = busy.seen(provisioner.login(user.matrix_user_id))
    for expires_in in (user.expires_in, login.expires_in):
        assert expires_in is not None
        assert LIFETIME - 60 < expires_in <= LIFETIME
    assert login.as_dict()["expires_in"] == login.expires_in
    assert provisioner.provision_user(user.matrix_user_id, with_token=False).expires_in is None


def test_tokens_without_an_end_say_so(site: Site) -> None:
    user = site.seen(site.provisioner(Means.ADMIN_API).provision_user(new_id("endless")))
    assert user.expires_in is None


class Proxy(Relay):
    """Stands before the homeserver, with a clock of its own."""

    def __init__(self, target: str, ahead: float) -> None:
        """Take an address, and by how many seconds the clock is ahead."""
        super().__init__(target)
        self.ahead = ahead

    def answer(self, request: Request, body: bytes) -> Reply | Reset | Silence:
        """Hand a request on, and date the answer."""
        answer = super().answer(request, body)
        if isinstance(answer, Reply):
            others = {
                name: value for name, value in answer.headers.items() if name.lower() != "date"
            }
            date = formatdate(time.time() + self.ahead, usegmt=True)
            answer = Reply(answer.status, answer.body, {**others, "Date": date})
        return answer


@pytest.mark.parametrize(("ahead", "is_ours"), [(50, True), (200, False)])
def test_a_proxy_with_another_clock(site: Site, ahead: float, is_ours: bool) -> None:
    """The intent has the time that the proxy said; the account has the homeserver's."""
    user_id = new_id("proxied")
    with Proxy(site.synapse.url, ahead) as proxy, Scaffold(site, homeserver=proxy.url) as scaffold:
        scaffold.kill_at_creation(answered=True, means=Means.ADMIN_API, user_id=user_id)
    intent: Any = site.entry(user_id)["provisioning"]
    account = site.account(user_id)
    assert account is not None
    assert intent["started"] > account["creation_ts"] + ahead - 10
    provisioner = site.provisioner(Means.ADMIN_API)
    if is_ours:
        site.seen(provisioner.provision_user(user_id))
        site.check_finished(user_id)
    else:
        error = site.error(UndecidedError, provisioner.provision_user, user_id)
        assert "older than the work on it" in error.message


def test_a_dead_admin_token_is_named(site: Site) -> None:
    dead = site.confidential.add("syt_dead_0123456789abcdef_012345")
    provisioner = site.provisioner(admin_access_token=dead)
    user_id = new_id("dead")
    for verb in (provisioner.provision_user, provisioner.revoke_user):
        with pytest.raises(Exception, match="admin_access_token is not, or no longer, valid"):
            verb(user_id)
    # A verb that can do without it does.
    site.provisioner(Means.ADMIN_API).provision_user(user_id, with_token=False)
    site.seen(provisioner.login(user_id, logout_others=True))
    provisioner.rotate_secret(user_id)


def test_a_dry_run_rotates_nothing(site: Site) -> None:
    user_id = new_id("dry")
    site.provisioner(Means.ADMIN_API).provision_user(user_id, with_token=False)
    secret = site.secret(user_id)
    planned = site.provisioner().rotate_secret(user_id, dry_run=True)
    assert planned.created_time is None
    assert site.secret(user_id) == secret
    assert site.provisioner().rotate_secret(user_id).version == planned.version
