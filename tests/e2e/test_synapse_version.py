"""A homeserver that is too old says so when it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.harness.deployment import Deployment
from tests.servers import Registration

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WARNING = "the oldest that this module is tested with"


@pytest.mark.parametrize("registration", Registration)
def test_an_old_synapse_is_warned_of_once(
    registration: Registration, tmp_path: Path, start_homeserver: Callable[..., Deployment]
) -> None:
    # All that an old one and this one differ in, for this test, is what they say they are.
    description = tmp_path / "old" / "matrix_synapse-1.99.0.dist-info" / "METADATA"
    description.parent.mkdir(parents=True)
    description.write_text(
        "Name: matrix-synapse\nVersion: 1.99.0\nRequires-Dist: attrs\nProvides-Extra: redis\n"
    )
    old = start_homeserver(
        "old", registration=registration, environment={"PYTHONPATH": str(tmp_path / "old")}
    )
    (record,) = [one for one in old.synapse.log_records() if WARNING in one.message]
    assert record.level == "WARNING"
    assert "Synapse 1.99.0 is older than" in record.message


def test_this_one_is_not(deployment: Deployment) -> None:
    assert WARNING not in deployment.synapse.log()
