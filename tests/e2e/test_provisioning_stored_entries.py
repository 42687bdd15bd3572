"""Entries that are stored in Vaults already: each verb goes on from them.

They are literal JSON, which `src/provisioning/account/stored_entries.rs` reads and writes as well.
A field that changes its name there or here loses accounts and secrets that exist.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from synapse_vault_auth_provider.provisioning import (
    ConfigurationError,
    ConflictError,
    UndecidedError,
    VaultError,
)

from tests.harness.provisioning import Means, by_both_means, new_id

if TYPE_CHECKING:
    from tests.harness.provisioning import Site

STORED: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "stored_entries.json").read_text(encoding="utf-8")
)

LOGIN_SECRET: str = STORED["done"]["login_secret"]
PASSWORD: str = STORED["intent by registration"]["provisioning"]["password"]

ADMIN_BOT: dict[str, Any] = {"is_admin": True, "user_type": "bot"}
PLAIN: dict[str, Any] = {"is_admin": False, "user_type": None}


def store(site: Site, *names: str) -> str:
    """Write entries as the versions of one, as if that had been done long ago; return its id."""
    user_id = new_id("stored")
    for name in names:
        site.put(user_id, STORED[name])
    site.newest(user_id)
    return user_id


def done(version: int, **created_as: Any) -> dict[str, Any]:
    """Return what an entry says of an account that was created after that version."""
    versions = list(range(1, version + 1))
    return {"state": "done", "intent_versions": versions, **created_as}


def create_by_admin_api(site: Site, user_id: str) -> None:
    """Create an account as today's code does over the admin API: without a password."""
    assert site.admin("PUT", f"v2/users/{user_id}", {}).status_code == 201


def create_bot_by_registration(site: Site, user_id: str) -> None:
    """Create an account as today's code does by registration with the intent's password."""
    site.register(user_id, PASSWORD, admin=True, login=False)
    assert site.admin("PUT", f"v2/users/{user_id}", {"user_type": "bot"}).ok


def entry_of(site: Site, user_id: str) -> dict[str, Any]:
    """Return an entry without when the account was created, which an administrator keeps there."""
    entry = site.entry(user_id)
    account = site.account(user_id)
    created = account["creation_ts"] if account else None
    assert entry.get("provisioning", {}).pop("creation_ts", created) == created
    if entry.get("provisioning") == {"state": "adopted", "intent_versions": []}:
        del entry["provisioning"]
    return entry


def check_entry(site: Site, user_id: str, version: int, **fields: Any) -> None:
    """Fail unless an account has its stored secret, these fields, and no version before."""
    assert entry_of(site, user_id) == {"login_secret": LOGIN_SECRET, **fields}
    former = dict.fromkeys(range(1, version), "destroyed")
    assert site.versions(user_id) == {**former, version: "live"}
    assert site.opens(user_id, LOGIN_SECRET)


@by_both_means
def test_an_intent_whose_account_is_not_there(site: Site, means: Means) -> None:
    user_id = store(site, "intent by registration")
    provisioner = site.provisioner(means)
    for external_id in ("8", None):
        error = site.error(
            ConflictError, provisioner.provision_user, user_id, external_id=external_id
        )
        assert "belongs to a user" in error.message
    user = site.seen(provisioner.provision_user(user_id, external_id="7", **ADMIN_BOT))
    assert not user.already_exists
    assert site.user_of(user.access_token or "") == user_id
    created_as = ADMIN_BOT if means is Means.SHARED_SECRET else PLAIN
    # The intent is written again before the account is created.
    check_entry(site, user_id, 3, external_id="7", provisioning=done(2, **created_as))
    account = site.account(user_id)
    assert account is not None
    assert (bool(account["admin"]), account["user_type"]) == (True, "bot")


@by_both_means
def test_an_account_that_was_registered(site: Site, means: Means) -> None:
    """The stored password proves whose it is, and the stored wishes tell as what it was begun."""
    user_id = store(site, "intent by registration")
    create_bot_by_registration(site, user_id)
    provisioner = site.provisioner(means)
    error = site.error(ConflictError, provisioner.provision_user, user_id, external_id="7")
    assert "begun with is_admin=true and user_type=bot" in error.message
    user = site.seen(provisioner.provision_user(user_id, external_id="7", **ADMIN_BOT))
    assert site.user_of(user.access_token or "") == user_id
    check_entry(site, user_id, 2, external_id="7", provisioning=done(1, **ADMIN_BOT))


def test_an_account_that_was_created_over_the_admin_api(site: Site) -> None:
    user_id = store(site, "intent over the admin API")
    create_by_admin_api(site, user_id)
    by_secret = site.provisioner(Means.SHARED_SECRET)
    error = site.error(UndecidedError, by_secret.provision_user, user_id)
    assert "to be created over the admin API" in error.message
    site.seen(site.provisioner(Means.ADMIN_API).provision_user(user_id))
    check_entry(site, user_id, 2, provisioning=done(1, **PLAIN))


def test_when_the_work_began(site: Site) -> None:
    """Only an account that is younger than the intent may be ours."""
    user_id = store(site, "intent without a clock")
    create_by_admin_api(site, user_id)
    provisioner = site.provisioner(Means.ADMIN_API)
    error = site.error(UndecidedError, provisioner.provision_user, user_id)
    assert "did not say when" in error.message
    user_id = new_id("stored")
    intent = STORED["intent over the admin API"]
    later = {**intent["provisioning"], "started": int(time.time()) + 3600}
    site.put(user_id, {**intent, "provisioning": later})
    create_by_admin_api(site, user_id)
    error = site.error(UndecidedError, provisioner.provision_user, user_id)
    assert "older than the work on it" in error.message


@pytest.mark.parametrize("created", Means, ids=lambda means: f"created by {means.value}")
def test_an_intent_that_was_taken_up_by_the_other_method(site: Site, created: Means) -> None:
    user_id = store(site, "intent over the admin API", "intent by both methods")
    if created is Means.ADMIN_API:
        create_by_admin_api(site, user_id)
    else:
        site.register(user_id, PASSWORD, login=False)
    site.seen(site.provisioner(Means.ADMIN_API).provision_user(user_id, external_id="7"))
    check_entry(site, user_id, 3, external_id="7", provisioning=done(2, **PLAIN))


def test_an_intent_whose_account_is_adopted(site: Site) -> None:
    user_id = store(site, "intent by registration")
    site.register(user_id, "the password of the owner")
    provisioner = site.provisioner(Means.SHARED_SECRET)
    error = site.error(UndecidedError, provisioner.provision_user, user_id, external_id="7")
    assert "password that it was begun with is refused" in error.message
    site.seen(provisioner.provision_user(user_id, external_id="7", adopt=True))
    check_entry(
        site,
        user_id,
        2,
        external_id="7",
        provisioning={"state": "adopted", "intent_versions": [1]},
    )


@by_both_means
def test_a_new_start_after_what_was_given_up(site: Site, means: Means) -> None:
    user_id = store(site, "given up")
    provisioner = site.provisioner(means)
    site.error(VaultError, provisioner.login, user_id)
    user = site.seen(provisioner.provision_user(user_id))
    assert not user.already_exists
    assert site.secret(user_id) != LOGIN_SECRET
    assert entry_of(site, user_id)["provisioning"] == {
        "state": "done",
        "intent_versions": [2],
        **PLAIN,
    }
    assert site.versions(user_id) == {1: "live", 2: "destroyed", 3: "live"}


@by_both_means
@pytest.mark.parametrize("name", ["adopted", "adopted without an intent"])
def test_an_adopted_account(site: Site, means: Means, name: str) -> None:
    user_id = store(site, "intent by registration", name)
    site.register(user_id)
    provisioner = site.provisioner(means)
    site.error(ConflictError, provisioner.provision_user, user_id, external_id="8")
    user = site.seen(provisioner.provision_user(user_id, external_id="7"))
    assert user.already_exists
    assert entry_of(site, user_id) == STORED[name]
    # The version of the intent is destroyed if the entry says which one that is.
    expected = "destroyed" if name == "adopted" else "live"
    assert site.versions(user_id) == {1: expected, 2: "live"}


@by_both_means
def test_an_account_that_was_created(site: Site, means: Means) -> None:
    user_id = store(site, "intent by registration", "done")
    create_bot_by_registration(site, user_id)
    provisioner = site.provisioner(means)
    # What it was created as needs no administrator now.
    user = site.seen(provisioner.provision_user(user_id, external_id="7", **ADMIN_BOT))
    assert user.already_exists
    assert entry_of(site, user_id) == STORED["done"]
    check_entry(site, user_id, 2, external_id="7", provisioning=done(1, **ADMIN_BOT))


def test_an_account_that_was_created_as_nothing_special(site: Site) -> None:
    user_id = store(site, "intent over the admin API", "done over the admin API")
    create_by_admin_api(site, user_id)
    provisioner = site.provisioner(Means.SHARED_SECRET)
    error = site.error(ConfigurationError, provisioner.provision_user, user_id, user_type="bot")
    assert error.key == "user_type"
    site.seen(provisioner.provision_user(user_id))
    check_entry(site, user_id, 2, provisioning=done(1, **PLAIN))


@pytest.mark.parametrize(
    ("former", "name", "left"),
    [
        ("intent by registration", "done", "done and rotated"),
        ("intent by registration", "adopted", "adopted without an intent"),
        ("done and rotated", "done and rotated", "done and rotated"),
    ],
)
def test_another_secret(site: Site, former: str, name: str, left: str) -> None:
    user_id = store(site, former, name)
    site.register(user_id)
    assert site.provisioner().rotate_secret(user_id).version == 3
    secret = site.secret(user_id)
    assert secret != LOGIN_SECRET
    kept = {key: value for key, value in STORED[name].items() if key == "external_id"}
    changed = {key: value for key, value in STORED[left].items() if key == "provisioning"}
    assert entry_of(site, user_id) == {"login_secret": secret, **kept, **changed}
    # The secret before stays, and so does what is no intent.
    was_intent = former == "intent by registration"
    assert site.versions(user_id) == {
        1: "destroyed" if was_intent else "live",
        2: "live",
        3: "live",
    }
    assert site.opens(user_id, secret)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("intent by registration", ConflictError, "half-made"),
        ("intent over the admin API", ConflictError, "half-made"),
        ("given up", VaultError, "Vault holds no secret"),
    ],
)
def test_no_secret_yet(
    site: Site, name: str, kind: type[ConflictError | VaultError], message: str
) -> None:
    user_id = store(site, name)
    provisioner = site.provisioner()
    for verb in (provisioner.login, provisioner.rotate_secret):
        assert message in site.error(kind, verb, user_id).message
    assert entry_of(site, user_id) == STORED[name]


@pytest.mark.parametrize("means", [None, Means.ADMIN_API], ids=str)
@pytest.mark.parametrize("name", STORED)
def test_a_secret_is_taken_away(site: Site, means: Means | None, name: str) -> None:
    user_id = store(site, name)
    token = site.register(user_id)["access_token"]
    has_secret = "login_secret" in STORED[name]
    is_closed = means is Means.ADMIN_API or has_secret
    revoked = site.seen(site.provisioner(means).revoke_user(user_id))
    # The secret may have gone before.
    is_removed = name != "revoking"
    assert (revoked.secret_removed, revoked.sessions_ended) == (is_removed, is_closed)
    if not is_closed:
        (warning,) = revoked.warnings
        reasons = {"given up": "Vault holds no secret", "revoking": "has removed the secret"}
        assert reasons.get(name, "half-made") in warning
    assert (site.user_of(token) is None) is is_closed
    if is_removed or is_closed:
        assert site.versions(user_id) == {}


@pytest.mark.parametrize("name", STORED)
def test_only_an_account_with_a_secret_is_deactivated(site: Site, name: str) -> None:
    user_id = store(site, name)
    site.register(user_id)
    provisioner = site.provisioner(Means.ADMIN_API)
    revoked = site.seen(provisioner.revoke_user(user_id, deactivate=True))
    assert revoked.deactivated is ("login_secret" in STORED[name] or name == "revoking")


def test_the_list(site: Site) -> None:
    ids = {name: store(site, name) for name in STORED}
    listed = {user.matrix_user_id: user for user in site.provisioner().list_users()}
    assert ids["given up"] not in listed
    for name, user_id in ids.items():
        if name != "given up":
            unready = "unfinished" if name.startswith("intent") else "ready"
            state = name if name == "revoking" else unready
            assert listed[user_id].state == state
            assert listed[user_id].external_id == STORED[name].get("external_id")
