"""Which renewals that fail stop the command of a lease."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from synapse_vault_auth_provider.cli.exec_lease import LeaseRenewal
from synapse_vault_auth_provider.provisioning import VaultError

if TYPE_CHECKING:
    from synapse_vault_auth_provider.provisioning import Lease


def renewal_that_fails(error: VaultError) -> LeaseRenewal:
    """Have a renewal of a long lease fail."""
    lease = cast("Lease", SimpleNamespace(duration=3600.0, renewable=True))

    def renew() -> Future[float]:
        failed = Future[float]()
        failed.set_exception(error)
        return failed

    renewal = LeaseRenewal(lease, renew)
    renewal.under_way = renew()
    renewal.go_on()
    return renewal


@pytest.mark.parametrize(
    ("text", "is_final"),
    [
        ("the session of @a:b has ended (M_UNKNOWN_TOKEN); read another", True),
        ("lease not found", True),
        ("lease expired", True),
        ("rpc error: code = Unavailable desc = error reading from server: EOF", False),
        ("plugin is shut down", False),
    ],
)
def test_only_a_lease_that_is_gone_stops_the_command(text: str, is_final: bool) -> None:
    renewal = renewal_that_fails(VaultError(f"Vault answered 400: {text}", status=400))
    assert renewal.has_stopped is is_final
