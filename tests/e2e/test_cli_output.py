"""Results that cannot be written: no session stays open that nobody knows."""

from __future__ import annotations

import itertools
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.harness.command_line import COMMAND, CommandLine
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.provisioning import Site

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def cli(shared_site: Site, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return CommandLine(shared_site, tmp_path_factory.mktemp("cli"))


@pytest.fixture
def account(cli: CommandLine) -> str:
    """Return the id of an account that was provisioned."""
    user_id = f"@output-{next(_numbers)}:{SERVER_NAME}"
    cli.run("provision", "--no-token", user_id).check_success()
    return user_id


def run_into(cli: CommandLine, where: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with its standard output somewhere."""
    return subprocess.run(
        ["sh", "-c", f'exec "$0" "$@" {where}', COMMAND, *cli.config, *arguments],
        cwd=cli.directory,
        env=cli.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("where", [">&-", ">/dev/full"])
@pytest.mark.parametrize("verb", ["login", "provision"])
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_a_token_that_cannot_be_written_is_logged_out(
    cli: CommandLine, account: str, verb: str, where: str, as_json: bool
) -> None:
    before = cli.site.devices(account)
    ended = run_into(cli, where, verb, account, *(["--json"] if as_json else []))
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ")
    assert "Traceback" not in ended.stderr
    assert cli.site.devices(account) == before


def test_a_token_that_nobody_reads_is_logged_out(cli: CommandLine, account: str) -> None:
    process = cli.start("login", account)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(120) == 1
    assert cli.site.devices(account) == []


def test_without_a_standard_output_nothing_is_begun(cli: CommandLine) -> None:
    user_id = f"@output-{next(_numbers)}:{SERVER_NAME}"
    ended = run_into(cli, ">&-", "provision", "--no-token", user_id)
    assert (ended.returncode, ended.stderr) == (
        1,
        "error: there is no standard output to write the result to\n",
    )
    assert cli.site.versions(user_id) == {}
    # What a command writes that is run as a user is no matter of ours.
    cli.run("provision", "--no-token", user_id).check_success()
    assert run_into(cli, ">&-", "exec", user_id, "--", "true").returncode == 0


def test_an_import_stops_and_keeps_the_rows_whose_tokens_cannot_be_written(
    cli: CommandLine, tmp_path: Path
) -> None:
    users = [f"@output-{next(_numbers)}:{SERVER_NAME}" for _ in range(30)]
    source = tmp_path / "users.csv"
    source.write_text("\n".join(["user_id", *users]) + "\n")
    ended = run_into(
        cli, ">/dev/full", "provision", "--from", str(source), "--with-token", "--workers=2"
    )
    assert ended.returncode == 1
    assert "error: No space left on device" in ended.stderr
    left = (tmp_path / "users.csv.failed").read_text().split()
    assert sorted(left) == sorted(["user_id", *users])
    made = [user_id for user_id in users if cli.site.versions(user_id)]
    assert 1 <= len(made) < len(users)
    for user_id in made:
        assert cli.site.devices(user_id) == []
