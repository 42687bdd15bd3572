"""Provisioning by a standby of a cluster, which may be behind what was written just before."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.harness.confidential import Confidential
from tests.harness.deployment import LOGGER
from tests.harness.provisioning import POLICY, Site, by_both_means, new_id
from tests.servers import RaftCluster, Relay
from tests.servers.relay import Reply

if TYPE_CHECKING:
    from synapse_vault_auth_provider.provisioning import ProvisionedUser

    from tests.harness.provisioning import Means
    from tests.harness.stack import Stack
    from tests.servers.relay import Request


pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def cluster(file_stack: Stack) -> RaftCluster:
    return file_stack.start_raft()


@pytest.fixture(scope="module")
def cluster_site(file_stack: Stack, cluster: RaftCluster, confidential: Confidential) -> Site:
    active = cluster.active()
    token = confidential.add(active.create_token("provisioning", POLICY))
    clustered = file_stack.start_homeserver(
        "clustered", openbao=active, vault_url=cluster.urls, vault_token=token
    )
    return Site.of(clustered)


@by_both_means
def test_a_standby_alone_is_told(
    cluster_site: Site, cluster: RaftCluster, means: Means, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", LOGGER)
    site = cluster_site
    cluster.settle()
    provisioner = site.provisioner(means, vault_url=cluster.standbys()[0].url)
    user_ids = [new_id("clustered") for _ in range(20)]

    async def provision() -> list[ProvisionedUser]:
        return await asyncio.gather(*map(provisioner.provision_user_async, user_ids))

    for user_id, user in zip(user_ids, asyncio.run(provision()), strict=True):
        assert not site.seen(user).already_exists
        assert site.user_of(user.access_token or "") == user_id
        site.check_finished(user_id)
    for user_id in user_ids[:5]:
        version = provisioner.rotate_secret(user_id).version
        assert version == 3
        assert provisioner.rotate_secret(user_id).version == 4
        assert provisioner.revoke_user(user_id).secret_removed
        assert site.versions(user_id) == {}
    site.confidential.check_text(caplog.text)


@by_both_means
def test_a_cluster_that_forwards_nothing_is_asked_without(
    cluster_site: Site, cluster: RaftCluster, means: Means
) -> None:
    """As Vault Enterprise is by default: ``allow_forwarding_via_header``."""

    def refuse_to_forward(request: Request) -> Reply | None:
        if "X-Vault-Inconsistent" not in request.headers:
            return None
        return Reply(400, {"errors": ["forwarding via header disabled in configuration"]})

    site = cluster_site
    cluster.settle()
    with Relay(cluster.standbys()[0].url) as relay:
        relay.meddle = refuse_to_forward
        provisioner = site.provisioner(means, vault_url=relay.url)
        user_id = new_id("clustered")
        assert site.user_of(provisioner.provision_user(user_id).access_token or "") == user_id
        site.check_finished(user_id)
        assert provisioner.rotate_secret(user_id).version == 3
        assert provisioner.rotate_secret(user_id).version == 4
        assert provisioner.revoke_user(user_id).secret_removed
        assert site.versions(user_id) == {}
        with_index = [request for request in relay.requests if "X-Vault-Index" in request.headers]
        refused = [request for request in with_index if refuse_to_forward(request)]
        # Each was sent again without, and soon nothing asks to be forwarded any more.
        assert 0 < 2 * len(refused) < len(with_index)
