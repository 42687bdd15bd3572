"""`synapse-vault --engine`: accounts whose secrets the secrets engine has, and leases."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.harness.command_line import COMMAND, CommandLine
from tests.harness.secrets_engine import MOUNT
from tests.harness.waiting import wait_until
from tests.servers import Relay
from tests.servers.relay import Reply
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.harness.command_line import Ended
    from tests.harness.provisioning import Site
    from tests.harness.secrets_engine import EngineSite

pytestmark = pytest.mark.long

STOPPED = 75


class EngineCommandLine(CommandLine):
    """Runs the command with a token that may do what the command says that it needs."""

    def __init__(self, engine_site: EngineSite, directory: Path) -> None:
        self.engine_site = engine_site
        deployment = engine_site.deployment
        # What is there of a site is all that running the command takes.
        site: Site = _Site(deployment)  # type: ignore[assignment]
        super().__init__(site, directory)
        (directory / "shared_secret").write_text(deployment.synapse.shared_secret)

    def bot_token(self, bot: str) -> str:
        """Return a token that may do what the command says that a bot needs."""
        policy = self.run("policy", "--for-user", f"@{bot}:{SERVER_NAME}").check_success().out
        token = self.engine_site.openbao.create_token(f"cli-{bot}", policy)
        return self.site.confidential.add(token)

    def run(self, *arguments: str | Path, **more: object) -> Ended:
        return super().run("--engine", MOUNT, *arguments, **more)  # type: ignore[arg-type]

    def exec(self, bot: str, *command: str, **environment: str) -> subprocess.Popen[str]:
        """Start `exec --lease` as a bot, which knows nothing but Vault."""
        return self.start(
            *("--engine", MOUNT, "exec", "--lease", f"@{bot}:{SERVER_NAME}", "--", *command),
            config=(),
            VAULT_TOKEN=self.bot_token(bot),
            VAULT_ADDR=self.engine_site.openbao.url,
            **environment,
        )


class _Site:
    def __init__(self, deployment: object) -> None:
        self.synapse = deployment.synapse  # type: ignore[attr-defined]
        self.openbao = deployment.openbao  # type: ignore[attr-defined]
        self.confidential = deployment.confidential  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def cli(
    shared_engine_site: EngineSite, tmp_path_factory: pytest.TempPathFactory
) -> EngineCommandLine:
    return EngineCommandLine(shared_engine_site, tmp_path_factory.mktemp("cli-engine"))


def test_the_policies_are_the_least(cli: EngineCommandLine, engine_site: EngineSite) -> None:
    engine = engine_site.engine
    assert set(cli.policies) == {"module", "provisioning"}
    token, bot = cli.vault_token("provisioning"), engine_site.new_bot()
    engine.errors(engine.ask("GET", f"login/@{bot}:{SERVER_NAME}", token=token), 403)
    engine.errors(engine.ask("GET", f"config/homeserver/{SERVER_NAME}", token=token), 403)
    token = cli.vault_token("module")
    engine.read(f"login/@{bot}:{SERVER_NAME}", token=token)
    engine.errors(engine.ask("GET", f"user/{bot}/{SERVER_NAME}", token=token), 403)


def test_provisioning_makes_an_account_whose_secret_the_engine_has(
    cli: EngineCommandLine, engine_site: EngineSite
) -> None:
    ended = cli.run("provision", "cli-made", "--display-name", "Made", "--json")
    assert ended.code == 0, ended.err
    made = ended.json
    assert made["matrix_user_id"] == f"@cli-made:{SERVER_NAME}"
    assert made["already_exists"] is False
    assert engine_site.user_of(made["access_token"]) == made["matrix_user_id"]
    assert "lease renew" in ended.err
    # The token has a lease; the session that set the name had one too, and is over.
    assert engine_site.devices("cli-made") == [made["device_id"]]
    assert len(engine_site.engine.leases(f"user/cli-made/{SERVER_NAME}/")) == 1
    again = cli.run("provision", "cli-made", "--no-token", "--json").check_success().json
    assert (again["already_exists"], again["access_token"]) == (True, None)
    names = [line[0] for line in cli.run("list").check_success().lines]
    assert f"@cli-made:{SERVER_NAME}" in names


def test_no_account_is_taken_over(cli: EngineCommandLine, engine_site: EngineSite) -> None:
    engine_site.synapse.register("cli-stranger")
    ended = cli.run("provision", "cli-stranger", "--no-token")
    ended.check_failure("exists on the homeserver", "--adopt")
    path = f"config/user/cli-stranger/{SERVER_NAME}"
    assert engine_site.engine.ask("GET", path).status_code == 404
    ended = cli.run("provision", "cli-stranger", "--no-token", "--adopt", "--json")
    assert ended.check_success().json["already_exists"] is True
    assert engine_site.engine.ask("GET", path).status_code == 200


def test_a_user_whom_the_engine_has_keeps_the_secret(
    cli: EngineCommandLine, engine_site: EngineSite
) -> None:
    engine, path = engine_site.engine, f"login/@cli-known:{SERVER_NAME}"
    engine.write(f"config/user/cli-known/{SERVER_NAME}")
    secret = engine.read(path)
    made = cli.run("provision", "cli-known", "--no-token", "--json").check_success().json
    assert made["already_exists"] is False
    assert engine.read(path) == secret


def test_many_at_once_make_one_account(cli: EngineCommandLine, engine_site: EngineSite) -> None:
    processes = [
        cli.start("--engine", MOUNT, "provision", "cli-many", "--no-token", "--json")
        for _ in range(4)
    ]
    ended = [cli.ended(process, *process.communicate(timeout=120)) for process in processes]
    assert [one.code for one in ended] == [0, 0, 0, 0], ended
    assert sorted(one.json["already_exists"] for one in ended) == [False, True, True, True]
    engine_site.engine.revoke(engine_site.engine.lease("cli-many").lease_id)


def test_what_the_engine_cannot_keep_is_refused_before_anything_is_done(
    cli: EngineCommandLine, engine_site: EngineSite
) -> None:
    ended = cli.run("provision", "cli-external", "--external-id", "5")
    ended.check_failure("external_id is not possible")
    assert f"@cli-external:{SERVER_NAME}" not in engine_site.engine.names("config/user/")


def test_rotating_replaces_the_secret(cli: EngineCommandLine, engine_site: EngineSite) -> None:
    engine, bot = engine_site.engine, engine_site.new_bot()
    before = engine.read(f"login/@{bot}:{SERVER_NAME}")
    assert cli.run("rotate", "--dry-run", bot).check_success()
    assert engine.read(f"login/@{bot}:{SERVER_NAME}") == before
    rotated = cli.run("rotate", "--json", bot).check_success().json
    assert (rotated["version"], rotated["former_kept"]) == (None, False)
    assert rotated["created_time"]
    assert engine.read(f"login/@{bot}:{SERVER_NAME}") != before
    cli.run("rotate", "nobody-of-the-engine").check_failure("is not there")


def test_revoking_ends_all_sessions(cli: EngineCommandLine, engine_site: EngineSite) -> None:
    engine, bot = engine_site.engine, engine_site.new_bot()
    lease, static = engine.lease(bot), engine.read(f"static/{bot}/{SERVER_NAME}")
    revoked = cli.run("revoke", "--json", bot).check_success().json
    assert (revoked["secret_removed"], revoked["sessions_ended"]) == (True, True)
    assert not engine_site.is_alive(lease)
    assert engine_site.user_of(static["access_token"]) is None
    assert engine_site.devices(bot) == []
    assert engine.ask("GET", f"config/user/{bot}/{SERVER_NAME}").status_code == 404


def test_doctor_knows_the_engine(cli: EngineCommandLine, engine_site: EngineSite) -> None:
    bot = engine_site.new_bot()
    ended = CommandLine.run(cli, "doctor", "--json", f"@{bot}:{SERVER_NAME}")
    findings = ended.json["findings"]
    assert ended.code == 0, findings
    said = {finding["check"]: finding for finding in findings}
    assert said["secrets engine"]["detail"] == f"{MOUNT} is the secrets engine for Matrix"
    assert said["may read"]["status"] == said["may not write"]["status"] == "ok", findings
    assert said["login"]["status"] == "ok"
    assert "KV engine" not in said


def test_doctor_names_what_the_engine_lacks(
    cli: EngineCommandLine, engine_site: EngineSite
) -> None:
    policy = (
        f'path "{MOUNT}/login/*" {{ capabilities = ["read"] }}\n'
        'path "sys/capabilities-self" { capabilities = ["update"] }\n'
    )
    token = engine_site.openbao.create_token("doctor-without-sudo", policy)
    ended = CommandLine.run(cli, "--engine", MOUNT, "doctor", "--json", config=(),
        VAULT_TOKEN=token, VAULT_ADDR=engine_site.openbao.url,
        SYNAPSE_VAULT_HOMESERVER=engine_site.synapse.url, SYNAPSE_VAULT_SERVER_NAME=SERVER_NAME,
    )  # fmt: skip
    said = {finding["check"]: finding for finding in ended.json["findings"]}
    assert said["may read"]["status"] == "failed"
    assert "sudo" in said["may read"]["detail"]


PROGRAM = (
    "import os, sys, time; print(os.environ['MATRIX_ACCESS_TOKEN'], flush=True); "
    "sys.stdin.readline() or time.sleep(600)"
)


def token_of(cli: EngineCommandLine, process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return cli.site.confidential.add(process.stdout.readline().strip())


def test_a_command_gets_a_lease_that_ends_with_it(
    cli: EngineCommandLine, engine_site: EngineSite
) -> None:
    bot = engine_site.new_bot()
    process = cli.exec(bot, "sh", "-c", "env -0")
    ended = cli.ended(process, *process.communicate(timeout=60)).check_success()
    found = dict(one.split("=", 1) for one in ended.out.rstrip("\0").split("\0"))
    token = cli.site.confidential.add(found["MATRIX_ACCESS_TOKEN"])
    assert found["MATRIX_USER_ID"] == f"@{bot}:{SERVER_NAME}"
    assert found["MATRIX_HOMESERVER"].rstrip("/") == engine_site.relay.url
    secret = ("VAULT_TOKEN", "BAO_TOKEN", "SYNAPSE_VAULT_")
    assert not [name for name in found if name.startswith(secret)]
    assert engine_site.user_of(token) is None
    assert engine_site.engine.leases(f"user/{bot}/{SERVER_NAME}/") == []
    assert engine_site.devices(bot) == []


def test_a_lease_is_renewed_while_the_command_runs(
    cli: EngineCommandLine, engine_site: EngineSite
) -> None:
    bot = engine_site.new_bot(ttl="3s", max_ttl="1h")
    process = cli.exec(bot, sys.executable, "-c", PROGRAM)
    token, end = token_of(cli, process), time.monotonic() + 7
    while time.monotonic() < end:
        assert engine_site.user_of(token) == f"@{bot}:{SERVER_NAME}"
        time.sleep(0.3)
    out, err = process.communicate("\n", timeout=60)
    assert cli.ended(process, out, err).code == 0, err
    assert err == ""
    assert engine_site.user_of(token) is None


def test_a_command_is_stopped_before_its_lease_ends(
    cli: EngineCommandLine, engine_site: EngineSite
) -> None:
    bot = engine_site.new_bot(ttl="3s", max_ttl="5s")
    program = (
        "import os, signal, sys, time, urllib.request\n"
        "def stop(*_):\n"
        "    request = urllib.request.Request(os.environ['MATRIX_HOMESERVER'].rstrip('/')\n"
        "        + '/_matrix/client/v3/account/whoami',\n"
        "        headers={'Authorization': 'Bearer ' + os.environ['MATRIX_ACCESS_TOKEN']})\n"
        "    print(urllib.request.urlopen(request).status, flush=True)\n"
        "    sys.exit(3)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "time.sleep(600)\n"
    )
    process = cli.exec(bot, sys.executable, "-c", program)
    out, err = process.communicate(timeout=60)
    # The token worked when the command was told.
    assert (process.returncode, out) == (STOPPED, "200\n"), err
    assert "stopping the command" in err
    assert engine_site.devices(bot) == []


def test_a_command_that_does_not_stop_is_killed(
    cli: EngineCommandLine, engine_site: EngineSite
) -> None:
    bot = engine_site.new_bot(ttl="2s", max_ttl="2s")
    program = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
    process = cli.exec(bot, sys.executable, "-c", program)
    _, err = process.communicate(timeout=60)
    assert process.returncode == STOPPED, err


def test_a_dead_token_stops_the_command(cli: EngineCommandLine, engine_site: EngineSite) -> None:
    bot = engine_site.new_bot(ttl="6s", max_ttl="1h")
    process = cli.exec(bot, sys.executable, "-c", PROGRAM)
    engine_site.log_out(token_of(cli, process))
    process.wait(60)
    assert process.returncode == STOPPED
    assert process.stderr
    assert "cannot renew the lease" in process.stderr.read()


def test_a_vault_that_is_away_for_a_while_stops_nothing(
    cli: EngineCommandLine, engine_site: EngineSite
) -> None:
    bot = engine_site.new_bot(ttl="6s", max_ttl="1h")
    with Relay(engine_site.openbao.url) as vault:
        token = cli.bot_token(bot)
        process = cli.start(
            *("--engine", MOUNT, "exec", "--lease", f"@{bot}:{SERVER_NAME}", "--"),
            *(sys.executable, "-c", PROGRAM),
            config=(),
            VAULT_TOKEN=token,
            VAULT_ADDR=vault.url,
        )
        access_token = token_of(cli, process)
        failed: list[object] = []

        def fail(request: object) -> Reply | None:
            if getattr(request, "path", "").endswith("leases/renew") and len(failed) < 2:
                failed.append(request)
                return Reply(503, {"errors": ["Vault is sealed"]})
            return None

        vault.meddle = fail
        wait_until("renewals have failed", lambda: len(failed) == 2)
        time.sleep(6)
        assert engine_site.user_of(access_token) == f"@{bot}:{SERVER_NAME}"
        _, err = process.communicate("\n", timeout=60)
        assert process.returncode == 0, err


def test_a_token_that_may_not_revoke_leases_logs_out(
    cli: EngineCommandLine, engine_site: EngineSite
) -> None:
    bot = engine_site.new_bot()
    policy = f'path "{MOUNT}/user/{bot}/{SERVER_NAME}" {{ capabilities = ["read"] }}'
    token = engine_site.openbao.create_token(f"reads-{bot}", policy)
    process = cli.start(
        *("--engine", MOUNT, "exec", "--lease", f"@{bot}:{SERVER_NAME}", "--", "true"),
        config=(),
        VAULT_TOKEN=token,
        VAULT_ADDR=engine_site.openbao.url,
    )
    cli.ended(process, *process.communicate(timeout=60)).check_success()
    assert engine_site.devices(bot) == []


def test_signals_are_for_the_command(cli: EngineCommandLine, engine_site: EngineSite) -> None:
    bot = engine_site.new_bot()
    process = cli.exec(bot, sys.executable, "-c", PROGRAM)
    token_of(cli, process)
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert engine_site.devices(bot) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("exec", "--lease", "a", "--", "true"), "--lease needs --engine"),
        (("--engine", MOUNT, "exec", "--lease", "--signal", "HUP", "a", "--", "true"), "--signal"),
        (("--engine", MOUNT, "policy", "--for-user", "a", "--keep-in", "kv/a"), "--keep-in"),
    ],
)
def test_wrong_options_are_said(
    cli: EngineCommandLine, arguments: tuple[str, ...], said: str
) -> None:
    ended = CommandLine.run(cli, *arguments)
    assert (ended.code, said in ended.err) == (2, True), ended
    assert COMMAND.exists()
