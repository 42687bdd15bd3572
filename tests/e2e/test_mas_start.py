"""Who decides who users are, and what the module is configured for, must fit at the start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from tests.harness.stack import SINCE_MAS
from tests.servers import Mas, Registration
from tests.servers.process import START_TIMEOUT
from tests.servers.synapse import SERVER_NAME, SYNAPSE_VERSION, Synapse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.harness.mas_deployment import MasDeployment
    from tests.harness.stack import Stack

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(SYNAPSE_VERSION < SINCE_MAS, reason="this Synapse knows no MAS"),
]


def refusal(synapse: Synapse) -> str:
    """Start a homeserver that cannot start; return what it says of it."""
    synapse.launch()
    assert synapse.wait(START_TIMEOUT) != 0
    return synapse.output()


def test_mas_and_no_key_for_it(tmp_path: Path, session_stack: Stack) -> None:
    mas = Mas(SERVER_NAME)
    config = session_stack.module_config()
    said = refusal(Synapse(tmp_path, config, settings=mas.homeserver_yaml))
    assert "ConfigError: mas: is missing" in said
    # In one line: what MAS is, what Synapse does not do then, and which key helps.
    [line] = [line for line in said.splitlines() if "ConfigError: mas: is missing" in line]
    for part in (
        "Matrix Authentication Service (MAS)",
        "decides who users are",
        "loads no password providers",
        "with the key mas",
        "admin_api",
    ):
        assert part in line
    assert config["vault_token"] not in said
    assert mas.shared_secret not in said


def test_a_key_for_mas_and_no_mas(tmp_path: Path, session_stack: Stack) -> None:
    mas = Mas(SERVER_NAME)
    said = refusal(Synapse(tmp_path, session_stack.module_config(mas=mas.settings)))
    assert "ConfigError: mas: is of use only where homeserver.yaml has" in said
    assert "matrix_authentication_service" in said
    assert mas.client.secret not in said


def test_a_legacy_entry_is_refused_by_synapse_itself(tmp_path: Path, session_stack: Stack) -> None:
    mas = Mas(SERVER_NAME)
    synapse = Synapse(
        tmp_path,
        session_stack.module_config(mas=mas.settings),
        registration=Registration.LEGACY,
        settings=mas.homeserver_yaml,
    )
    assert "Password auth providers cannot be enabled" in refusal(synapse)


def test_nothing_is_asked_of_mas_at_the_start(
    start_mas: Callable[..., Mas], start_homeserver_under_mas: Callable[..., MasDeployment]
) -> None:
    mas = start_mas()
    homeserver = start_homeserver_under_mas("started", mas, m_login_password_support_enabled=True)
    assert mas.count("POST", "/oauth2/token") == 0
    assert not [one for one in mas.requests if one.path.startswith("/api/")]
    assert [record.message for record in homeserver.notices() if record.level != "INFO"] == []
    # Synapse's own login stays where MAS serves it.
    response = requests.get(f"{homeserver.synapse.url}/_matrix/client/v3/login", timeout=60)
    assert response.status_code == 404


def test_the_module_starts_where_mas_is_away(
    start_homeserver_under_mas: Callable[..., MasDeployment],
) -> None:
    homeserver = start_homeserver_under_mas("mas-away", Mas(SERVER_NAME))
    account = homeserver.put_secret(homeserver.synapse.insert_user(f"@away:{SERVER_NAME}"))
    attempt = homeserver.log_in(account.user_id, account.token_hash)
    assert attempt.response.status_code == 502
    assert attempt.response.json()["errcode"] == "M_UNKNOWN"
    assert (attempt.outcome, attempt.line.level) == ("mas_unavailable", "ERROR")
