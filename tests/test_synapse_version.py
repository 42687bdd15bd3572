"""A Synapse that is older than any the module is tested with is warned of."""

from __future__ import annotations

from pathlib import Path

import pytest
from synapse_vault_auth_provider.synapse_version import OLDEST_SYNAPSE, warn_of_old_synapse

from .pythons import ROOT


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the description of an installed Synapse, which comes before the real one."""
    description = tmp_path / "matrix_synapse-0.dist-info" / "METADATA"
    description.parent.mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    return description


@pytest.mark.parametrize("version", ["1.99.0", "1.99.0rc1", "0.34.1.1", "1.9.1", "1.99.0+local"])
def test_an_older_one_is_warned_of(
    version: str, installed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    installed.write_text(f"Name: matrix-synapse\nVersion: {version}\n")
    warn_of_old_synapse()
    (record,) = caplog.records
    assert (record.levelname, record.name) == ("WARNING", "synapse_vault_auth_provider")
    assert record.getMessage() == (
        f"Synapse {version} is older than 1.100, the oldest that this module is tested with"
    )


@pytest.mark.parametrize("version", ["1.100.0", "1.100.0rc1", "1.163.2", "2.0.0", "a fork's"])
def test_others_are_not(version: str, installed: Path, caplog: pytest.LogCaptureFixture) -> None:
    installed.write_text(f"Name: matrix-synapse\nVersion: {version}\n")
    warn_of_old_synapse()
    assert not caplog.records


def test_the_oldest_is_the_one_that_is_tested() -> None:
    pinned = (ROOT / "requirements" / "oldest.txt").read_text()
    assert "\nmatrix-synapse=={}.{}.".format(*OLDEST_SYNAPSE) in pinned
