"""Settings of the homeserver that defeat those of the module are told at the start."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.process import START_TIMEOUT
from tests.servers.synapse import MODULE, Synapse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.harness.deployment import Deployment
    from tests.harness.stack import Stack

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


OF_TODAY, OF_2018 = MODULE.items()
BOTH = "modules and password_providers load this module for the same secrets"


def refusal(synapse: Synapse) -> str:
    """Start a homeserver that cannot start; return what it says of it."""
    synapse.launch()
    assert synapse.wait(START_TIMEOUT) != 0
    return synapse.output()


@pytest.mark.parametrize(
    ("entries", "differing", "expectation"),
    [
        ([OF_TODAY, OF_2018], {}, BOTH),
        ([OF_2018, OF_TODAY], {"vault_kv_mount_point": "/secret/", "login_timeout": "3s"}, BOTH),
        ([OF_TODAY, OF_TODAY], {}, "2 entries of modules load this module for the same secrets"),
        (
            [OF_2018, OF_2018],
            {"m_login_password_support_enabled": True},
            "2 entries of password_providers load this module for the same secrets",
        ),
        (
            [OF_TODAY, ("modules", OF_2018[1]), OF_2018],
            {},
            "2 entries of modules and password_providers load this module for the same secrets",
        ),
    ],
    ids=["both", "both-spelt-otherwise", "modules", "password_providers", "three"],
)
def test_two_instances_for_the_same_secrets_are_refused(
    tmp_path: Path,
    session_stack: Stack,
    entries: list[tuple[str, str]],
    differing: dict[str, Any],
    expectation: str,
) -> None:
    config = session_stack.module_config()
    synapse = with_instances(
        tmp_path,
        [(*entry, {**config, **(differing if n else {})}) for n, entry in enumerate(entries)],
    )
    message = refusal(synapse)
    assert f"ConfigError: {expectation}, secret/matrix/users, so every login" in message
    assert config["vault_token"] not in message


def with_instances(directory: Path, entries: list[tuple[str, str, dict[str, Any]]]) -> Synapse:
    """Configure a homeserver that loads the module under these keys, names and settings."""
    synapse = Synapse(directory, None)
    configuration = json.loads(synapse.config_path.read_text())
    for section, module, config in entries:
        configuration.setdefault(section, []).append({"module": module, "config": config})
    synapse.config_path.write_text(json.dumps(configuration))
    return synapse


def test_two_instances_for_different_secrets_are_fine(
    start_homeserver: Callable[..., Deployment], session_stack: Stack
) -> None:
    config = session_stack.module_config(vault_path_root="elsewhere")
    homeserver = start_homeserver(
        "two-instances",
        homeserver_yaml={"password_providers": [{"module": OF_2018[1], "config": config}]},
    )
    account = homeserver.new_account()
    homeserver.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)
