"""`synapse-vault exec`: a command with a session that lives for as long as the command does."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.harness.command_line import CommandLine
from tests.servers import Relay
from tests.servers.relay import Reply
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    import subprocess

    from tests.harness.provisioning import Site

BOT = f"@cli-exec:{SERVER_NAME}"


@pytest.fixture(scope="module")
def cli(shared_site: Site, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    line = CommandLine(shared_site, tmp_path_factory.mktemp("cli-exec"))
    line.run("provision", "--no-token", BOT).check_success()
    return line


def token_of(process: subprocess.Popen[str]) -> str:
    """Return the access token that the command writes first."""
    assert process.stdout
    token: str = process.stdout.readline().strip()
    return token


def test_the_command_is_logged_in_and_knows_no_other_secret(cli: CommandLine) -> None:
    file = cli.directory / "shared_secret"
    file.write_text(cli.site.synapse.shared_secret)
    ended = cli.run(
        "exec", BOT, "--", "sh", "-c", "env -0",
        PASSED_ON="yes",
        BAO_TOKEN=cli.environment["VAULT_TOKEN"],
        SYNAPSE_VAULT_REGISTRATION_SHARED_SECRET_FILE=str(file),
    ).check_success()  # fmt: skip
    found = dict(one.split("=", 1) for one in ended.out.rstrip("\0").split("\0"))
    token = cli.site.confidential.add(found["MATRIX_ACCESS_TOKEN"])
    assert (found["MATRIX_USER_ID"], found["PASSED_ON"]) == (BOT, "yes")
    assert found["MATRIX_HOMESERVER"].rstrip("/") == cli.site.synapse.url
    assert found["MATRIX_DEVICE_ID"]
    assert not [name for name in found if name.startswith(("VAULT_", "BAO_", "SYNAPSE_VAULT_"))]
    assert cli.environment["VAULT_TOKEN"] not in ended.out
    # Its session has ended with it.
    assert cli.site.user_of(token) is None


def test_the_session_is_there_while_the_command_runs(cli: CommandLine) -> None:
    process = cli.start(
        "exec", BOT, "--", "sh", "-c", 'echo "$MATRIX_ACCESS_TOKEN"; read _; exit 42'
    )
    token = token_of(process)
    assert cli.site.user_of(token) == BOT
    assert [device["display_name"] for device in cli.site.devices(BOT)] == ["synapse-vault exec"]
    out, err = process.communicate("\n", timeout=60)
    assert cli.ended(process, out, err).check_failure_of_command(42) == ""
    assert cli.site.user_of(token) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_ends_the_command_and_the_session(
    cli: CommandLine, number: signal.Signals
) -> None:
    process = cli.start(
        "exec", BOT, "--", "sh", "-c", 'echo "$MATRIX_ACCESS_TOKEN"; exec sleep 600'
    )
    token = token_of(process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert cli.ended(process, out, err).check_failure_of_command(128 + number) == ""
    assert cli.site.user_of(token) is None


def test_a_command_that_handles_a_signal_decides_how_it_ends(cli: CommandLine) -> None:
    script = "trap 'exit 7' TERM; echo \"$MATRIX_ACCESS_TOKEN\"; while :; do sleep 0.05; done"
    process = cli.start("exec", BOT, "--", "sh", "-c", script)
    token = token_of(process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 7
    process.communicate()
    assert cli.site.user_of(token) is None


def test_the_session_ends_with_a_command_that_is_killed(cli: CommandLine) -> None:
    script = 'echo "$MATRIX_ACCESS_TOKEN"; kill -KILL $$'
    process = cli.start("exec", BOT, "sh", "-c", script)
    token = token_of(process)
    assert process.wait(60) == 128 + signal.SIGKILL
    process.communicate()
    assert cli.site.user_of(token) is None


def test_the_exit_code_is_that_of_the_command(cli: CommandLine) -> None:
    cli.run("exec", BOT, "--", "true").check_success()
    assert cli.run("exec", BOT, "false").check_failure_of_command(1) == ""
    missing = cli.run("exec", BOT, "--", "no-such-command")
    assert "cannot run no-such-command" in missing.check_failure_of_command(127)
    (cli.directory / "plain").write_text("")
    assert "cannot run ./plain" in cli.run("exec", BOT, "./plain").check_failure_of_command(126)


def test_no_session_is_left_over(cli: CommandLine) -> None:
    assert cli.site.devices(BOT) == []


def test_without_a_login_nothing_is_run(cli: CommandLine) -> None:
    mark = cli.directory / "mark"
    nobody = f"@cli-nobody:{SERVER_NAME}"
    cli.run("exec", nobody, "--", "touch", str(mark)).check_failure(nobody)
    assert not mark.exists()


def test_options_behind_the_command_are_the_commands(cli: CommandLine) -> None:
    ended = cli.run("exec", BOT, "printf", "%s\\n", "--json", "--", "-h").check_success()
    assert ended.out == "--json\n--\n-h\n"


def test_standard_input_is_the_commands(cli: CommandLine) -> None:
    assert cli.run("exec", BOT, "cat", stdin="given").check_success().out == "given"


def test_a_session_that_the_command_has_ended_is_no_failure(cli: CommandLine) -> None:
    script = (
        "import os, urllib.request as r\n"
        "url = os.environ['MATRIX_HOMESERVER'].rstrip('/') + '/_matrix/client/v3/logout'\n"
        "headers = {'Authorization': 'Bearer ' + os.environ['MATRIX_ACCESS_TOKEN']}\n"
        "r.urlopen(r.Request(url, b'{}', headers))\n"
    )
    cli.run("exec", BOT, "--", sys.executable, "-c", script).check_success()


@pytest.mark.parametrize(("command", "code"), [(0, 1), (42, 42)])
def test_a_session_that_cannot_be_ended_is_told(cli: CommandLine, command: int, code: int) -> None:
    script = f'echo "$MATRIX_ACCESS_TOKEN"; read _; exit {command}'
    with Relay(cli.site.synapse.url) as relay:
        process = cli.start("--homeserver", relay.url, "exec", BOT, "--", "sh", "-c", script)
        token = cli.site.confidential.add(token_of(process))
        relay.meddle = lambda _: Reply(403, {"errcode": "M_FORBIDDEN", "error": "not now"})
        out, err = process.communicate("\n", timeout=60)
    told = cli.ended(process, out, err).check_failure_of_command(code)
    assert told.startswith(f"error: cannot log {BOT} out: ")
    assert cli.site.client("POST", "_matrix/client/v3/logout", token, {}).ok
