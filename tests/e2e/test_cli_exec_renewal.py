"""`synapse-vault exec` on a homeserver that ends tokens: the file always holds one that works."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.harness.command_line import CommandLine
from tests.harness.provisioning import Site, new_id
from tests.harness.waiting import wait_until
from tests.servers import Relay
from tests.servers.relay import Reply
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    import subprocess

    from tests.harness.stack import Stack

pytestmark = pytest.mark.long

BOT = f"@cli-exec-renewal:{SERVER_NAME}"

LIFETIME = 9
"""Seconds after which tokens end."""

WAITS = 'echo "$MATRIX_ACCESS_TOKEN_FILE"; read _; exit 42'
"""A command that names the file and ends with standard input."""

LOGIN = "/_matrix/client/v3/login"


@pytest.fixture(scope="module")
def cli(file_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """Return the command line, on a homeserver that ends tokens."""
    settings = {"nonrefreshable_access_token_lifetime": f"{LIFETIME}s"}
    site = Site.of(file_stack.start_homeserver("renewal", homeserver_yaml=settings))
    line = CommandLine(site, tmp_path_factory.mktemp("cli-exec-renewal"))
    line.run("provision", "--no-token", BOT).check_success()
    return line


def line_of(process: subprocess.Popen[str]) -> str:
    """Return the next line that the command writes."""
    assert process.stdout
    return str(process.stdout.readline()).strip()


def token_in(cli: CommandLine, file: Path) -> str:
    """Return the token that a file holds at the moment."""
    return cli.site.confidential.add(file.read_text())


def logins(relay: Relay) -> int:
    """Return how many logins a homeserver was asked for."""
    return sum((one.method, one.path) == ("POST", LOGIN) for one in list(relay.requests))


def devices(cli: CommandLine, user: str) -> list[object]:
    """Return the devices of a user, with an admin token that has not ended yet."""
    cli.site.admin_token = cli.site.register(new_id("admin"), admin=True)["access_token"]
    return [device["device_id"] for device in cli.site.devices(user)]


def test_the_file_holds_a_working_token_at_every_look(cli: CommandLine, tmp_path: Path) -> None:
    process = cli.start("exec", BOT, "--", "sh", "-c", WAITS, TMPDIR=str(tmp_path))
    file = Path(line_of(process))
    assert file.parent.parent == tmp_path
    assert file.parent.stat().st_mode & 0o777 == 0o700
    first = token_in(cli, file)
    device = cli.site.device_of(first)
    tokens = {first}
    until = time.monotonic() + 2.5 * LIFETIME
    while time.monotonic() < until:
        token = token_in(cli, file)
        assert file.stat().st_mode & 0o777 == 0o600
        assert cli.site.device_of(token) == device
        tokens.add(token)
        time.sleep(0.2)
    assert len(tokens) >= 3
    assert cli.site.user_of(first) is None
    last = token_in(cli, file)
    assert cli.site.user_of(last) == BOT
    out, err = process.communicate("\n", timeout=60)
    told = cli.ended(process, out, err).check_failure_of_command(42)
    # Once, however often the token was replaced.
    assert told == (
        "warning: the token in MATRIX_ACCESS_TOKEN ends soon; "
        "only the file MATRIX_ACCESS_TOKEN_FILE holds the new one\n"
    )
    assert cli.site.user_of(last) is None
    assert list(tmp_path.iterdir()) == []
    assert devices(cli, BOT) == []


@pytest.mark.parametrize("name", ["HUP", "SIGUSR1", "usr2"])
def test_the_signal_that_was_asked_for_follows_each_replacement(
    cli: CommandLine, tmp_path: Path, name: str
) -> None:
    script = (
        'say() { echo "$(cat "$MATRIX_ACCESS_TOKEN_FILE")"; }; '
        f"trap say {name.upper().removeprefix('SIG')}; say; while :; do sleep 0.05; done"
    )
    process = cli.start(
        "exec", "--signal", name, BOT, "--", "sh", "-c", script, TMPDIR=str(tmp_path)
    )
    tokens = [cli.site.confidential.add(line_of(process)) for _ in range(2)]
    assert len(set(tokens)) == 2
    assert cli.site.user_of(tokens[-1]) == BOT
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert cli.ended(process, out, err).check_failure_of_command(128 + signal.SIGTERM) == ""
    assert [cli.site.user_of(token) for token in tokens] == [None, None]
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_ends_at_once_hears_nothing(cli: CommandLine, tmp_path: Path) -> None:
    script = 'test "$(cat "$MATRIX_ACCESS_TOKEN_FILE")" = "$MATRIX_ACCESS_TOKEN"'
    # An unusable place for files of the session is passed over.
    cli.run(
        "exec", BOT, "--", "sh", "-c", script,
        TMPDIR=str(tmp_path), XDG_RUNTIME_DIR=str(tmp_path / "missing"),
    ).check_success()  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_logins_that_fail_are_tried_again(cli: CommandLine, tmp_path: Path) -> None:
    with Relay(cli.site.synapse.url) as relay:
        process = cli.start(
            "--homeserver", relay.url, "exec", "--signal", "WINCH", BOT, "--", "sh", "-c", WAITS,
            TMPDIR=str(tmp_path),
        )  # fmt: skip
        file = Path(line_of(process))
        first = token_in(cli, file)
        before = logins(relay)
        relay.meddle = lambda request: (
            Reply(400, {"errcode": "M_UNKNOWN", "error": "not now"})
            if request.path == LOGIN
            else None
        )
        wait_until("two attempts", lambda: logins(relay) >= before + 2)
        assert token_in(cli, file) == first
        relay.meddle = None
        wait_until("a new token", lambda: token_in(cli, file) != first)
        last = token_in(cli, file)
        assert cli.site.user_of(last) == BOT
        out, err = process.communicate("\n", timeout=60)
    told = cli.ended(process, out, err).check_failure_of_command(42)
    assert told.startswith("error: cannot renew the access token, retrying: ")
    # Once, however many attempts failed.
    assert told.count("error: ") == 1
    assert cli.site.user_of(last) is None


def test_a_login_under_way_when_the_command_ends_leaves_no_session(
    cli: CommandLine, tmp_path: Path
) -> None:
    with Relay(cli.site.synapse.url) as relay:
        process = cli.start(
            "--homeserver", relay.url, "exec", BOT, "--", "sh", "-c", WAITS, TMPDIR=str(tmp_path)
        )
        file = Path(line_of(process))
        token_in(cli, file)
        before = logins(relay)
        relay.hold_answers()
        wait_until("the next login", lambda: logins(relay) > before)
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
        # The file does not wait for the answer.
        wait_until("the file is gone", lambda: not file.parent.exists())
        assert process.poll() is None
        relay.release()
        out, err = process.communicate(timeout=60)
    assert cli.ended(process, out, err).check_failure_of_command(42) == ""
    assert devices(cli, BOT) == []


@pytest.mark.parametrize("name", ["NONE", "KILL", "9", "SIG"])
def test_a_signal_that_nobody_can_handle_is_refused(cli: CommandLine, name: str) -> None:
    ended = cli.run("exec", "--signal", name, BOT, "--", "true")
    assert (ended.code, ended.out) == (2, "")
    assert f"{name} is no signal that a command can handle." in ended.err


def test_the_signal_may_stand_in_the_environment(cli: CommandLine) -> None:
    ended = cli.run("exec", BOT, "--", "true", SYNAPSE_VAULT_EXEC_SIGNAL="NONE")
    assert "NONE is no signal that a command can handle." in ended.err


def test_an_end_that_is_too_far_away_to_wait_for(cli: CommandLine) -> None:
    def postponed(reply: Reply) -> Reply:
        body = reply.body if isinstance(reply.body, bytes) else b""
        far = re.sub(rb'"expires_in_ms":\s*[0-9]+', b'"expires_in_ms":10000000000000000', body)
        return Reply(reply.status, far)

    with Relay(cli.site.synapse.url) as relay:
        relay.edit = postponed
        cli.run("--homeserver", relay.url, "exec", BOT, "--", "true").check_success()


def test_a_token_without_an_end_is_never_replaced(
    shared_site: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    endless = CommandLine(shared_site, tmp_path_factory.mktemp("cli-exec-endless"))
    endless.run("provision", "--no-token", BOT).check_success()
    script = (
        "trap 'echo got' USR1; echo \"$MATRIX_ACCESS_TOKEN_FILE\"; while :; do sleep 0.05; done"
    )
    with Relay(shared_site.synapse.url) as relay:
        process = endless.start(
            "--homeserver", relay.url, "exec", "--signal", "HUP", BOT, "--", "sh", "-c", script
        )
        token = token_in(endless, Path(line_of(process)))
        # Whatever wakes it up.
        for number in (signal.SIGCHLD, signal.SIGUSR1):
            process.send_signal(number)
        assert line_of(process) == "got"
        assert shared_site.user_of(token) == BOT
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        assert logins(relay) == 1
    assert endless.ended(process, out, err).check_failure_of_command(128 + signal.SIGTERM) == ""
    assert shared_site.user_of(token) is None
