"""Accounts that have lost their cross-signing keys, and may replace them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synapse_vault_auth_provider.provisioning import ConfigurationError

from tests.harness.provisioning import Means, new_id

if TYPE_CHECKING:
    from tests.harness.provisioning import Site


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
