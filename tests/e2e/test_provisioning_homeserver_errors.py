"""What provisioning says when the homeserver says no, or is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from synapse_vault_auth_provider.provisioning import (
    ConfigurationError,
    HomeserverError,
    UnreachableError,
)

from tests.harness.confidential import Confidential
from tests.harness.provisioning import Means, Site, by_both_means, new_id, new_name
from tests.servers import BrokenVault, Relay, Synapse
from tests.servers.broken_vault import answer, raw, silence
from tests.servers.port import ReservedPort
from tests.servers.relay import Reply
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from tests.harness.stack import Stack
    from tests.servers import OpenBao

NOT_FOUND = {"errcode": "M_NOT_FOUND", "error": "Profile was not found"}

WRONG = "a-wrong-secret-of-the-tests"


@pytest.fixture(autouse=True)
def wrong_secret_is_confidential(confidential: Confidential) -> None:
    confidential.add(WRONG)


@pytest.fixture(scope="module")
def closed_homeserver(file_stack: Stack) -> Synapse:
    """Return a homeserver that nobody has a registration shared secret of."""
    closed = file_stack.start_homeserver(
        "closed", has_module=False, homeserver_yaml={"registration_shared_secret": None}
    )
    return closed.synapse


def check_that_nothing_is_there(site: Site, user_id: str) -> None:
    assert site.account(user_id) is None
    assert site.newest(user_id) is None
    assert set(site.versions(user_id).values()) <= {"destroyed"}


def test_a_wrong_shared_secret(site: Site) -> None:
    user_id = new_id()
    provisioner = site.provisioner(registration_shared_secret=WRONG)
    error = site.error(HomeserverError, lambda: provisioner.provision_user(user_id))
    assert (error.status, error.errcode) == (403, "M_UNKNOWN")
    assert error.advice == "check registration_shared_secret"
    check_that_nothing_is_there(site, user_id)
    # The right one makes a new start.
    site.seen(site.provisioner(Means.SHARED_SECRET).provision_user(user_id))
    site.check_finished(user_id)


def test_registration_by_shared_secret_is_off(site: Site, closed_homeserver: Synapse) -> None:
    user_id = new_id()
    provisioner = site.provisioner(Means.SHARED_SECRET, homeserver=closed_homeserver.url)
    error = site.error(HomeserverError, lambda: provisioner.provision_user(user_id))
    assert error.status == 400
    assert "Shared secret registration is not enabled" in error.message
    assert "registration_shared_secret" in (error.advice or "")
    check_that_nothing_is_there(site, user_id)


def test_an_admin_token_that_is_none(site: Site) -> None:
    user_id = new_id()
    provisioner = site.provisioner(admin_access_token=WRONG)
    error = site.error(HomeserverError, lambda: provisioner.provision_user(user_id))
    assert (error.status, error.errcode) == (401, "M_UNKNOWN_TOKEN")
    assert "get a new one" in (error.advice or "")
    check_that_nothing_is_there(site, user_id)


def test_the_token_of_no_administrator(site: Site) -> None:
    user_id = new_id()
    token = site.register(new_id())["access_token"]
    provisioner = site.provisioner(admin_access_token=token)
    error = site.error(HomeserverError, lambda: provisioner.provision_user(user_id))
    assert (error.status, error.errcode) == (403, "M_FORBIDDEN")
    assert "server administrator" in (error.advice or "")
    check_that_nothing_is_there(site, user_id)


@by_both_means
def test_nobody_listens(site: Site, means: Means) -> None:
    user_id = new_id()
    nobody = ReservedPort()
    homeserver = f"http://127.0.0.1:{nobody}"
    provisioner = site.provisioner(means, homeserver=homeserver, timeout=1)
    error = site.error(UnreachableError, lambda: provisioner.provision_user(user_id))
    assert homeserver in error.message
    assert "check the homeserver's URL" in (error.advice or "")
    assert (error.status, error.errcode, error.retry_after) == (None, None, None)
    assert site.versions(user_id) == {}


def test_nobody_answers(site: Site) -> None:
    homeserver = BrokenVault()
    homeserver.listen(silence)
    try:
        provisioner = site.provisioner(Means.ADMIN_API, homeserver=homeserver.url, timeout=1)
        error = site.error(UnreachableError, lambda: provisioner.provision_user(new_id()))
        assert error.advice
    finally:
        homeserver.close()


@by_both_means
@pytest.mark.parametrize(
    ("behaviour", "status", "message"),
    [
        (answer(200, b"<html>Welcome</html>"), None, "check that this is the address"),
        (answer(200, []), None, "check that this is the address"),
        (answer(404, b"<html>Not Found</html>"), 404, "404"),
        (answer(404, {"errcode": "M_UNRECOGNIZED", "error": "What?"}), 404, "M_UNRECOGNIZED"),
        (answer(301, Location="https://example.org/?token=x"), None, "redirect"),
    ],
    ids=["HTML", "JSON", "not found", "unrecognized", "redirect"],
)
def test_what_is_no_homeserver(
    site: Site, means: Means, behaviour: Any, status: int | None, message: str
) -> None:
    server = BrokenVault()
    server.listen(behaviour)
    user_id = new_id()
    try:
        provisioner = site.provisioner(means, homeserver=server.url)
        error = site.error(HomeserverError, lambda: provisioner.provision_user(user_id))
        assert error.status == status
        assert message in error.message
        assert "token=x" not in str(error)
    finally:
        server.close()
    assert site.versions(user_id) == {}


def test_what_does_not_speak_http(site: Site) -> None:
    server = BrokenVault()
    server.listen(raw(b"220 example.org ESMTP\r\n"))
    try:
        provisioner = site.provisioner(Means.ADMIN_API, homeserver=server.url, timeout=1)
        error = site.error(UnreachableError, lambda: provisioner.provision_user(new_id()))
        assert error.advice
    finally:
        server.close()


def test_without_the_module_the_token_is_that_of_the_registration(bare_site: Site) -> None:
    user_id = new_id("bare")
    provisioner = bare_site.provisioner(Means.SHARED_SECRET)
    user = bare_site.seen(provisioner.provision_user(user_id, display_name="Bare"))
    assert bare_site.user_of(user.access_token or "") == user_id
    assert bare_site.device_of(user.access_token or "") == user.device_id is not None
    (warning,) = user.warnings
    assert "does not offer logins of type io.t2bot.vault" in warning
    assert "registration" in warning
    assert bare_site.versions(user_id) == {1: "destroyed", 2: "live"}
    # There is no second one.
    error = bare_site.error(HomeserverError, lambda: provisioner.provision_user(user_id))
    assert "does not offer logins of type io.t2bot.vault" in error.message
    assert "install the module" in (error.advice or "")
    again = provisioner.provision_user(user_id, with_token=False)
    assert again.already_exists
    for verb in (provisioner.login, lambda one: provisioner.update_profile(one, display_name="x")):
        error = bare_site.error(HomeserverError, verb, user_id)
        assert "install the module" in (error.advice or "")


def test_without_the_module_the_token_is_an_administrators(bare_site: Site) -> None:
    user_id = new_id("bare")
    provisioner = bare_site.provisioner(Means.ADMIN_API)
    for already_exists in (False, True):
        user = bare_site.seen(provisioner.provision_user(user_id, display_name="Bare"))
        assert user.already_exists is already_exists
        assert bare_site.user_of(user.access_token or "") == user_id
        assert user.device_id is None
        (warning,) = user.warnings
        assert "administrator" in warning
    assert bare_site.profile(user_id)["displayname"] == "Bare"


def test_a_secret_that_the_module_does_not_find(site: Site, openbao: OpenBao) -> None:
    """We write where the module does not read."""
    user_id = new_id()
    token = site.confidential.add(
        openbao.create_token(
            "elsewhere",
            'path "secret/*" { capabilities = ["create", "read", "update", "list", "delete"] }',
        )
    )
    provisioner = site.provisioner(
        Means.SHARED_SECRET, vault_path_root="somewhere/else", vault_token=token
    )
    error = site.error(HomeserverError, lambda: provisioner.provision_user(user_id))
    site.confidential.add(
        openbao.api("GET", f"secret/data/somewhere/else/{user_id}")["data"]["data"]["login_secret"]
    )
    assert (error.status, error.errcode) == (403, "M_FORBIDDEN")
    assert "same Vault, mount and path" in (error.advice or "")


@pytest.mark.parametrize("says", [Reply(404, NOT_FOUND), Reply(403, {"errcode": "M_FORBIDDEN"})])
def test_the_homeserver_has_another_name(site: Site, says: Reply) -> None:
    localpart = new_name()
    user_id = f"@{localpart}:other.{SERVER_NAME}"
    with Relay(site.synapse.url) as relay:
        # As the other homeserver says, or ours that may not ask it.
        relay.meddle = lambda request: says if "/profile/" in request.path else None
        provisioner = site.provisioner(
            Means.SHARED_SECRET, server_name=f"other.{SERVER_NAME}", homeserver=relay.url
        )
        error = site.error(ConfigurationError, lambda: provisioner.provision_user(localpart))
    assert error.key == "server_name"
    assert f"instead of {user_id} it created @{localpart}:{SERVER_NAME}" in str(error)
    assert set(site.versions(user_id).values()) == {"destroyed"}
    error_of_admin = site.error(
        HomeserverError,
        lambda: site.provisioner(
            Means.ADMIN_API, server_name=f"other.{SERVER_NAME}"
        ).provision_user(localpart),
    )
    assert error_of_admin.status == 400


def test_the_homeserver_cannot_ask_another_one(site: Site) -> None:
    with Relay(site.synapse.url) as relay:
        failure = {"errcode": "M_UNKNOWN", "error": "Failed to fetch profile"}
        provisioner = site.provisioner(Means.SHARED_SECRET, homeserver=relay.url, timeout=1)
        relay.meddle = lambda request: Reply(502, failure) if "/profile/" in request.path else None
        error = site.error(HomeserverError, lambda: provisioner.provision_user(new_id()))
    assert error.status == 502
    assert "check server_name" in (error.advice or "")
