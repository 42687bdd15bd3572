"""Configurations of the module, right and wrong ones; the secrets in them hold "s3cret"."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
import yaml
from synapse.module_api.errors import ConfigError
from synapse_vault_auth_provider import VaultAuthProvider
from synapse_vault_auth_provider._core import Settings
from synapse_vault_auth_provider.config import IncompleteSettings

TOKEN = "hvs.s3cret"

OF_2018 = """\
vault_url: "https://localhost:8200"
vault_token: "hvs.s3cret"
vault_path_root: "/matrix/users/"
vault_kv_mount_point: "secret"
"""


def config_with(**changes: object) -> dict[Any, Any]:
    return {**yaml.safe_load(OF_2018), **changes}


def settings_to_serve(config: object) -> Settings:
    """Return the settings of a process that serves clients, which must lack nothing."""
    settings = VaultAuthProvider.parse_config(config)
    if isinstance(settings, IncompleteSettings):
        raise settings.error
    return settings


def error_of(config: object) -> ConfigError:
    """Return the error that `config` stops Synapse with, after a look for secrets in it."""
    with pytest.raises(ConfigError) as caught:
        settings_to_serve(config)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert "s3cret" not in shown
    return caught.value


def check_accepted(config: object) -> str:
    """Fail unless the configuration is accepted and shows no secret; return what it shows."""
    shown = repr(settings_to_serve(config))
    assert "s3cret" not in shown
    return shown
