"""`synapse-vault provision --from`: many users, and what comes in between."""

from __future__ import annotations

import itertools
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.harness.command_line import CommandLine
from tests.harness.provisioning import new_id
from tests.harness.waiting import wait_until
from tests.pythons import ROOT
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from tests.harness.provisioning import Site
    from tests.servers import Relay
    from tests.servers.relay import Request

_numbers = itertools.count(1)

STORED = json.loads((ROOT / "tests" / "vectors" / "stored_entries.json").read_text())


@pytest.fixture(scope="module")
def cli(shared_site: Site, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return CommandLine(shared_site, tmp_path_factory.mktemp("cli-bulk"))


@pytest.fixture(autouse=True)
def directory(cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run the command in a directory of the test's own."""
    monkeypatch.setattr(cli, "directory", tmp_path)
    return tmp_path


@pytest.fixture
def users() -> list[str]:
    """Return names that no account has."""
    return [f"cli-bulk-{next(_numbers)}" for _ in range(60)]


def ids(names: list[str]) -> list[str]:
    return [f"@{name}:{SERVER_NAME}" for name in names]


def opens(cli: CommandLine, user_id: str) -> bool:
    """Tell whether the secret in Vault logs in."""
    return cli.site.opens(user_id, cli.site.secret(user_id))


def test_every_row_becomes_an_account(cli: CommandLine, directory: Path, users: list[str]) -> None:
    plain, named, *_ = users
    (directory / "users.csv").write_text(
        f"user_id,display_name,external_id,admin\n{plain},,,\n{named},A Name,42,true\n"
    )
    ended = cli.run("provision", "--from", "users.csv")
    assert ended.code == 0
    assert sorted(ended.lines) == sorted([[user_id, "created"] for user_id in ids([plain, named])])
    assert "1 of 2\n2 of 2\n2 created\n" in ended.err
    assert cli.site.profile(ids([named])[0])["displayname"] == "A Name"
    assert all(opens(cli, user_id) for user_id in ids([plain, named]))
    assert [path.name for path in directory.iterdir()] == ["users.csv"]
    again = cli.run("provision", "--from", "users.csv", "--json").json_lines
    assert [line["already_exists"] for line in again] == [True, True]
    # Tokens only if they are asked for.
    assert [line["access_token"] for line in again] == [None, None]


def test_tokens_are_printed_if_wanted(cli: CommandLine, users: list[str]) -> None:
    rows = "".join(f'{{"user_id": "{user}"}}\n' for user in users[:3])
    ended = cli.run("provision", "--from", "-", "--with-token", "--json", stdin=rows)
    assert ended.code == 0
    assert {cli.site.user_of(line["access_token"]) for line in ended.json_lines} == set(
        ids(users[:3])
    )
    ended = cli.run("provision", "--from", "-", "--with-token", stdin=rows)
    for user_id, state, token, device_id in ended.lines:
        assert (cli.site.user_of(cli.site.confidential.add(token)), state) == (
            user_id,
            "already there",
        )
        assert device_id


def test_rows_that_fail_are_kept_to_be_fed_in_again(
    cli: CommandLine, directory: Path, users: list[str]
) -> None:
    foreign = new_id()
    cli.site.register(foreign)
    (directory / "users.csv").write_text(f"user_id,adopt\n{users[0]},\n{foreign},\n{users[1]},\n")
    ended = cli.run("provision", "--from", "users.csv", "--workers", "2")
    assert ended.code == 1
    assert sorted(line[0] for line in ended.lines) == sorted(ids(users[:2]))
    assert f"error: users.csv:3: {foreign}: " in ended.err
    assert "2 created, 1 failed\nwhat is left to do is in users.csv.failed\n" in ended.err
    left = directory / "users.csv.failed"
    assert left.read_text() == f"user_id,adopt\n{foreign},\n"
    assert left.stat().st_mode & 0o777 == 0o600
    left.write_text(left.read_text().replace(",\n", ",true\n"))
    assert cli.run("provision", "--from", "users.csv.failed").code == 0
    assert opens(cli, foreign)


def test_a_mistake_stops_it_before_anything_is_done(
    cli: CommandLine, directory: Path, users: list[str]
) -> None:
    (directory / "users.csv").write_text(f"user_id,admin\n{users[0]},\nThe Bot,perhaps\n")
    cli.run("provision", "--from", "users.csv").check_failure(
        "2 mistakes in users.csv, so nothing was done:\n",
        "\nusers.csv:3: user_id: 'The Bot' cannot be a user of",
        "\nusers.csv:3: admin: must be true or false, not 'perhaps'\n",
        "\nCorrect the file and run this again.\n",
    )
    assert not cli.site.versions(ids(users)[0])


def hold_after(relay: Relay, requests: int) -> None:
    """Let so many requests through to Vault, and hold the others."""

    def count(_: Request) -> None:
        if len(relay.requests) > requests:
            relay.hold()

    relay.meddle = count


def test_killed_half_way_and_run_again_it_finishes_and_does_nothing_twice(
    cli: CommandLine, directory: Path, users: list[str], relay: Relay
) -> None:
    (directory / "users.csv").write_text("user_id\n" + "".join(f"{user}\n" for user in users))
    arguments = ("provision", "--from", "users.csv", "--workers", "4")
    hold_after(relay, 100)
    process = cli.start(*arguments, VAULT_ADDR=relay.url)
    wait_until("a request that is held", lambda: len(relay.requests) > 100)
    process.kill()
    out, _ = process.communicate()
    relay.close()
    done = out.splitlines(keepends=True)
    assert all(line.endswith("\tcreated\n") for line in done)
    assert len(done) > 10
    secrets = {
        line.split("\t")[0]: cli.site.secret(line.split("\t")[0]) for line in done if "\n" in line
    }
    assert len(done) < len(users)
    ended = cli.run(*arguments)
    assert ended.code == 0
    assert sorted(line[0] for line in ended.lines) == sorted(ids(users))
    # What was done is left alone, and what was begun is finished.
    for user_id in ids(users):
        secret = cli.site.secret(user_id)
        assert secrets.get(user_id, secret) == secret
        assert cli.site.opens(user_id, secret)
    assert len(set(map(cli.site.secret, ids(users)))) == len(users)
    listed = [line for line in cli.run("list").lines if line[0] in ids(users)]
    assert [line[1] for line in listed] == ["ready"] * len(users)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_tells_and_keeps_what_was_not_done(
    cli: CommandLine, directory: Path, users: list[str], relay: Relay, number: signal.Signals
) -> None:
    (directory / "users.jsonl").write_text("".join(f'{{"user_id": "{user}"}}\n' for user in users))
    hold_after(relay, 40)
    arguments = ("provision", "--from", "users.jsonl", "--workers", "2")
    process = cli.start(*arguments, VAULT_ADDR=relay.url)
    wait_until("a request that is held", lambda: len(relay.requests) > 40)
    process.send_signal(number)
    assert process.stderr
    said = ""
    while "Stopping: " not in said:
        said += process.stderr.readline()
    relay.meddle = None
    relay.release()
    out, err = process.communicate(timeout=120)
    ended = cli.ended(process, out, said + err)
    assert ended.code == 128 + number
    done = {line[0] for line in ended.lines}
    left = (directory / "users.jsonl.failed").read_text().splitlines()
    not_done = {ids([json.loads(line)["user_id"]])[0] for line in left}
    assert done
    assert not_done
    assert done | not_done == set(ids(users))
    assert not done & not_done
    assert f"{len(done)} created, {len(not_done)} not done\n" in ended.err
    assert all(opens(cli, user_id) for user_id in done)
    assert not any(cli.site.versions(user_id) for user_id in not_done)
    again = cli.run("provision", "--from", "users.jsonl.failed")
    assert again.code == 0
    assert {line[0] for line in again.lines} == not_done


def test_it_gives_up_when_nothing_has_a_chance(
    cli: CommandLine, directory: Path, users: list[str]
) -> None:
    rows = "user_id\n" + "".join(f"{user}\n" for user in users)
    ended = cli.run("provision", "--from", "-", "--workers", "2", stdin=rows, VAULT_TOKEN="wrong")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.count("error: standard input:") < 10
    assert "gave up on the rest" in ended.err
    header, *left = (directory / "provision.failed.csv").read_text().splitlines()
    assert (header, sorted(left)) == ("user_id", sorted(users))


def test_a_terminal_has_a_progress_bar(cli: CommandLine, directory: Path, users: list[str]) -> None:
    (directory / "users.csv").write_text("user_id\n" + "".join(f"{user}\n" for user in users[:3]))
    code, shown = cli.run_on_terminal("provision", "--from", "users.csv")
    assert code == 0
    assert "Provisioning" in shown
    assert "3/3" in shown
    # Nothing is written behind the bar.
    lines = shown.replace("\r\n", "\n").split("\n")
    for user_id in ids(users[:3]):
        assert any(line.endswith(f"{user_id}  created") for line in lines), shown
    assert "3 created" in lines


def test_a_reader_that_leaves_ends_it_in_order(
    cli: CommandLine, directory: Path, users: list[str]
) -> None:
    (directory / "users.csv").write_text("user_id\n" + "".join(f"{user}\n" for user in users[:20]))
    process = cli.start("provision", "--from", "users.csv", "--workers", "2")
    assert process.stdout
    process.stdout.readline()
    process.stdout.close()
    assert process.stdin
    process.stdin.close()
    assert process.stderr
    assert "Traceback" not in process.stderr.read()
    assert process.wait(120) == 1
    # What was done and could not be told is among what is left.
    assert cli.run("provision", "--from", "users.csv.failed").code == 0
    assert all(cli.site.versions(user_id) for user_id in ids(users[:20]))


def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    cli: CommandLine, directory: Path, users: list[str]
) -> None:
    there, new, admin, unusable, revoked = [*users[:3], new_id(), new_id()]
    cli.run("provision", "--no-token", there).check_success()
    cli.site.put(unusable, {"login_secret": ""})
    cli.site.put(revoked, STORED["revoking"])
    (directory / "users.csv").write_text(
        f"user_id,admin\n{there},\n{new},\n{admin},true\n{unusable},\n{revoked},\n"
    )
    ended = cli.run("provision", "--from", "users.csv", "--dry-run")
    assert list(dict(ended.lines).values()) == [
        "already there",
        "would be created",
        "would be created, as an administrator",
        "would fail: the entry in Vault is of no use",
        "would fail: the user is being revoked",
    ]
    assert ended.code == 1
    assert ended.err == "2 would be created, 1 already there, 2 would fail\nnothing was done\n"
    assert not (directory / "users.csv.failed").exists()
    for user_id in (new, admin):
        (matrix_user_id,) = ids([user_id])
        assert cli.site.versions(matrix_user_id) == {}
    lines = cli.run("provision", "--from", "users.csv", "--dry-run", "--json").json_lines
    assert [line["action"] for line in lines] == ["nothing", "create", "create", "fail", "fail"]
    assert lines[2]["is_admin"] is True
    # A mistake is told as it is without.
    (directory / "users.csv").write_text("user_id\nThe Bot\n")
    cli.run("provision", "--from", "users.csv", "--dry-run").check_failure("1 mistake in users.csv")
    cli.run("provision", "--dry-run", "bot").check_failure_of_command(2)


def test_a_dry_run_tells_whose_account_each_is(
    cli: CommandLine, directory: Path, users: list[str]
) -> None:
    nobodys, ours = users[:2]
    cli.run("provision", "--no-token", nobodys).check_success()
    cli.run("provision", "--no-token", ours, "--external-id", "7").check_success()
    columns = "user_id,external_id,adopt"
    fails = "would fail: the entry in Vault has"
    for row, expectation in {
        f"{nobodys},,": "already there",
        f"{nobodys},8,": f"{fails} no external id, and adopt is not true",
        f"{nobodys},8,true": "already there",
        f"{ours},7,": "already there",
        f"{ours},8,true": f"{fails} the external id '7', and not '8'",
        f"{ours},,": f"{fails} the external id '7', and the file has none",
    }.items():
        (directory / "users.csv").write_text(f"{columns}\n{row}\n")
        planned = cli.run("provision", "--from", "users.csv", "--dry-run")
        assert [said for _, said in planned.lines] == [expectation]
        # What it says is what happens.
        assert cli.run("provision", "--from", "users.csv").code == planned.code
        (directory / "users.csv.failed").unlink(missing_ok=True)


def test_the_same_warning_of_many_is_said_once(
    cli: CommandLine, directory: Path, users: list[str]
) -> None:
    names = users[:4]
    (directory / "users.csv").write_text("\n".join(["user_id", *names]) + "\n")
    assert cli.run("provision", "--from", "users.csv").code == 0
    # With the shared secret nobody knows when the account was created.
    again = cli.run("provision", "--from", "users.csv", "--workers", "1")
    assert again.code == 0
    warnings = [line for line in again.err.splitlines() if line.startswith("warning: ")]
    what = "is the account that its entry was written for, which takes an admin access token"
    assert warnings == [
        f"warning: it was not checked that {ids(names)[0]} {what}",
        f"warning: the same of 3 more: it was not checked that USER {what}",
    ]
