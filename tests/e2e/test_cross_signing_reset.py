"""Accounts that have lost their cross-signing keys, and may replace them."""

from __future__ import annotations

import base64
import json
import secrets
from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider.provisioning import ConfigurationError, HomeserverError

from tests.harness.command_line import CommandLine
from tests.harness.mas_provisioning import MasSite
from tests.harness.provisioning import Means, localpart_of, new_id

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.mas_deployment import MasDeployment
    from tests.harness.provisioning import Site


@pytest.fixture
def mas_site(under_mas: MasDeployment) -> MasSite:
    return MasSite.of(under_mas)


def upload_new_keys(site: MasSite, user_id: str, token: str) -> int:
    """Have a client make up cross-signing keys; return what the homeserver answers."""
    key = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    master = {"user_id": user_id, "usage": ["master"], "keys": {f"ed25519:{key}": key}}
    path = "_matrix/client/v3/keys/device_signing/upload"
    return site.client("POST", path, token, {"master_key": master}).status_code


def test_a_bot_that_has_lost_its_keys_replaces_them(mas_site: MasSite, tmp_path: Path) -> None:
    cli = CommandLine(mas_site, tmp_path)
    user_id = new_id("keys")
    token = cli.run("provision", "--json", user_id).json["access_token"]
    assert upload_new_keys(mas_site, user_id, token) == 200
    assert upload_new_keys(mas_site, user_id, token) == 401
    ended = cli.run("provision", "--json", "--no-token", "--reset-cross-signing", user_id)
    assert (ended.code, ended.json["already_exists"]) == (0, True)
    assert ended.json["cross_signing_reset_until"].endswith("Z")
    assert upload_new_keys(mas_site, user_id, token) == 200
    mas_site.confidential.check_text(ended.out + ended.err)


def test_keys_of_another_user_stay(mas_site: MasSite) -> None:
    """An account that is not ours gets nothing."""
    user = mas_site.mas.add_user(localpart_of(new_id("keys")))
    provisioner = mas_site.provisioner(mas_shared_secret=mas_site.mas.shared_secret)
    with pytest.raises(Exception, match="exists"):
        provisioner.provision_user(user.username, reset_cross_signing=True)


def test_another_secret(mas_site: MasSite) -> None:
    wrong = mas_site.confidential.add("another-secret-which-is-wrong")
    provisioner = mas_site.provisioner(mas_shared_secret=wrong)
    error = mas_site.error(
        HomeserverError, provisioner.provision_user, new_id("keys"), reset_cross_signing=True
    )
    assert error.status == 403
    assert "matrix_authentication_service" in (error.advice or "")


def test_no_secret(mas_site: MasSite, tmp_path: Path) -> None:
    user_id = new_id("keys")
    error = mas_site.error(
        ConfigurationError,
        mas_site.provisioner().provision_user,
        user_id,
        reset_cross_signing=True,
    )
    assert error.key == "mas_shared_secret"
    assert mas_site.account(user_id) is None
    # A file that only this needs is not read for anything else.
    values = json.loads(mas_site.synapse.config_path.read_text())
    section = values["matrix_authentication_service"]
    section["secret_path"] = str(tmp_path / "nowhere")
    del section["secret"]
    (tmp_path / "homeserver.yaml").write_text(json.dumps(values))
    cli = CommandLine(mas_site, tmp_path)
    config = ("-c", str(tmp_path / "homeserver.yaml"))
    assert cli.run("list", config=config).code == 0
    cli.run("provision", user_id, "--reset-cross-signing", config=config).check_failure(
        "mas_shared_secret_file: cannot read"
    )


def test_a_homeserver_that_signs_users_in_itself(site: Site) -> None:
    """There is nothing to reset there: a client proves with its token hash who it is."""
    user_id = new_id("keys")
    provisioner = site.provisioner(Means.SHARED_SECRET, mas_shared_secret="unused-shared-secret")
    error = site.error(
        ConfigurationError, provisioner.provision_user, user_id, reset_cross_signing=True
    )
    assert error.key == "reset_cross_signing"
    assert "proves with its token hash" in error.message
    assert site.account(user_id) is None
    assert site.newest(user_id) is None
