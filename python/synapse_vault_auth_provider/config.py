"""From Synapse's configuration file to checked settings."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._core import LackingError, Settings, SettingsError

if TYPE_CHECKING:
    from synapse.module_api.errors import ConfigError


@dataclass(frozen=True)
class IncompleteSettings:
    """A configuration that lacks something in this process, such as a token in its environment.

    Synapse's tools read the homeserver's configuration without its environment, and sometimes as
    another user. Only a process that serves logins needs what is missing.
    """

    error: ConfigError
    """What is missing."""


def parse_config(config: object) -> Settings | IncompleteSettings:
    """Check the module's configuration.

    Args:
        config: The mapping under ``config:`` in ``homeserver.yaml``. Environment variables of
            Vault's and OpenBao's own command lines fill in for the address and the token.

    Returns:
        The settings, for the class's constructor; incomplete ones if everything is right but that
        there is no token, or a file that cannot be read.

    Raises:
        synapse.module_api.errors.ConfigError: A key is wrong. It names the key and what is
            allowed there; Synapse prints both and does not start.
    """
    try:
        return Settings.parse(to_json(config), environment())
    except SettingsError as error:
        from synapse.module_api.errors import ConfigError

        key, message = error.args
        # Synapse shows the path in front of the message, but only where it prints both.
        config_error = ConfigError(f"{key}: {message}", path=(key,))
        if isinstance(error, LackingError):
            return IncompleteSettings(config_error)
        raise config_error from None


def to_json(config: object) -> dict[str, str]:
    """Return a configuration as the core takes it: each key with its value in JSON.

    Raises:
        SettingsError: It is no mapping, or holds what JSON cannot express.
    """
    if not isinstance(config, Mapping):
        raise SettingsError("config", "must be a mapping of keys to values")
    values = {}
    for key, value in config.items():
        if not isinstance(key, str) or not _is_unicode(key):
            raise SettingsError(ascii(key)[:100], "keys must be strings of Unicode")
        try:
            values[key] = json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            raise SettingsError(
                key, "must be a string, a number, true, false, a list or a mapping"
            ) from None
    return values


def _is_unicode(text: str) -> bool:
    """Whether UTF-8 can express the text, as it cannot express lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_PREFIXES = ("VAULT_", "BAO_", "SYNAPSE_VAULT_")

_VARIABLES = frozenset(
    {
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR"),
        # Set by servers that run a program for each request, which makes HTTP_PROXY a client's.
        "REQUEST_METHOD",
    }
)
"""What tells all programs of proxies and authorities."""


def environment() -> dict[str, str]:
    """Return the environment variables that may fill in for keys."""
    # Bytes that are not UTF-8 become a character that no address and no token may hold.
    return {
        name: os.fsencode(value).decode("utf-8", "replace")
        for name, value in os.environ.items()
        if (name.startswith(_PREFIXES) or name in _VARIABLES) and _is_unicode(name)
    }
