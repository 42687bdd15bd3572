"""What Synapse's own configuration says of the homeserver and of the module."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from .failure import CommandError
from .listeners import Listener, client_listeners

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MODULES = (
    "synapse_vault_auth_provider.VaultAuthProvider",
    "synapse-vault-auth-provider.VaultAuthProvider",
)
"""The names under which Synapse may be told of the module."""

DEFAULT_MOUNT = "secret"
"""Where the module looks for the KV engine if its configuration names no mount."""


class HomeserverYaml:
    """The configuration files of one homeserver, merged. Shows nothing of them: they hold secrets.

    Reference:
        https://element-hq.github.io/synapse/latest/usage/configuration/config_documentation.html
    """

    def __init__(self, values: Mapping[str, Any], paths: Iterable[Path] = ()) -> None:
        """Take the top level of the configuration, and where it was read."""
        self._values = values
        self._paths = tuple(paths)

    @classmethod
    def read(cls, paths: Iterable[Path]) -> HomeserverYaml:
        """Read files, and of directories all files that end in ``.yaml``, as Synapse does.

        What a later file has at its top level replaces what an earlier one has there.

        Raises:
            CommandError: One cannot be read or is no YAML.
        """
        values: dict[str, Any] = {}
        paths = tuple(paths)
        for path in _files(paths):
            content = _parse(path)
            if isinstance(content, dict):
                values.update(content)
        return cls(values, paths)

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
    def delegates(self) -> bool:
        """Whether Matrix Authentication Service signs the users in."""
        return self._mas.get("enabled") is True

    @property
    def delegates_by_experiment(self) -> bool:
        """Whether it does so as Synapse had it before 1.157."""
        experimental = self._values.get("experimental_features")
        msc3861 = experimental.get("msc3861") if isinstance(experimental, dict) else None
        return isinstance(msc3861, dict) and msc3861.get("enabled") is True

    @property
    def mas_shared_secret(self) -> str | None:
        """What Synapse and Matrix Authentication Service know each other by."""
        secret = self._mas.get("secret")
        return secret if isinstance(secret, str) else None

    @property
    def mas_shared_secret_path(self) -> str | None:
        """The file that holds it instead."""
        path = self._mas.get("secret_path")
        return path if isinstance(path, str) else None

    @property
    def is_legacy(self) -> bool:
        """Whether the module is named where configurations of 2018 have it."""
        return any(section == "password_providers" for section, _ in self._entries())

    @property
    def url(self) -> str | None:
        """Where clients reach the homeserver: from this machine, or else from everywhere.

        The first is a listener that serves clients on a loopback address; the administration API
        is there too, which proxies often keep from the public.
        """
        best = next(iter(self._listeners), None)
        return (best and best.url) or self.public_url

    @property
    def public_url(self) -> str | None:
        """Where clients reach the homeserver from everywhere."""
        return self._string("public_baseurl")

    @property
    def why_no_url(self) -> list[str]:
        """Why the listeners that serve clients are not used, a line for each."""
        return [f"{one.name} is not used: {one.why_not}" for one in self._listeners if one.why_not]

    @property
    def missing_directory(self) -> Path | None:
        """A directory that Debian's service reads as well, if it was not read.

        https://element-hq.github.io/synapse/latest/setup/installation.html#debianubuntu
        """
        directories = (path.parent / "conf.d" for path in self._paths if path.is_file())
        read = {path.resolve() for path in self._paths}
        return next(
            (path for path in directories if path.is_dir() and path.resolve() not in read), None
        )

    def module(self, mount: str | None = None, root: str | None = None) -> Mapping[str, Any] | None:
        """Return the configuration of our module; `None` if there is none.

        Args:
            mount: Of several the one with this mount is meant.
            root: Of several the one with this path below the mount is meant.

        Raises:
            CommandError: Several are left, or it is no mapping of names to values.
        """
        found = [config for _, config in self._entries()]
        for config in found:
            if not isinstance(config, dict) or not all(isinstance(key, str) for key in config):
                raise CommandError("the module's config must be a mapping of names to values")
        if len(found) > 1:
            found = [config for config in found if _is_at(config, mount, root)] or found
        if len(found) > 1:
            self.refuse_duplicates()
            places = {_place(config) for config in found}
            raise CommandError(
                "the configuration of Synapse names the module more than once",
                "This command cannot choose by vault_url: give it a copy of the file with one of "
                "the entries, with -c."
                if len(places) == 1
                else "Choose one with --mount and --path-root: "
                + ", or ".join(f"--mount {m} --path-root {r}" for m, r in sorted(places)),
            )
        return found[0] if found else None

    def refuse_duplicates(self) -> None:
        """Fail if two entries are for the same secrets, as the module does when Synapse starts.

        Raises:
            CommandError: They are. It names both.
        """
        entries = [(s, config) for s, config in self._entries() if isinstance(config, dict)]
        for (one, config), (other, another) in combinations(entries, 2):
            if _has_entries_of(config, another):
                named = f"two entries of {one}" if one == other else f"{one} and {other}"
                raise CommandError(
                    f"{named} load the module for the same secrets, {'/'.join(_place(config))}, "
                    "so Synapse does not start",
                    "Keep one of them.",
                )

    @property
    def _listeners(self) -> list[Listener]:
        return client_listeners(self._values.get("listeners"), self._tls_name)

    @property
    def _mas(self) -> Mapping[str, Any]:
        section = self._values.get("matrix_authentication_service")
        return section if isinstance(section, dict) else {}

    @property
    def _tls_name(self) -> str | None:
        """The name in the certificate: the host of ``public_baseurl``, else the server's name."""
        url = self._string("public_baseurl")
        name = urlsplit(url).hostname if url else None
        return name or urlsplit(f"//{self.server_name or ''}").hostname

    def _entries(self) -> Iterator[tuple[str, Any]]:
        """Return the sections that name our module, each with a configuration of it."""
        for section in ("modules", "password_providers"):
            entries = self._values.get(section)
            for entry in entries if isinstance(entries, list) else []:
                if isinstance(entry, dict) and entry.get("module") in MODULES:
                    yield section, entry.get("config") or {}

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


def _place(config: Mapping[str, Any]) -> tuple[str, str]:
    """Return the mount and the path below it that a module's configuration names."""
    mount, root = config.get("vault_kv_mount_point"), config.get("vault_path_root")
    return _path(mount or DEFAULT_MOUNT), _path(root)


def _is_at(config: Mapping[str, Any], mount: str | None, root: str | None) -> bool:
    its_mount, its_root = _place(config)
    return (mount is None or _path(mount) == its_mount) and (
        root is None or _path(root) == its_root
    )


def _has_entries_of(config: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two configurations are for the same entries of the same Vault."""
    one, another = _addresses(config), _addresses(other)
    # Without an address, both have the environment's.
    is_same_vault = bool(one & another) or one == another
    is_same_namespace = _path(config.get("vault_namespace")) == _path(other.get("vault_namespace"))
    return is_same_vault and is_same_namespace and _place(config) == _place(other)


def _addresses(config: Mapping[str, Any]) -> set[str]:
    urls = config.get("vault_url")
    return {str(url).strip().rstrip("/").lower() for url in _as_list(urls) if url}


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _path(text: object) -> str:
    """Drop stray slashes, as the module does."""
    return "/".join(filter(None, str(text or "").split("/")))
