"""What the module has to know of Synapse's own configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .log import logger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from synapse.config.homeserver import HomeServerConfig
    from synapse.module_api import ModuleApi

    from ._core import Settings


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


def warn_of_contradictions(settings: Settings, config: HomeServerConfig) -> None:
    """Log a warning for settings that are allowed and defeat each other."""
    for warning in settings.warnings:
        logger.warning("%s", warning)
    if settings.m_login_password_support_enabled and not config.auth.password_enabled_for_login:
        logger.warning(
            "m_login_password_support_enabled lets nobody log in: password_config.enabled switches "
            "password logins off in Synapse"
        )
