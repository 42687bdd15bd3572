"""Settings of the homeserver that defeat those of the module are told at the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.deployment import Deployment

LINE = "m_login_password_support_enabled lets nobody log in"


def warnings(homeserver: Deployment) -> list[str]:
    lines = [record.message for record in homeserver.notices() if record.level == "WARNING"]
    return [line for line in lines if line.startswith(LINE)]


@pytest.mark.parametrize("enabled", ["only_for_reauth", False])
def test_hashes_as_passwords_where_passwords_are_switched_off(
    start_homeserver: Callable[..., Deployment], enabled: Any
) -> None:
    homeserver = start_homeserver(
        "no-passwords",
        homeserver_yaml={"password_config": {"enabled": enabled}},
        m_login_password_support_enabled=True,
    )
    assert len(warnings(homeserver)) == 1
    account = homeserver.new_account()
    body = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": account.user_id},
        "password": account.token_hash,
    }
    assert homeserver.post_login(body).response.status_code == 400
    assert homeserver.log_in(account.user_id, account.token_hash).response.status_code == 200


def test_nothing_is_said_where_nothing_is_defeated(
    equipped: Deployment, start_homeserver: Callable[..., Deployment]
) -> None:
    homeserver = start_homeserver(
        "no-password-support", homeserver_yaml={"password_config": {"enabled": False}}
    )
    for quiet in (equipped, homeserver):
        assert warnings(quiet) == []
