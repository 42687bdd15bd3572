"""What a KV engine forgets by itself, and where that is said."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from synapse_vault_auth_provider.provisioning import ConflictError

from tests.harness.command_line import CommandLine
from tests.harness.provisioning import Means, by_both_means, new_id
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.harness.provisioning import Site


def limit(site: Site, user_id: str, **settings: object) -> None:
    """Set what Vault keeps of an entry, before there is one or later.

    API: https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#create-update-metadata
    """
    site.openbao.api("POST", f"secret/metadata/{site.root}/{user_id}", settings)


def test_a_secret_before_that_is_kept(site: Site) -> None:
    user_id = new_id("kept")
    site.provisioner(Means.ADMIN_API).provision_user(user_id, with_token=False)
    rotated = site.provisioner().rotate_secret(user_id)
    assert (rotated.former_kept, rotated.warnings) == (True, [])


def test_a_secret_before_that_is_not_kept(site: Site, tmp_path: Path) -> None:
    user_id = new_id("kept")
    limit(site, user_id, max_versions=1)
    site.provisioner(Means.ADMIN_API).provision_user(user_id, with_token=False)
    former = site.secret(user_id)
    rotated = site.provisioner().rotate_secret(user_id)
    assert not rotated.former_kept
    (warning,) = rotated.warnings
    assert "max_versions" in warning
    assert not site.opens(user_id, former)
    # The command promises no time, although there may be a grace.
    ended = CommandLine(site, tmp_path).run("rotate", "--json", user_id)
    assert (ended.code, ended.json["former_kept"]) == (0, False)
    assert "max_versions" in ended.err
    assert ended.json["former_valid_until"][:19] == ended.json["created_time"][:19]


@by_both_means
def test_a_secret_that_vault_will_delete(site: Site, means: Means) -> None:
    user_id = new_id("deleted")
    limit(site, user_id, delete_version_after="4s")
    provisioner = site.provisioner(means)
    (warning,) = site.seen(provisioner.provision_user(user_id, with_token=False)).warnings
    assert "delete_version_after" in warning
    assert "delete_version_after" in str(provisioner.rotate_secret(user_id).warnings)
    (finding,) = (one for one in provisioner.diagnose(user_id) if one.check == "secret")
    assert finding.status == "warning"
    assert "delete_version_after" in finding.detail
    until = time.monotonic() + 30
    while site.newest(user_id) is not None and time.monotonic() < until:
        time.sleep(0.5)
    error = site.error(ConflictError, provisioner.provision_user, user_id)
    assert "delete_version_after" in error.message
    # With a time that is long enough, all is well again.
    limit(site, user_id, delete_version_after="0s")
    adopted = site.seen(provisioner.provision_user(user_id, adopt=True, with_token=False))
    assert "delete_version_after" not in str(adopted.warnings)


def test_doctor_says_what_the_engine_forgets(site: Site, request: pytest.FixtureRequest) -> None:
    mount = "forgetful"
    site.openbao.api("POST", f"sys/mounts/{mount}", {"type": "kv", "options": {"version": "2"}})
    request.addfinalizer(lambda: site.openbao.api("DELETE", f"sys/mounts/{mount}"))
    settings = {"delete_version_after": "720h", "max_versions": 1}

    def is_set() -> bool:
        # While the engine prepares its storage it answers 400.
        with suppress(RuntimeError):
            site.openbao.api("POST", f"{mount}/config", settings)
            return True
        return False

    wait_until("the engine has its settings", is_set)
    policy = f'path "{mount}/*" {{ capabilities = ["read"] }}'
    token = site.confidential.add(site.openbao.create_token("forgetful", policy))
    provisioner = site.provisioner(vault_token=token, vault_kv_mount_point=mount)
    found = [one for one in provisioner.diagnose() if one.check == "KV engine"]
    assert [one.status for one in found] == ["ok", "warning"]
    assert "720h0m0s" in found[1].detail
    assert "delete_version_after" in (found[1].advice or "")
