"""Tokens that are kept in Vault for programs that cannot log in."""

from __future__ import annotations

import copy
import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from synapse_vault_auth_provider.provisioning import (
    ConfigurationError,
    ConflictError,
    KeptToken,
    VaultError,
)

from tests.harness.accounts import PATH_ROOT
from tests.harness.provisioning import POLICY, Means, Site, new_id
from tests.harness.scaffold import Scaffold

if TYPE_CHECKING:
    from tests.harness.stack import Stack

pytestmark = pytest.mark.long

KEEPING = """
path "secret/data/kept/*" { capabilities = ["create", "read", "update"] }
path "secret/destroy/kept/*" { capabilities = ["update"] }
path "secret/data/*" { capabilities = ["create", "read", "update"] }
path "unversioned/*" { capabilities = ["create", "read", "update"] }
path "other/*" { capabilities = ["create", "read", "update"] }
path "deep/kv/*" { capabilities = ["create", "read", "update"] }
"""
"""What the tests write, beside users' entries. Some of it must be refused all the same."""

FIELDS = {"access_token", "device_id", "expires_at", "homeserver_url", "session_id", "user_id"}

LIFETIME = timedelta(hours=1)

_numbers = itertools.count(1)


def keeping_site(site: Site) -> Site:
    """Return the same servers, for who may also keep tokens."""
    site = copy.copy(site)
    token = site.openbao.create_token("keeping", POLICY + KEEPING)
    site.vault_token = site.confidential.add(token)
    return site


@pytest.fixture(scope="module")
def site(shared_site: Site) -> Site:
    mount = shared_site.openbao.api
    mount("POST", "sys/mounts/unversioned", {"type": "kv"})
    mount("POST", "sys/mounts/other", {"type": "transit"})
    mount("POST", "sys/mounts/deep/kv", {"type": "kv", "options": {"version": "2"}})
    return keeping_site(shared_site)


@pytest.fixture(scope="module")
def limiting(file_stack: Stack) -> Site:
    """Return a homeserver whose tokens end by themselves."""
    lifetime = f"{LIFETIME.seconds}s"
    settings = {"nonrefreshable_access_token_lifetime": lifetime, "session_lifetime": lifetime}
    return keeping_site(Site.of(file_stack.start_homeserver("limiting", homeserver_yaml=settings)))


@pytest.fixture(scope="module")
def user_id(site: Site) -> str:
    user_id = new_id("keeper")
    site.provisioner(Means.SHARED_SECRET).provision_user(user_id, with_token=False)
    return user_id


@pytest.fixture
def path() -> str:
    """Return the path of an entry that is not there, with its mount in front."""
    return f"secret/kept/bot-{next(_numbers)}"


def entry(site: Site, path: str) -> dict[str, Any]:
    """Return what an entry holds; nothing if it is not there."""
    mount, _, below = path.partition("/")
    try:
        answer = site.openbao.api("GET", f"{mount}/data/{below}")
    except RuntimeError as error:
        assert " 404 " in str(error)
        return {}
    fields: dict[str, Any] = answer["data"]["data"]
    site.confidential.add(fields.get("access_token", ""))
    return fields


def versions(site: Site, path: str) -> list[str]:
    """Return what became of the versions of an entry, in their order."""
    mount, _, below = path.partition("/")
    answer = site.openbao.api("GET", f"{mount}/metadata/{below}")
    found = answer["data"]["versions"]
    return [
        "destroyed" if found[number]["destroyed"] else "live" for number in sorted(found, key=int)
    ]


def keep(site: Site, user_id: str, path: str, **options: Any) -> KeptToken:
    return site.seen(site.provisioner().keep_token(user_id, path, **options))


def check_kept(site: Site, user_id: str, path: str) -> dict[str, Any]:
    """Fail unless the entry is that of a run which nothing has disturbed; return it."""
    kept = entry(site, path)
    assert kept.keys() == FIELDS
    assert site.user_of(kept["access_token"]) == user_id
    assert site.device_of(kept["access_token"]) == kept["device_id"]
    *former, newest = versions(site, path)
    assert (newest, set(former) <= {"destroyed"}) == ("live", True)
    return kept


def test_the_token_is_written_for_the_program(site: Site, user_id: str, path: str) -> None:
    result = keep(site, user_id, f"/{path}/", device_name="The Bot")
    kept = check_kept(site, user_id, path)
    assert kept == {
        "access_token": kept["access_token"],
        "device_id": result.device_id,
        "expires_at": None,
        "homeserver_url": site.synapse.url.rstrip("/"),
        "session_id": None,
        "user_id": user_id,
    }
    assert (result.matrix_user_id, result.path, result.is_new) == (user_id, path, True)
    assert kept["access_token"] not in str(result.as_dict())
    names = {one["device_id"]: one["display_name"] for one in site.devices(user_id)}
    assert names[kept["device_id"]] == "The Bot"


def test_the_next_token_is_of_the_same_device(site: Site, user_id: str, path: str) -> None:
    keep(site, user_id, path, device_id="ABOTSDEVICE")
    first = check_kept(site, user_id, path)
    result = keep(site, user_id, path)
    second = check_kept(site, user_id, path)
    assert first["device_id"] == second["device_id"] == "ABOTSDEVICE"
    assert first["access_token"] != second["access_token"]
    assert result.is_new
    assert site.user_of(first["access_token"]) == user_id
    (warning,) = result.warnings
    assert "the earlier token goes on working and has no end" in warning
    error = site.error(ConfigurationError, keep, site, user_id, path, device_id="ANOTHERONE")
    assert error.key == "device_id"
    assert check_kept(site, user_id, path) == second


def test_nothing_is_due(site: Site, user_id: str, path: str) -> None:
    keep(site, user_id, path)
    kept, found = entry(site, path), versions(site, path)
    with Scaffold(site) as scaffold:
        options = {"keep_in": path, "renew_before": "30d"}
        scaffold.kill_at(
            99, answered=True, means=None, user_id=user_id, verb="keep_token", **options
        )
        wanted = [(request.method, request.path) for request in scaffold.requests]
    # Vault is asked which node is active, where the mount is, and for two versions.
    assert len(wanted) <= 5, wanted
    assert all(method == "GET" for method, _ in wanted)
    result = keep(site, user_id, path, renew_before="30d")
    assert (result.is_new, result.warnings) == (False, [])
    assert (entry(site, path), versions(site, path)) == (kept, found)


def test_a_token_that_ends_is_replaced_in_time(limiting: Site, path: str) -> None:
    user_id = new_id("keeper")
    limiting.provisioner(Means.SHARED_SECRET).provision_user(user_id, with_token=False)
    result = keep(limiting, user_id, path, renew_before="10m")
    first = check_kept(limiting, user_id, path)
    ends = datetime.strptime(first["expires_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    assert abs(ends - datetime.now(timezone.utc) - LIFETIME) < timedelta(minutes=2)
    assert (result.is_new, result.warnings) == (True, [])
    assert not keep(limiting, user_id, path, renew_before="10m").is_new
    assert not keep(limiting, user_id, path, renew_before=600).is_new
    result = keep(limiting, user_id, path, renew_before="30d")
    second = check_kept(limiting, user_id, path)
    assert result.is_new
    assert first["access_token"] != second["access_token"]
    assert result.expires_at == second["expires_at"]
    assert f"goes on working until {first['expires_at']}" in result.warnings[0]
    assert "each run replaces the token" in result.warnings[1]


def test_a_token_that_works_no_more_is_replaced(site: Site, user_id: str, path: str) -> None:
    keep(site, user_id, path)
    first = check_kept(site, user_id, path)
    site.client("POST", "_matrix/client/v3/logout", first["access_token"], {})
    result = keep(site, user_id, path, renew_before="7d")
    second = check_kept(site, user_id, path)
    assert first["device_id"] == second["device_id"]
    assert (result.is_new, result.warnings) == (True, [])


def test_a_homeserver_that_is_away_is_no_reason_to_replace(
    site: Site, user_id: str, path: str
) -> None:
    keep(site, user_id, path)
    kept = entry(site, path)
    away = site.provisioner(homeserver="http://127.0.0.1:1", timeout="1s")
    result = away.keep_token(user_id, path, renew_before="7d")
    assert not result.is_new
    assert "cannot see whether the kept token works" in result.warnings[0]
    assert entry(site, path) == kept


@pytest.mark.parametrize(
    ("keep_in", "said"),
    [
        (f"secret/{PATH_ROOT}", "users' secrets"),
        (f"/secret//{PATH_ROOT}/bot", "users' secrets"),
        (f"secret/{PATH_ROOT}/@other:example.org/token", "users' secrets"),
        ("secret", "the mount itself"),
        ("unversioned/bot", "of version 1, which has no check-and-set"),
        ("other/bot", "of the type transit"),
        ("secret/kept/../bot", "must hold no"),
        ("", "required"),
    ],
)
def test_a_path_that_is_not_for_tokens(site: Site, user_id: str, keep_in: str, said: str) -> None:
    devices = len(site.devices(user_id))
    error = site.error(ConfigurationError, keep, site, user_id, keep_in)
    assert error.key == "keep_in"
    assert said in error.message
    assert len(site.devices(user_id)) == devices


def test_no_such_mount(site: Site, user_id: str) -> None:
    error = site.error(VaultError, keep, site, user_id, "nowhere/bot")
    assert "does not say what is mounted at nowhere/bot" in error.message
    assert "policy --for-user USER --keep-in nowhere/bot" in (error.advice or "")


def test_a_mount_with_slashes_in_it(site: Site, user_id: str) -> None:
    result = keep(site, user_id, "deep/kv/bots/a", renew_before="1h")
    assert result.path == "deep/kv/bots/a"
    answer = site.openbao.api("GET", "deep/kv/data/bots/a")
    assert site.user_of(site.confidential.add(answer["data"]["data"]["access_token"])) == user_id


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"login_secret": "a secret that is not shown"}, "holds a login_secret"),
        ({"password": "a secret that is not shown"}, "fields of others: password"),
        ({"access_token": "a secret that is not shown"}, "a token without a user_id"),
        ({"user_id": "@somebody:else", "access_token": "x"}, "the token of another user"),
    ],
)
def test_an_entry_of_others_is_left(
    site: Site, user_id: str, path: str, fields: dict[str, str], said: str
) -> None:
    site.openbao.write(path.removeprefix("secret/"), fields)
    site.confidential.add("a secret that is not shown")
    error = site.error(ConflictError, keep, site, user_id, path)
    assert said in error.message
    assert entry(site, path) == fields


def test_a_user_without_a_secret(site: Site, path: str) -> None:
    site.error(VaultError, keep, site, new_id("keeper"), path)
    assert entry(site, path) == {}


def test_a_login_that_is_refused_leaves_what_was_there(site: Site, path: str) -> None:
    user_id = new_id("keeper")
    site.provisioner(Means.SHARED_SECRET).provision_user(user_id, with_token=False)
    locked = {"locked": True}
    site.admin("PUT", f"v2/users/{user_id}", locked)
    with pytest.raises(Exception, match="M_USER_LOCKED"):
        keep(site, user_id, path)
    assert entry(site, path) == {}
    site.admin("PUT", f"v2/users/{user_id}", {"locked": False})
    keep(site, user_id, path)
    kept = check_kept(site, user_id, path)
    site.admin("PUT", f"v2/users/{user_id}", locked)
    with pytest.raises(Exception, match="M_USER_LOCKED"):
        keep(site, user_id, path)
    site.admin("PUT", f"v2/users/{user_id}", {"locked": False})
    assert entry(site, path) == kept


@pytest.mark.parametrize(
    "answered",
    [pytest.param(False, marks=pytest.mark.nightly, id="before"), pytest.param(True, id="after")],
)
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "next"])
def test_killed_at_every_request(site: Site, user_id: str, answered: bool, is_first: bool) -> None:
    with Scaffold(site) as scaffold:
        for number in itertools.count(1):
            path = f"secret/kept/killed-{next(_numbers)}"
            if not is_first:
                keep(site, user_id, path)
            before = entry(site, path)
            if not scaffold.kill_at(
                number,
                answered=answered,
                means=None,
                user_id=user_id,
                verb="keep_token",
                keep_in=path,
            ):
                break
            left = entry(site, path)
            if before:
                # Whoever reads the entry meanwhile has a token.
                assert site.user_of(left["access_token"]) == user_id
            keep(site, user_id, path, renew_before="7d")
            kept = check_kept(site, user_id, path)
            assert kept["device_id"] == {**kept, **left, **before}["device_id"]
    assert len(scaffold.requests) >= 7


def test_many_runs_at_once_open_one_session(site: Site, path: str) -> None:
    user_id = new_id("keeper")
    site.provisioner(Means.SHARED_SECRET).provision_user(user_id, with_token=False)

    def run(_: int) -> KeptToken:
        return keep(site, user_id, path)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(run, range(8)))
    kept = check_kept(site, user_id, path)
    assert [one["device_id"] for one in site.devices(user_id)] == [kept["device_id"]]
    # Those that came while another one was at work have its token.
    assert sum(result.is_new for result in results) < 8
    assert {result.device_id for result in results} == {kept["device_id"]}
    began = time.monotonic()
    assert not keep(site, user_id, path, renew_before="7d").is_new
    assert time.monotonic() - began < 3
