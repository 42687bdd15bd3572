from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider.cli.connection import Connection
from synapse_vault_auth_provider.cli.rotate import former_valid_until
from synapse_vault_auth_provider.provisioning import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

CREATED = "2026-12-31T23:55:08.796978126Z"


def connection(directory: Path, **settings: object) -> Connection:
    module = {"module": "synapse_vault_auth_provider.VaultAuthProvider", "config": settings}
    path = directory / "homeserver.yaml"
    path.write_text(json.dumps({"server_name": "example.org", "modules": [module]}))
    return Connection(config_paths=(path,))


def test_the_former_secret_works_for_the_grace(tmp_path: Path) -> None:
    grace = connection(tmp_path, rotation_grace="10m", cache={"ttl": "1m"}).former_secret_lives
    assert grace == timedelta(minutes=10)
    assert former_valid_until(CREATED, grace) == "2027-01-01T00:05:08Z"


def test_a_cache_may_accept_it_for_longer(tmp_path: Path) -> None:
    cached = connection(tmp_path, rotation_grace="1m", cache={"ttl": "10m"})
    assert cached.former_secret_lives == timedelta(minutes=10)


def test_the_former_secret_ends_at_once_without_a_grace(tmp_path: Path) -> None:
    assert former_valid_until(CREATED, connection(tmp_path).former_secret_lives) == (
        "2026-12-31T23:55:08Z"
    )


def test_nothing_is_said_of_a_module_that_is_not_known() -> None:
    assert Connection().former_secret_lives is None
    assert former_valid_until(CREATED, None) is None


def test_a_grace_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="rotation_grace: must be a number of seconds"):
        connection(tmp_path, rotation_grace="soon").former_secret_lives  # noqa: B018
