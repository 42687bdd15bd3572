"""What provisioning says when Vault says no, or does not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from synapse_vault_auth_provider.provisioning import UnreachableError, VaultError

from tests.harness.provisioning import Means, Site, by_both_means, new_id
from tests.servers import BrokenVault
from tests.servers.broken_vault import answer, silence
from tests.servers.port import ReservedPort

if TYPE_CHECKING:
    from collections.abc import Callable

    from synapse_vault_auth_provider.provisioning import Provisioner

    from tests.servers import DurableOpenBao, OpenBao

VERBS: dict[str, Callable[[Provisioner, str], object]] = {
    "provision_user": lambda provisioner, user_id: provisioner.provision_user(user_id),
    "login": lambda provisioner, user_id: provisioner.login(user_id),
    "rotate_secret": lambda provisioner, user_id: provisioner.rotate_secret(user_id),
    "revoke_user": lambda provisioner, user_id: provisioner.revoke_user(user_id),
    "list_users": lambda provisioner, _: provisioner.list_users(),
}

every_verb = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)


@by_both_means
def test_the_token_of_the_module_may_not_write(site: Site, means: Means, vault_token: str) -> None:
    user_id = new_id()
    provisioner = site.provisioner(means, vault_token=vault_token)
    error = site.error(VaultError, lambda: provisioner.provision_user(user_id))
    assert error.status == 403
    assert f"cannot write secret/matrix/users/{user_id}" in error.message
    assert "policy --for provisioning" in (error.advice or "")
    assert site.account(user_id) is None
    assert site.versions(user_id) == {}


def test_what_the_token_of_the_module_is_enough_for(site: Site, vault_token: str) -> None:
    user_id = new_id()
    site.provisioner(Means.ADMIN_API).provision_user(user_id, with_token=False)
    provisioner = site.provisioner(vault_token=vault_token)
    assert site.user_of(site.seen(provisioner.login(user_id)).access_token) == user_id
    for verb in ("rotate_secret", "revoke_user", "list_users"):
        error = site.error(VaultError, VERBS[verb], provisioner, user_id)
        assert error.status == 403
        assert error.advice
    assert site.opens(user_id, site.secret(user_id))


@every_verb
def test_a_dead_token(site: Site, verb: Callable[[Provisioner, str], object]) -> None:
    provisioner = site.provisioner(
        Means.ADMIN_API, vault_token=site.confidential.add("s.0123456789abcdef01234567")
    )
    error = site.error(VaultError, lambda: verb(provisioner, new_id()))
    assert error.status == 403
    assert "does not accept the token" in error.message
    assert "give another token" in (error.advice or "")


@every_verb
def test_a_sealed_vault(
    site: Site, sealed_openbao: DurableOpenBao, verb: Callable[[Provisioner, str], object]
) -> None:
    provisioner = site.provisioner(Means.ADMIN_API, vault_url=sealed_openbao.url, timeout=1)
    error = site.error(VaultError, lambda: verb(provisioner, new_id()))
    assert error.status == 503
    assert "sealed" in error.message.lower()
    assert error.advice


@every_verb
def test_nobody_listens(site: Site, verb: Callable[[Provisioner, str], object]) -> None:
    nobody = ReservedPort()
    vault_url = f"http://127.0.0.1:{nobody}"
    provisioner = site.provisioner(Means.ADMIN_API, vault_url=vault_url, timeout=1)
    user_id = new_id()
    error = site.error(UnreachableError, lambda: verb(provisioner, user_id))
    assert vault_url in error.message
    assert "check vault_url" in (error.advice or "")
    assert (error.status, error.errcode) == (None, None)
    assert site.account(user_id) is None


def test_nobody_answers(site: Site) -> None:
    vault = BrokenVault()
    vault.listen(silence)
    try:
        provisioner = site.provisioner(Means.ADMIN_API, vault_url=vault.url, timeout=1)
        error = site.error(UnreachableError, lambda: provisioner.provision_user(new_id()))
        assert error.advice
    finally:
        vault.close()


@pytest.mark.parametrize("version", [None, 2])
@pytest.mark.parametrize(
    "reply",
    [answer(200, b"<html>Welcome</html>"), answer(200, {}), answer(404, b"<html>What?</html>")],
    ids=["HTML", "JSON", "not found"],
)
def test_what_is_no_vault(site: Site, reply: Any, version: int | None) -> None:
    vault = BrokenVault()
    vault.listen(reply)
    user_id = new_id()
    try:
        provisioner = site.provisioner(
            Means.ADMIN_API, vault_url=vault.url, vault_kv_version=version
        )
        error = site.error(VaultError, lambda: provisioner.provision_user(user_id))
        assert error.message.startswith("cannot read ")
    finally:
        vault.close()
    assert site.account(user_id) is None


@pytest.mark.parametrize("configured", [None, 1, 2])
def test_an_engine_of_version_1(site: Site, openbao: OpenBao, configured: int | None) -> None:
    mount = f"old-{configured}"
    openbao.api("POST", f"sys/mounts/{mount}", {"type": "kv", "options": {"version": "1"}})
    user_id = new_id()
    provisioner = site.provisioner(
        Means.ADMIN_API,
        vault_token=openbao.root_token,
        vault_kv_mount_point=mount,
        vault_kv_version=configured,
    )
    error = site.error(VaultError, lambda: provisioner.provision_user(user_id))
    if configured == 2:
        assert mount in error.message
    else:
        assert "version 1" in error.message
        assert f"vault kv enable-versioning {mount}" in str(error)
    assert site.account(user_id) is None
    with pytest.raises(RuntimeError, match="404"):
        openbao.api("GET", f"{mount}/matrix/users/{user_id}")


@every_verb
@pytest.mark.parametrize("version", [None, 2])
def test_a_mount_that_is_not_there(
    site: Site,
    openbao: OpenBao,
    verb: Callable[[Provisioner, str], object],
    version: int | None,
) -> None:
    provisioner = site.provisioner(
        Means.ADMIN_API,
        vault_token=openbao.root_token,
        vault_kv_mount_point="nowhere",
        vault_kv_version=version,
    )
    user_id = new_id()
    error = site.error(VaultError, lambda: verb(provisioner, user_id))
    assert "nowhere" in error.message
    assert site.account(user_id) is None
