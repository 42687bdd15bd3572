"""What the module has to know of Synapse's own configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._core import Settings
from .delegation import mismatch
from .log import logger

if TYPE_CHECKING:
    from synapse.config.homeserver import HomeServerConfig
    from synapse.module_api import ModuleApi


@dataclass(frozen=True)
class Rate:
    """How many attempts there may be at once, and how many a second in the long run."""

    per_second: float
    burst_count: float


@dataclass(frozen=True)
class LoginRates:
    """The numbers of ``rc_login``."""

    address: Rate
    account: Rate
    failed_attempts: Rate


def homeserver_config(api: ModuleApi) -> HomeServerConfig:
    """Return Synapse's configuration, which the module API has no public way to."""
    return api._hs.config


def serves_clients(config: HomeServerConfig) -> bool:
    """Tell whether clients can log in at this process.

    Workers that do other things, and Synapse's tools, load modules as well.
    """
    return bool(client_listener_tags(config))


def client_listener_tags(config: HomeServerConfig) -> frozenset[str]:
    """Return the tags of this process's listeners that serve clients, as requests have them."""
    if config.worker.worker_app is None:
        listeners = config.server.listeners
    else:
        listeners = config.worker.worker_listeners
    return frozenset(
        listener.get_site_tag()
        for listener in listeners
        # Listeners of other types have no such options.
        if (http := getattr(listener, "http_options", None))
        and any("client" in resource.names for resource in http.resources)
    )


def mas_endpoint(config: HomeServerConfig) -> str | None:
    """Return where Matrix Authentication Service is, if it decides who users are."""
    # Synapse before 1.136 has no such section, and from 1.157 on not the older one.
    mas = getattr(config, "mas", None)
    if mas is not None and mas.enabled:
        return str(mas.endpoint)
    older = getattr(config.experimental, "msc3861", None)
    return str(older.issuer) if older is not None and older.enabled else None


def delegates_by_experiment(config: HomeServerConfig) -> bool:
    """Tell whether logins are delegated as they were before there was `mas_endpoint`."""
    # Synapse from 1.157 on has it no more.
    msc3861 = getattr(getattr(config, "experimental", None), "msc3861", None)
    return bool(getattr(msc3861, "enabled", False))


def refuse_wrong_authority(settings: Settings, config: HomeServerConfig) -> None:
    """Refuse settings that do not fit who decides who users are.

    Args:
        settings: The module's.
        config: Synapse's.

    Raises:
        synapse.module_api.errors.ConfigError: Says what to write.
    """
    wrong = mismatch(
        delegates=mas_endpoint(config) is not None,
        has_mas=settings.mas is not None,
        is_experimental=delegates_by_experiment(config),
    )
    if wrong is None:
        return
    from synapse.module_api.errors import ConfigError

    raise ConfigError(f"{wrong.key}: {wrong.what}; {wrong.advice}", path=(wrong.key,))


def login_rates(config: HomeServerConfig) -> LoginRates:
    """Return the numbers of ``rc_login``."""
    limits = config.ratelimiting
    return LoginRates(
        *(
            Rate(per_second=limit.per_second, burst_count=limit.burst_count)
            for limit in (
                limits.rc_login_address,
                limits.rc_login_account,
                limits.rc_login_failed_attempts,
            )
        )
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
    if (
        settings.m_login_password_support_enabled
        and not config.auth.password_enabled_for_login
        and mas_endpoint(config) is None
    ):
        logger.warning(
            "m_login_password_support_enabled lets nobody log in: password_config.enabled switches "
            "password logins off in Synapse"
        )
