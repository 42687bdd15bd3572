"""What the module serves where MAS decides who users are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core import MasService
from ..homeserver_config import client_listener_tags, login_rates
from .accounts import Accounts
from .limits import LoginLimits
from .login import PATH as LOGIN_PATH
from .login import LoginResource
from .logout import PATH as LOGOUT_PATH
from .logout import LogoutResource
from .passing_on import PassingOn
from .session_opener import SessionOpener
from .sessions import MasSessions

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from synapse.config.homeserver import HomeServerConfig
    from synapse.module_api import ModuleApi

    from .._core import LoginService, Settings
    from ..decider import LoginDecider
    from ..reactor import ReactorLogins


def serve_logins(
    api: ModuleApi,
    config: HomeServerConfig,
    settings: Settings,
    service: LoginService,
    logins: ReactorLogins,
    decider: LoginDecider,
    make_deferred_yieldable: Callable[[Any], Any],
) -> None:
    """Serve logging in and out on the listeners of this process that serve clients.

    Args:
        api: Synapse's module API.
        config: Synapse's configuration.
        settings: The module's, which have ``mas``.
        service: The core's.
        logins: The same on the reactor.
        decider: Finds out whether token hashes are right.
        make_deferred_yieldable: Synapse's function of that name.
    """
    sessions = MasSessions(MasService(service), logins, make_deferred_yieldable)
    passes_on = settings.mas is not None and settings.mas.pass_other_logins
    passing_on = PassingOn(sessions) if passes_on else None
    tags = client_listener_tags(config)
    opener = SessionOpener(
        Accounts(api), sessions, login_timeout=service.login_timeout, sleep=api.sleep
    )
    api.register_web_resource(
        LOGIN_PATH,
        LoginResource(
            decider,
            opener,
            LoginLimits(login_rates(config)),
            server_name=api.server_name,
            takes_passwords=settings.m_login_password_support_enabled,
            passing_on=passing_on,
            listener_tags=tags,
        ),
    )
    api.register_web_resource(
        LOGOUT_PATH,
        LogoutResource(
            sessions,
            time_limit=service.login_timeout,
            passing_on=passing_on,
            listener_tags=tags,
        ),
    )
