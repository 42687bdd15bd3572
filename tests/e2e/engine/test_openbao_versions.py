"""The engine on the oldest OpenBao that is supported; all other tests run the newest."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.harness.waiting import wait_until
from tests.pythons import ROOT
from tests.servers import Relay
from tests.servers.synapse import SERVER_NAME

from .conftest import deploy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.harness.secrets_engine import Engine
    from tests.harness.stack import Stack

OLDEST = ROOT / ".venvs" / "openbao-oldest" / "bin" / "bao"


@pytest.fixture
def oldest() -> Path:
    if not OLDEST.exists():
        assert "PROMTOOL_REQUIRED" not in os.environ, f"{OLDEST} is not there"
        pytest.skip("`make test-python` installs the oldest OpenBao")
    return OLDEST


def test_the_oldest_openbao_runs_the_engine(
    stack: Stack, start_engine: Callable[..., Engine], oldest: Path
) -> None:
    engine = start_engine(stack, "oldest-openbao", binary=oldest)
    with Relay("http://127.0.0.1:1") as relay:
        site = deploy(stack, engine, relay)
        bot = site.new_bot(ttl="1h", max_ttl="2h")
        lease = engine.lease(bot)
        assert (lease.duration, site.is_alive(lease)) == (3600, True)
        assert engine.renew(lease.lease_id).json()["lease_duration"] == 3600
        engine.revoke(lease.lease_id)
        assert not site.is_alive(lease)
        user_id = f"@{bot}:{SERVER_NAME}"
        reader = engine.openbao.create_token(
            "reader", f'path "{engine.mount}/*" {{ capabilities = ["read", "list"] }}'
        )
        engine.errors(engine.ask("GET", f"login/{user_id}", token=reader), 403)
        static = engine.read(f"static/{bot}/{SERVER_NAME}")
        assert site.user_of(static["access_token"]) == user_id
        engine.write(f"rotate/{bot}/{SERVER_NAME}")
        late = engine.lease(bot)
        relay.close()
        engine.revoke(late.lease_id)
        assert len(engine.names("pending/")) == 1
        relay.listen()
        engine.write(f"pending/{engine.names('pending/')[0]}")
        wait_until("the session has ended", lambda: not site.is_alive(late))
        assert "login_secret" in engine.openbao.cli(
            "path-help", f"{engine.mount}/config/user/a/{SERVER_NAME}"
        )
        last = engine.lease(bot)
        engine.openbao.cli("secrets", "disable", engine.mount)
        assert not site.is_alive(last)
