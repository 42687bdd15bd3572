"""Moving from the secrets engine of 2018, by the script that the manual names."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.harness.secrets_engine import Engine
from tests.pythons import ROOT
from tests.servers.engine_of_2018 import EngineOf2018
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.secrets_engine import EngineSite

SCRIPT = ROOT / "contrib" / "move_secrets_engine.py"


@pytest.fixture
def old(engine_site: EngineSite) -> Iterator[EngineOf2018]:
    with EngineOf2018() as engine:
        engine_site.confidential.add(engine.token)
        yield engine


@pytest.fixture
def new(engine_site: EngineSite) -> Iterator[Engine]:
    engine = Engine.enable(engine_site.openbao, engine_site.confidential, "matrix-new")
    yield engine
    engine_site.openbao.cli("secrets", "disable", "matrix-new")


def run(
    old: EngineOf2018, new: Engine, *options: str, old_token: str | None = None
) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        [sys.executable, SCRIPT, *options, "--from-address", old.url, "matrix/", "matrix-new"],
        env={
            "BAO_ADDR": new.openbao.url,
            "BAO_TOKEN": new.openbao.root_token,
            "OLD_VAULT_TOKEN": old_token or old.token,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    new.confidential.check_text(ended.stdout + ended.stderr)
    return ended


def test_a_whole_mount_is_moved_and_can_be_moved_again(
    engine_site: EngineSite, old: EngineOf2018, new: Engine
) -> None:
    bots = [engine_site.new_bot() for _ in range(3)]
    engine_site.synapse.register("moved/with/slashes")
    engine_site.engine.write(f"config/user/moved/with/slashes/{SERVER_NAME}")
    old.homeservers[SERVER_NAME] = engine_site.relay.url
    for bot in [*bots, "moved/with/slashes"]:
        user_id = f"@{bot}:{SERVER_NAME}"
        old.users[user_id] = engine_site.engine.read(f"login/{user_id}")["login_secret"]
    dry = run(old, new, "--dry-run")
    assert (dry.returncode, dry.stdout.count("would be moved")) == (0, 4), dry
    assert new.names("config/user/") == []
    ended = run(old, new)
    assert (ended.returncode, ended.stdout.count(": moved")) == (0, 4), ended
    assert new.names("config/user/") == sorted(old.users)
    for user_id, secret in old.users.items():
        assert new.read(f"login/{user_id}") == {"login_secret": secret}
    # What the old one gave without a lease, the new one gives with one.
    assert engine_site.is_alive(new.lease("moved/with/slashes"))
    # Who is there already is left as they are.
    new.write(f"rotate/{bots[0]}/{SERVER_NAME}")
    rotated = new.read(f"login/@{bots[0]}:{SERVER_NAME}")
    again = run(old, new)
    assert (again.returncode, again.stdout.count("already there")) == (0, 4), again
    assert new.read(f"login/@{bots[0]}:{SERVER_NAME}") == rotated


def test_what_cannot_be_moved_is_said_and_the_rest_is_moved(
    engine_site: EngineSite, old: EngineOf2018, new: Engine
) -> None:
    old.homeservers[SERVER_NAME] = engine_site.relay.url
    old.users = {
        f"@empty:{SERVER_NAME}": "",
        f"@full:{SERVER_NAME}": engine_site.confidential.add("a-secret-of-the-engine-of-2018"),
        "@a b:unknown.example.org:port": "another-secret-of-the-engine",
    }
    ended = run(old, new)
    assert ended.returncode == 1
    assert f"user @empty:{SERVER_NAME}: failed" in ended.stdout
    assert "user @a b:unknown.example.org:port: failed: " in ended.stdout
    assert f"user @full:{SERVER_NAME}: moved" in ended.stdout


def test_a_token_that_is_refused_is_an_error(old: EngineOf2018, new: Engine) -> None:
    ended = run(old, new, old_token="another")
    assert (ended.returncode, "permission denied" in ended.stderr) == (1, True), ended
    assert "Traceback" not in ended.stderr
