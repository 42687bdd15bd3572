"""What an intruder who had a secret has left behind is gone once the user is revoked."""

from __future__ import annotations

import itertools
import sys
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from synapse_vault_auth_provider.provisioning import (
    ConflictError,
    Provisioner,
    UnreachableError,
    provisioning_settings,
)

from tests.harness.accounts import token_hash
from tests.harness.command_line import CommandLine
from tests.harness.provisioning import Means, Site, new_id
from tests.harness.scaffold import Scaffold
from tests.servers.port import ReservedPort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.harness.deployment import Deployment
    from tests.harness.stack import Stack

NOBODY_LISTENS = ReservedPort()

PASSWORD = "the password of an intruder"
"""Set by whoever has the secret, with a session."""

CACHED_FOR = 4
"""Seconds for which the module of one homeserver caches secrets."""


@pytest.fixture
def scaffold(site: Site) -> Iterator[Scaffold]:
    with Scaffold(site) as scaffold:
        yield scaffold


@pytest.fixture(scope="module")
def caching(file_stack: Stack) -> Site:
    """Return servers whose module caches secrets."""
    return Site.of(file_stack.start_homeserver("caching", cache={"ttl": CACHED_FOR}))


@pytest.fixture(scope="module")
def handing_on(file_stack: Stack) -> Site:
    """Return servers where a session gets tokens that open others."""
    return Site.of(
        file_stack.start_homeserver(
            "handing-on",
            homeserver_yaml={
                "login_via_existing_session": {"enabled": True, "require_ui_auth": False}
            },
        )
    )


def provisioned(site: Site) -> tuple[str, str]:
    """Return the id of a new user, and a token of theirs."""
    user_id = new_id("revoked")
    user = site.seen(site.provisioner(Means.ADMIN_API).provision_user(user_id))
    assert user.access_token
    return user_id, user.access_token


def knowing(site: Site, means: Means | None, **module: Any) -> Provisioner:
    """Return a provisioner that knows the module's configuration."""
    module = {
        "vault_url": site.openbao.url,
        "vault_token": site.vault_token,
        "vault_path_root": site.root,
        **module,
    }
    given = {
        key: value for key, value in site.settings(means).items() if not key.startswith("vault_")
    }
    return Provisioner.with_settings(provisioning_settings(given, module=module))


def set_password(site: Site, user_id: str, token: str, password: str) -> None:
    """Set a password as whoever has the secret can: with a session and the token hash.

    API: https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3accountpassword
    """
    path = "_matrix/client/v3/account/password"
    body = {"new_password": password, "logout_devices": False}
    session = site.client("POST", path, token, body).json()["session"]
    auth = {
        "type": "io.t2bot.vault",
        "session": session,
        "identifier": {"type": "m.id.user", "user": user_id},
        "token_hash": token_hash(site.secret(user_id), user_id),
    }
    answer = site.client("POST", path, token, {**body, "auth": auth})
    assert answer.ok, answer.text


def threepids(site: Site, user_id: str) -> list[Any]:
    account = site.account(user_id)
    assert account is not None
    found: list[Any] = account["threepids"]
    return found


def test_a_password_and_an_address_are_removed(site: Site) -> None:
    user_id, token = provisioned(site)
    set_password(site, user_id, token, site.confidential.add(PASSWORD))
    address = {"medium": "email", "address": "intruder@example.org"}
    assert site.admin("PUT", f"v2/users/{user_id}", {"threepids": [address]}).ok
    assert site.password_opens(user_id, PASSWORD)
    assert threepids(site, user_id)
    revoked = site.seen(knowing(site, Means.ADMIN_API).revoke_user(user_id))
    assert (revoked.sessions_ended, revoked.sessions_end_at, revoked.warnings) == (True, None, [])
    assert site.user_of(token) is None
    assert not site.password_opens(user_id, PASSWORD)
    assert threepids(site, user_id) == []


def test_an_unknown_cache_is_said_to_be_unknown(site: Site) -> None:
    user_id, _ = provisioned(site)
    revoked = site.seen(site.provisioner(Means.ADMIN_API).revoke_user(user_id))
    assert revoked.sessions_ended
    (warning,) = revoked.warnings
    assert "cache.ttl" in warning


def test_without_an_admin_token_it_is_said_what_may_remain(site: Site) -> None:
    user_id, token = provisioned(site)
    set_password(site, user_id, token, site.confidential.add(PASSWORD))
    revoked = site.seen(knowing(site, None).revoke_user(user_id))
    assert revoked.sessions_ended
    (warning,) = revoked.warnings
    assert "password" in warning
    assert "admin access token" in warning
    assert site.user_of(token) is None
    assert site.password_opens(user_id, PASSWORD)


def open_from_cache(site: Site, user_id: str, secret: str) -> str | None:
    """Log in; return the token, or `None` if that is refused."""
    body = {
        "type": "io.t2bot.vault",
        "identifier": {"type": "m.id.user", "user": user_id},
        "token_hash": site.confidential.add(token_hash(secret, user_id)),
    }
    answer = site.synapse.post_login(body)
    return site.confidential.add(answer.json()["access_token"]) if answer.ok else None


def test_a_session_that_the_cache_opens_is_ended_later(caching: Site) -> None:
    user_id, _ = provisioned(caching)
    secret = caching.secret(user_id)
    provisioner = knowing(caching, Means.ADMIN_API, cache={"ttl": CACHED_FOR})
    revoked = caching.seen(provisioner.revoke_user(user_id))
    assert (revoked.secret_removed, revoked.sessions_ended) == (True, False)
    assert revoked.sessions_end_at
    end = datetime.fromisoformat(revoked.sessions_end_at.replace("Z", "+00:00"))
    assert 0 < (end - datetime.now(timezone.utc)).total_seconds() <= CACHED_FOR + 2
    intruder = open_from_cache(caching, user_id, secret)
    assert intruder
    assert caching.user_of(intruder) == user_id
    entry = caching.entry(user_id)
    assert entry["provisioning"]["state"] == "revoking"
    assert "login_secret" not in entry
    *earlier, newest = (state for _, state in sorted(caching.versions(user_id).items()))
    assert (set(earlier), newest) == ({"destroyed"}, "live")
    # Meanwhile it is said what is going on.
    for verb in (provisioner.login, provisioner.rotate_secret, provisioner.provision_user):
        assert "is being revoked" in caching.error(ConflictError, verb, user_id).message
    (listed,) = (one for one in provisioner.list_users() if one.matrix_user_id == user_id)
    assert listed.state == "revoking"
    (finding,) = (one for one in provisioner.diagnose(user_id) if one.check == "secret")
    assert (finding.status, finding.detail) == ("failed", f"{user_id} is being revoked")
    # Too early changes nothing; the same call later finishes it.
    assert not caching.seen(provisioner.revoke_user(user_id)).sessions_ended
    finished = caching.seen(provisioner.revoke_user(user_id, wait=True))
    assert (finished.sessions_ended, finished.sessions_end_at) == (True, None)
    assert caching.user_of(intruder) is None
    assert open_from_cache(caching, user_id, secret) is None
    assert caching.versions(user_id) == {}


@pytest.mark.parametrize("cache", [{"ttl": CACHED_FOR}, {"stale_if_error": CACHED_FOR}], ids=str)
def test_without_an_admin_token_the_cache_is_not_outlasted(
    caching: Site, cache: dict[str, int]
) -> None:
    user_id, _ = provisioned(caching)
    provisioner = knowing(caching, None, cache=cache)
    for _ in range(2):
        revoked = caching.seen(provisioner.revoke_user(user_id, wait=True))
        assert (revoked.sessions_ended, revoked.sessions_end_at) == (False, None)
        assert "admin access token" in str(revoked.warnings)
    finished = knowing(caching, Means.ADMIN_API, cache=cache).revoke_user(user_id, wait=True)
    assert caching.seen(finished).sessions_ended
    assert caching.versions(user_id) == {}


def test_a_token_that_opens_a_session_is_outlasted(handing_on: Site) -> None:
    user_id, token = provisioned(handing_on)
    path = "_matrix/client/v1/login/get_token"
    login_token = handing_on.client("POST", path, token, {}).json()["login_token"]
    revoked = handing_on.seen(knowing(handing_on, Means.ADMIN_API).revoke_user(user_id))
    assert not revoked.sessions_ended
    assert revoked.sessions_end_at
    end = datetime.fromisoformat(revoked.sessions_end_at.replace("Z", "+00:00"))
    assert 290 < (end - datetime.now(timezone.utc)).total_seconds() <= 302
    body = {"type": "m.login.token", "token": login_token}
    assert handing_on.synapse.post_login(body).ok
    # What was opened so ends with the next call.
    revoked = handing_on.seen(knowing(handing_on, Means.ADMIN_API).revoke_user(user_id))
    assert not revoked.sessions_ended
    assert handing_on.devices(user_id) == []
    # A closed account opens to nobody.
    closed = knowing(handing_on, Means.ADMIN_API).revoke_user(user_id, deactivate=True)
    assert (closed.sessions_ended, closed.deactivated) == (True, True)
    assert handing_on.versions(user_id) == {}


def test_who_is_not_let_in_does_not_keep_the_secret(
    start_homeserver: Callable[..., Deployment],
) -> None:
    """Wrong hashes of anybody make the homeserver refuse all logins of a user for a while."""
    limit = {"per_second": 0.001, "burst_count": 2}
    blocked = Site.of(
        start_homeserver("blocked", homeserver_yaml={"rc_login": {"failed_attempts": limit}})
    )
    user_id, token = provisioned(blocked)
    secret = blocked.secret(user_id)
    for _ in range(5):
        open_from_cache(blocked, user_id, "another secret")
    began = time.monotonic()
    revoked = blocked.seen(knowing(blocked, None).revoke_user(user_id, deactivate=True))
    assert time.monotonic() - began < 20
    assert (revoked.secret_removed, revoked.sessions_ended) == (True, False)
    assert "admin access token" in str(revoked.warnings)
    assert secret not in str(blocked.entry(user_id))
    assert blocked.user_of(token) == user_id
    # What was wanted is remembered.
    finished = blocked.seen(knowing(blocked, Means.ADMIN_API).revoke_user(user_id))
    assert (finished.sessions_ended, finished.deactivated) == (True, True)
    assert blocked.user_of(token) is None


def test_a_homeserver_without_passwords_is_no_failure(
    start_homeserver: Callable[..., Deployment],
) -> None:
    site = Site.of(
        start_homeserver("no-passwords", homeserver_yaml={"password_config": {"enabled": False}})
    )
    user_id, token = provisioned(site)
    revoked = site.seen(knowing(site, Means.ADMIN_API).revoke_user(user_id))
    assert revoked.sessions_ended
    assert site.user_of(token) is None
    for warning in revoked.warnings:
        assert "password" in warning


def test_the_secret_goes_even_if_the_homeserver_is_away(site: Site) -> None:
    user_id, token = provisioned(site)
    provisioner = site.provisioner(Means.ADMIN_API, homeserver=f"http://127.0.0.1:{NOBODY_LISTENS}")
    site.error(UnreachableError, provisioner.revoke_user, user_id, deactivate=True)
    entry = site.entry(user_id)
    assert entry["provisioning"]["wanted"] == {"deactivate": True}
    assert "login_secret" not in entry
    assert site.user_of(token) == user_id
    finished = site.seen(knowing(site, Means.ADMIN_API).revoke_user(user_id))
    assert (finished.sessions_ended, finished.deactivated) == (True, True)


@pytest.mark.parametrize("means", [None, Means.ADMIN_API], ids=str)
@pytest.mark.parametrize("deactivate", [False, True])
def test_a_dry_run_changes_nothing(site: Site, means: Means | None, deactivate: bool) -> None:
    user_id, token = provisioned(site)
    before = site.versions(user_id)
    provisioner = knowing(site, means)
    planned = site.seen(provisioner.revoke_user(user_id, deactivate=deactivate, dry_run=True))
    assert site.versions(user_id) == before
    assert site.user_of(token) == user_id
    done = site.seen(provisioner.revoke_user(user_id, deactivate=deactivate))
    assert (planned.secret_removed, planned.sessions_ended, planned.deactivated) == (
        done.secret_removed,
        done.sessions_ended,
        done.deactivated,
    )


@pytest.mark.parametrize(
    # Before an answer is what after the answer before it is, but for the first request.
    "answered",
    [pytest.param(False, marks=pytest.mark.nightly), True],
    ids=["before", "after"],
)
@pytest.mark.parametrize("deactivate", [False, True], ids=["", "deactivate"])
@pytest.mark.parametrize("means", [None, Means.ADMIN_API], ids=str)
@pytest.mark.long
def test_killed_at_every_request(
    site: Site, scaffold: Scaffold, means: Means | None, deactivate: bool, answered: bool
) -> None:
    unended = []
    for number in itertools.count(1):
        user_id, token = provisioned(site)
        secret = site.secret(user_id)
        arguments = {"deactivate": deactivate}
        is_killed = scaffold.kill_at(
            number,
            answered=answered,
            means=means,
            user_id=user_id,
            verb="revoke_user",
            **arguments,
        )
        if not is_killed:
            break
        # The same call again, which knows no more than the first.
        again = site.seen(site.provisioner(means).revoke_user(user_id, **arguments))
        assert not site.opens(user_id, secret)
        if means is Means.ADMIN_API:
            assert again.sessions_ended
        if not again.sessions_ended:
            assert "admin access token" in str(again.warnings)
            request = scaffold.requests[-1]
            unended.append(f"{request.method} {request.path}")
            finished = site.provisioner(Means.ADMIN_API).revoke_user(user_id, **arguments)
            assert site.seen(finished).sessions_ended
        assert site.user_of(token) is None
        assert site.devices(user_id) == []
        assert site.versions(user_id) == {}
        account = site.account(user_id)
        assert account is not None
        if means is Means.ADMIN_API:
            assert bool(account["deactivated"]) is deactivate
    assert len(scaffold.requests) >= 5
    sys.stdout.write(f"{number - 1} times killed, for an administrator: {unended}\n")


def test_an_account_without_an_entry_keeps_its_password(site: Site) -> None:
    """A slip of the id ends the sessions of somebody, and nothing else."""
    user_id = new_id("human")
    token = site.register(user_id, PASSWORD)["access_token"]
    address = {"medium": "email", "address": "human@example.org"}
    assert site.admin("PUT", f"v2/users/{user_id}", {"threepids": [address]}).ok
    revoked = site.seen(knowing(site, Means.ADMIN_API).revoke_user(user_id))
    assert (revoked.secret_removed, revoked.sessions_ended) == (False, True)
    assert site.user_of(token) is None
    assert site.password_opens(user_id, PASSWORD)
    assert threepids(site, user_id)


def test_the_exit_code_says_whether_sessions_may_go_on(caching: Site, tmp_path: Path) -> None:
    cli = CommandLine(caching, tmp_path)
    token_file = tmp_path / "admin-token"
    token_file.write_text(caching.admin_token)
    as_administrator = ("--admin-token-file", str(token_file))
    user_id, token = provisioned(caching)
    planned = cli.run(*as_administrator, "revoke", "--dry-run", user_id)
    assert planned.code == 0
    assert caching.user_of(token) == user_id
    ended = cli.run(*as_administrator, "revoke", user_id)
    assert ended.code == 1
    assert ended.lines == [[user_id, "secret removed"]]
    assert "use --wait" in ended.err
    ended = cli.run(*as_administrator, "revoke", "--wait", user_id).check_success()
    assert ended.lines == [[user_id, "sessions ended"]]
    # Without an administrator's token nothing can be done about it.
    user_id, _ = provisioned(caching)
    ended = cli.run("revoke", "--wait", user_id)
    assert ended.code == 1
    assert "admin access token" in ended.err.lower()
