"""What Synapse's own configuration says of the homeserver and of the module."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from .failure import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MODULES = (
    "synapse_vault_auth_provider.VaultAuthProvider",
    "synapse-vault-auth-provider.VaultAuthProvider",
)
"""The names under which Synapse may be told of the module."""

LOOPBACK = {
    "127.0.0.1": "127.0.0.1",
    "localhost": "127.0.0.1",
    "0.0.0.0": "127.0.0.1",  # noqa: S104 (read, not listened at)
    "::1": "[::1]",
    "::": "[::1]",
}
"""Addresses to listen at that are reached through loopback, and how; the best first."""


class HomeserverYaml:
    """The configuration files of one homeserver, merged. Shows nothing of them: they hold secrets.

    Reference:
        https://element-hq.github.io/synapse/latest/usage/configuration/config_documentation.html
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        """Take the top level of the configuration."""
        self._values = values

    @classmethod
    def read(cls, paths: Iterable[Path]) -> HomeserverYaml:
        """Read files, and of directories all files that end in ``.yaml``, as Synapse does.

        What a later file has at its top level replaces what an earlier one has there.

        Raises:
            CommandError: One cannot be read or is no YAML.
        """
        values: dict[str, Any] = {}
        for path in _files(paths):
            content = _parse(path)
            if isinstance(content, dict):
                values.update(content)
        return cls(values)

    @property
    def server_name(self) -> str | None:
        """The name of the homeserver, which user ids end with."""
        return self._string("server_name")

    @property
    def registration_shared_secret(self) -> str | None:
        """What proves to Synapse that we may create accounts."""
        return self._string("registration_shared_secret")

    @property
    def registration_shared_secret_path(self) -> str | None:
        """The file that holds it instead."""
        return self._string("registration_shared_secret_path")

    @property
    def url(self) -> str | None:
        """Where clients reach the homeserver: from this machine, or else from everywhere.

        The first is the first listener that serves clients without TLS on a loopback address;
        the administration API is there too, which proxies often keep from the public.
        """
        listeners = self._values.get("listeners")
        for listener in listeners if isinstance(listeners, list) else []:
            if isinstance(listener, dict) and _serves_clients(listener):
                port = listener.get("port")
                host = _loopback_host(listener)
                if host and isinstance(port, int):
                    return f"http://{host}:{port}"
        return self._string("public_baseurl")

    @property
    def module(self) -> Mapping[str, Any] | None:
        """The configuration of our module; `None` if there is none.

        Raises:
            CommandError: There are several, or it is no mapping of names to values.
        """
        found = list(self._modules())
        if not found:
            return None
        if len(found) > 1:
            raise CommandError(
                "the configuration of Synapse names the module more than once",
                "Keep one of its entries under modules and password_providers.",
            )
        (config,) = found
        if not isinstance(config, dict) or not all(isinstance(key, str) for key in config):
            raise CommandError("the module's config must be a mapping of names to values")
        return config

    def _modules(self) -> Iterator[object]:
        for section in ("modules", "password_providers"):
            entries = self._values.get(section)
            for entry in entries if isinstance(entries, list) else []:
                if isinstance(entry, dict) and entry.get("module") in MODULES:
                    yield entry.get("config") or {}

    def _string(self, key: str) -> str | None:
        value = self._values.get(key)
        if value is not None and not isinstance(value, str):
            raise CommandError(f"{key} in the configuration of Synapse must be a string")
        return value or None


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            try:
                files = sorted(path.iterdir())
            except OSError as error:
                raise _unreadable(path, error) from None
            yield from (file for file in files if file.suffix == ".yaml" and file.is_file())
        else:
            yield path


def _parse(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise _unreadable(path, error) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        # The error's own text quotes the file, secrets included.
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise CommandError(f"{path} is no valid YAML{where}") from None


def _unreadable(path: Path, error: OSError) -> CommandError:
    return CommandError(
        f"cannot read {path}: {error.strerror}",
        "Give Synapse's configuration with -c, as a user who may read it.",
    )


def _serves_clients(listener: Mapping[str, Any]) -> bool:
    if listener.get("type") != "http" or listener.get("tls"):
        return False
    resources = listener.get("resources")
    return any(
        isinstance(resource, dict) and "client" in (resource.get("names") or ())
        for resource in (resources if isinstance(resources, list) else [])
    )


def _loopback_host(listener: Mapping[str, Any]) -> str | None:
    bound = listener.get("bind_addresses")
    addresses = list(bound) if isinstance(bound, list) else []
    if listener.get("bind_address"):
        addresses.append(listener["bind_address"])
    # Without any, Synapse listens everywhere.
    return next(
        (host for address, host in LOOPBACK.items() if not addresses or address in addresses), None
    )
