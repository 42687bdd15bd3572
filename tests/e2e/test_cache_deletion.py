"""Secrets that Vault deletes by itself are no longer in memory either."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.harness.accounts import PATH_ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.core import Core
    from tests.servers import OpenBao, Relay


@pytest.mark.parametrize("cache", [{"ttl": "1h"}, {"ttl": "1h", "stale_if_error": "2h"}], ids=str)
def test_a_secret_lives_no_longer_in_memory_than_in_vault(
    start_core: Callable[..., Core], openbao: OpenBao, relay: Relay, cache: dict[str, str]
) -> None:
    core = start_core(cache=cache, login_timeout="1s")
    user_id = core.new_user()
    path = f"secret/metadata/{PATH_ROOT}/{user_id}"
    openbao.api("POST", path, {"delete_version_after": "4s"})
    account = core.put_secret(user_id)
    written = time.monotonic()
    for _ in range(2):
        outcome = core.log_in(user_id, account.token_hash)
        assert outcome.code == "ok", outcome.reason
    assert "from memory" in outcome.reason
    time.sleep(max(0.0, written + 4.1 - time.monotonic()))
    assert core.log_in(user_id, account.token_hash).code == "no_secret"
    relay.close()
    assert core.log_in(user_id, account.token_hash).code == "vault_unavailable"


def test_no_outage_keeps_a_secret_alive_that_vault_has_deleted(
    start_core: Callable[..., Core], openbao: OpenBao, relay: Relay
) -> None:
    core = start_core(cache={"stale_if_error": "2h"}, login_timeout="1s")
    user_id = core.new_user()
    path = f"secret/metadata/{PATH_ROOT}/{user_id}"
    openbao.api("POST", path, {"delete_version_after": "5s"})
    account = core.put_secret(user_id)
    written = time.monotonic()
    assert core.log_in(user_id, account.token_hash).code == "ok"
    relay.close()
    assert core.log_in(user_id, account.token_hash).code == "ok"
    time.sleep(max(0.0, written + 5.1 - time.monotonic()))
    assert core.log_in(user_id, account.token_hash).code == "vault_unavailable"
