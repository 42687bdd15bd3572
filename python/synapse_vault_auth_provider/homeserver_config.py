"""What the module has to know of Synapse's own configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._core import Settings
from .log import logger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from synapse.config.homeserver import HomeServerConfig
    from synapse.module_api import ModuleApi


def homeserver_config(api: ModuleApi) -> HomeServerConfig:
    """Return Synapse's configuration, which the module API has no public way to."""
    return api._hs.config


def serves_clients(config: HomeServerConfig) -> bool:
    """Tell whether clients can log in at this process.

    Workers that do other things, and Synapse's tools, load modules as well.
    """
    if config.worker.worker_app is None:
        listeners: Iterable[object] = config.server.listeners
    else:
        listeners = config.worker.worker_listeners
    # Listeners of other types have no such options.
    options = [getattr(listener, "http_options", None) for listener in listeners]
    return any(
        "client" in resource.names for http in options if http for resource in http.resources
    )


def refuse_duplicates(settings: Settings, config: HomeServerConfig, module: type) -> None:
    """Refuse a configuration that loads the module more than once for the same entries.

    Every login would be decided, counted and logged by each of them. Instances for different
    entries are fine.

    Args:
        settings: Those of one instance.
        config: The homeserver's.
        module: The module's class.

    Raises:
        synapse.module_api.errors.ConfigError: There is another one. It names both.
    """
    sections = {
        "modules": config.modules.loaded_modules,
        "password_providers": config.authproviders.password_providers,
    }
    same = {
        section: sum(_has_entries_of(settings, module, *entry) for entry in entries)
        for section, entries in sections.items()
    }
    if sum(same.values()) > 1:
        from synapse.module_api.errors import ConfigError

        named = [
            section if count == 1 else f"{count} entries of {section}"
            for section, count in same.items()
            if count
        ]
        raise ConfigError(
            f"{' and '.join(named)} load this module for the same secrets, {settings.location}, so "
            "every login would be decided more than once: keep one of them, or give each a "
            "vault_path_root or vault_kv_mount_point of its own",
            path=tuple(section for section, count in same.items() if count)[:1],
        )


def _has_entries_of(settings: Settings, module: type, loaded: object, config: object) -> bool:
    """Tell whether this is an instance of our module, and for the same entries."""
    is_ours = isinstance(loaded, type) and issubclass(loaded, module)
    return is_ours and isinstance(config, Settings) and settings.has_entries_of(config)


def warn_of_contradictions(settings: Settings, config: HomeServerConfig) -> None:
    """Log a warning for settings that are allowed and defeat each other."""
    for warning in settings.warnings:
        logger.warning("%s", warning)
    if settings.m_login_password_support_enabled and not config.auth.password_enabled_for_login:
        logger.warning(
            "m_login_password_support_enabled lets nobody log in: password_config.enabled switches "
            "password logins off in Synapse"
        )
