"""Servers that ask to wait, and a homeserver that takes no passwords."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider.provisioning import (
    HomeserverError,
    UndecidedError,
    UnreachableError,
    VaultError,
)

from tests.harness.accounts import PATH_ROOT
from tests.harness.provisioning import Means, Site, by_both_means, new_id
from tests.harness.scaffold import Scaffold, is_creation
from tests.servers import Relay
from tests.servers.relay import Reply, Silence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.stack import Stack
    from tests.servers.relay import Request

LOGINS_OF_AN_ACCOUNT = 3
"""How many it may have before it must wait for longer than anybody does."""

LIMITED = Reply(
    429, {"errcode": "M_LIMIT_EXCEEDED", "error": "Slow down", "retry_after_ms": 3_600_000}
)


@pytest.fixture(scope="module")
def limited_site(file_stack: Stack) -> Site:
    """Return a homeserver that limits logins, as all do that nobody has told not to."""
    limited = file_stack.start_homeserver(
        "limited",
        homeserver_yaml={
            "rc_login": {
                "address": {"per_second": 2, "burst_count": 1},
                "account": {"per_second": 0.001, "burst_count": LOGINS_OF_AN_ACCOUNT},
                "failed_attempts": {"per_second": 0.17, "burst_count": 3},
            },
            "password_config": {"enabled": False},
        },
    )
    return Site.of(limited)


@pytest.fixture
def homeserver_relay(limited_site: Site) -> Iterator[Relay]:
    with Relay(limited_site.synapse.url) as relay:
        yield relay


def logins(relay: Relay) -> int:
    """Return how often the homeserver was asked for a login."""
    return sum(
        (request.method, request.path) == ("POST", "/_matrix/client/v3/login")
        for request in list(relay.requests)
    )


@by_both_means
def test_logins_wait_for_their_turn(
    limited_site: Site, homeserver_relay: Relay, means: Means
) -> None:
    async def provision() -> None:
        settings = limited_site.settings(means, homeserver=homeserver_relay.url)
        user_ids = [new_id("limited") for _ in range(4)]
        async with limited_site.provisioner(means, **settings) as provisioner:
            users = await asyncio.gather(
                *(provisioner.provision_user_async(user_id) for user_id in user_ids)
            )
        for user_id, user in zip(user_ids, users, strict=True):
            assert limited_site.user_of(limited_site.seen(user).access_token or "") == user_id
            assert len(limited_site.devices(user_id)) == 1

    asyncio.run(provision())
    assert logins(homeserver_relay) > 4, "nobody had to wait"


def test_what_would_take_too_long_is_said_at_once(
    limited_site: Site, homeserver_relay: Relay
) -> None:
    user_id = new_id("limited")
    provisioner = limited_site.provisioner(Means.SHARED_SECRET, homeserver=homeserver_relay.url)
    provisioner.provision_user(user_id, with_token=False)
    tokens = [provisioner.login(user_id).access_token for _ in range(LOGINS_OF_AN_ACCOUNT)]
    for token in tokens:
        limited_site.confidential.add(token)
    # Of the address the homeserver asks for less than a second, of the account for minutes.
    before = logins(homeserver_relay)
    error = limited_site.error(HomeserverError, lambda: provisioner.login(user_id))
    assert (error.status, error.errcode) == (429, "M_LIMIT_EXCEEDED")
    assert error.retry_after is not None
    assert error.retry_after > 60
    assert "rc_login" in (error.advice or "")
    assert logins(homeserver_relay) <= before + 2
    # All but the token is done, and the next call says so again.
    error = limited_site.error(HomeserverError, lambda: provisioner.provision_user(user_id))
    assert error.errcode == "M_LIMIT_EXCEEDED"
    user = provisioner.provision_user(user_id, with_token=False)
    assert user.already_exists


@by_both_means
def test_a_limit_in_the_middle_leaves_what_can_be_resumed(
    limited_site: Site, homeserver_relay: Relay, means: Means
) -> None:
    user_id = new_id("limited")
    provisioner = limited_site.provisioner(means, homeserver=homeserver_relay.url)
    homeserver_relay.meddle = lambda request: LIMITED if is_creation(request) else None
    error = limited_site.error(HomeserverError, lambda: provisioner.provision_user(user_id))
    assert (error.status, error.errcode) == (429, "M_LIMIT_EXCEEDED")
    assert error.retry_after == 3600
    assert sum(map(is_creation, homeserver_relay.requests)) == 1
    homeserver_relay.meddle = None
    user = limited_site.seen(provisioner.provision_user(user_id))
    assert not user.already_exists
    limited_site.check_finished(user_id)


def once(reply: Reply, choose: Callable[[Request], bool]) -> Callable[[Request], Reply | None]:
    """Answer the first of the chosen requests so, and hand all others on."""
    met: list[Request] = []

    def meddle(request: Request) -> Reply | None:
        if not choose(request) or met:
            return None
        met.append(request)
        return reply

    return meddle


@by_both_means
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
@pytest.mark.parametrize("status", [429, 503, 502])
def test_vault_asks_to_wait(
    site: Site, relay: Relay, means: Means, method: str, status: int
) -> None:
    reply = Reply(status, {"errors": ["request path rate limit exceeded"]}, {"Retry-After": "1"})
    relay.meddle = once(
        reply, lambda request: request.method == method and PATH_ROOT in request.path
    )
    user_id = new_id("limited")
    user = site.provisioner(means, vault_url=relay.url).provision_user(user_id)
    assert site.user_of(site.seen(user).access_token or "") == user_id
    site.check_finished(user_id)


def test_vault_asks_to_wait_for_longer_than_there_is_time(site: Site, relay: Relay) -> None:
    relay.meddle = lambda request: (
        Reply(429, {"errors": ["slow down"]}, {"Retry-After": "3600"})
        if PATH_ROOT in request.path
        else None
    )
    provisioner = site.provisioner(Means.ADMIN_API, vault_url=relay.url)
    error = site.error(VaultError, lambda: provisioner.provision_user(new_id("limited")))
    assert (error.status, error.retry_after) == (429, 3600)
    assert relay.reads(relay.requests[-1].path.rpartition("/")[2]) == 1


@by_both_means
def test_answers_that_get_lost_are_asked_for_again(site: Site, means: Means) -> None:
    """Whatever has been done already when the answer to it is lost."""
    user_id = new_id("limited")
    lost = set()

    class Lossy(Relay):
        def answer(self, request: Request, body: bytes) -> object:  # type: ignore[override]
            answer = super().answer(request, body)
            key = (request.method, request.path)
            if key in lost:
                return answer
            lost.add(key)
            return Reply(502)

    with Lossy(site.synapse.url) as homeserver, Lossy(site.openbao.url) as vault:
        provisioner = site.provisioner(means, homeserver=homeserver.url, vault_url=vault.url)
        user = site.seen(provisioner.provision_user(user_id, display_name="Found"))
    assert site.user_of(user.access_token or "") == user_id
    assert site.profile(user_id)["displayname"] == "Found"
    assert [device["device_id"] for device in site.devices(user_id)] == [user.device_id]
    site.check_finished(user_id)
    assert len(lost) >= 8


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_that_loses_the_answer_of_a_write_causes_no_second_one(
    site: Site, relay: Relay, status: int
) -> None:
    """A second version with the same secret would leave none for `rotation_grace`."""
    user_id = new_id("limited")
    site.seen(site.provisioner(Means.ADMIN_API).provision_user(user_id, with_token=False))
    before = max(site.versions(user_id))
    lost: list[str] = []

    def lose(answer: Reply) -> Reply:
        request = relay.requests[-1]
        if request.method not in ("POST", "PUT") or lost:
            return answer
        lost.append(request.path)
        return Reply(status, b"<html>", headers={"Content-Type": "text/html"})

    relay.edit = lose
    try:
        rotated = site.provisioner(Means.ADMIN_API, vault_url=relay.url).rotate_secret(user_id)
    finally:
        relay.edit = None
    assert lost
    assert rotated.version == before + 1
    assert max(site.versions(user_id)) == before + 1


@pytest.mark.parametrize("which", ["homeserver", "vault_url"])
def test_a_server_that_does_not_answer(site: Site, which: str) -> None:
    target = site.synapse.url if which == "homeserver" else site.openbao.url
    with Relay(target) as relay:
        relay.meddle = lambda _: Silence()
        provisioner = site.provisioner(Means.ADMIN_API, **{which: relay.url, "timeout": 1})
        error = site.error(UnreachableError, lambda: provisioner.provision_user(new_id("limited")))
    assert error.status is None
    assert error.advice


@by_both_means
def test_where_nobody_has_a_password(limited_site: Site, means: Means) -> None:
    """The password cannot be tried, nor can one be reset."""
    user_id = new_id("limited")
    with Scaffold(limited_site) as scaffold:
        scaffold.kill_at_creation(answered=True, means=means, user_id=user_id)
    intent = limited_site.newest(user_id)
    provisioner = limited_site.provisioner(means)
    if means is Means.SHARED_SECRET:
        error = limited_site.error(UndecidedError, lambda: provisioner.provision_user(user_id))
        assert "takes no passwords" in error.message
        assert limited_site.newest(user_id) == intent
        # An administrator can look at it.
        provisioner = limited_site.provisioner(Means.ADMIN_API)
    limited_site.seen(provisioner.provision_user(user_id, with_token=False))
    limited_site.check_finished(user_id)
