"""Real clients of leases: OpenBao's agent with a template, and Vault's Go client."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.harness.secrets_engine import MOUNT
from tests.harness.waiting import wait_until
from tests.servers.openbao import bao_command
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.secrets_engine import EngineSite

pytestmark = pytest.mark.long

MAX_TTL = 8
"""Seconds that a session lives at most."""

WRITING = 1.5
"""Seconds that the agent takes at most to write a file once it has a new lease."""

GO = Path(__file__).parent / "lifetime_watcher"


@pytest.fixture
def agent(engine_site: EngineSite, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Return a user, and the file in which an agent keeps a token of theirs."""
    bot = engine_site.new_bot(ttl="4s", max_ttl=f"{MAX_TTL}s")
    path = f"{MOUNT}/user/{bot}/{SERVER_NAME}"
    token = engine_site.openbao.create_token(
        "agent",
        f'path "{path}" {{ capabilities = ["read"] }}\n'
        'path "sys/leases/renew" { capabilities = ["update"] }\n'
        'path "auth/token/lookup-self" { capabilities = ["read"] }\n'
        'path "auth/token/renew-self" { capabilities = ["update"] }\n',
    )
    (tmp_path / "token").write_text(token)
    file = tmp_path / "access-token"
    config = f"""
vault {{ address = "{engine_site.openbao.url}" }}
auto_auth {{
  method {{
    type = "token_file"
    config = {{ token_file_path = "{tmp_path / "token"}" }}
  }}
}}
template {{
  destination = "{file}"
  contents = <<EOT
{{{{ with secret "{path}" }}}}{{{{ .Data.access_token }}}}{{{{ end }}}}
EOT
}}
"""
    (tmp_path / "agent.hcl").write_text(config)
    with (tmp_path / "agent.out").open("wb") as output:
        process = subprocess.Popen(
            [bao_command(), "agent", f"-config={tmp_path / 'agent.hcl'}"],
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
            stdout=output,
            stderr=output,
        )
    try:
        wait_until("the file is there", lambda: file.exists() or process.poll() is not None)
        assert process.poll() is None, (tmp_path / "agent.out").read_text()
        yield bot, file
    finally:
        process.terminate()
        process.wait(30)


def test_the_token_in_an_agents_file_works_at_every_moment(
    engine_site: EngineSite, agent: tuple[str, Path]
) -> None:
    bot, file = agent
    end = time.monotonic() + 3 * MAX_TTL + 2
    tokens: list[str] = []
    dead_since: float | None = None
    longest = 0.0
    while time.monotonic() < end:
        token = engine_site.confidential.add(file.read_text().strip())
        if token not in tokens:
            tokens.append(token)
        if engine_site.user_of(token) == f"@{bot}:{SERVER_NAME}":
            dead_since = None
        else:
            dead_since = dead_since or time.monotonic()
            longest = max(longest, time.monotonic() - dead_since)
        time.sleep(0.1)
    assert len(tokens) >= 4, "the agent reads again each time that a lease has reached its end"
    assert longest <= WRITING
    # Nobody's sessions are left but the newest and the one before.
    assert len(engine_site.devices(bot)) <= 2


@pytest.mark.skipif(shutil.which("go") is None, reason="there is no Go here")
def test_vaults_go_client_keeps_a_lease_with_its_lifetime_watcher(
    engine_site: EngineSite, tmp_path: Path
) -> None:
    bot = engine_site.new_bot(ttl="4s", max_ttl="10s")
    program = tmp_path / "watch"
    built = subprocess.run(
        ["go", "build", "-o", program, "."],
        cwd=GO,
        env={**os.environ, "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if built.returncode != 0 and "dial tcp" in built.stderr:
        pytest.skip("Go's modules cannot be fetched here")
    assert built.returncode == 0, built.stderr
    ended = subprocess.run(
        [program, f"{MOUNT}/user/{bot}/{SERVER_NAME}"],
        env={
            "VAULT_ADDR": engine_site.openbao.url,
            "VAULT_TOKEN": engine_site.openbao.root_token,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [event["event"] for event in events[:1]] == ["read"]
    assert len([event for event in events if event["event"] == "renewed"]) >= 2
    # It ends without an error when the lease cannot be kept any longer.
    assert events[-1] == {"event": "done", "error": ""}
    wait_until("the session has ended", lambda: engine_site.devices(bot) == [])
