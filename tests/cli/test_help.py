"""What the command says of itself, and what it says to a slip of the keyboard."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Ended

OPTIONS = {
    "provision": [
        "--from", "--display-name", "--avatar", "--admin", "--user-type", "--external-id",
        "--adopt", "--reset-cross-signing", "--with-token", "--no-token", "--workers",
        "--failed-to", "--dry-run", "--json",
    ],
    "login": ["--device-id", "--device-name", "--logout-others", "--json"],
    "exec": ["--signal", "USER -- COMMAND..."],
    "rotate": ["USER...", "--json"],
    "revoke": ["USER...", "--deactivate", "--yes", "--json"],
    "profile": ["--display-name", "--avatar", "--json"],
    "list": ["--json"],
    "hash": ["--json"],
    "doctor": ["[USER]", "--json"],
    "policy": ["--for", "--for-user", "--keep-in", "--json"],
    "token": ["--keep-in", "--renew-before", "--device-id", "--lifetime", "--overlap", "--json"],
    "config": ["--vault-url", "--auth", "--approle-role-id-file", "--kubernetes-role", "--json"],
    "completion": ["bash|zsh|fish", "--json"],
}  # fmt: skip

OPTIONS_OF_ALL = [
    "-c,", "--homeserver", "--server-name", "--admin-token-file",
    "--registration-shared-secret-file", "--vault-token-file", "--mount", "--path-root",
    "--timeout", "--json", "--no-color", "--version",
]  # fmt: skip

each_help = pytest.mark.parametrize("flag", ["-h", "--help"])


@each_help
def test_the_help_names_all_verbs_and_the_options_before_them(
    command: Callable[..., Ended], flag: str
) -> None:
    ended = command(flag)
    assert (ended.code, ended.err) == (0, "")
    commands = ended.out.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in commands] == sorted(OPTIONS)
    # None is cut short.
    assert all(line.endswith(".") and not line.endswith("...") for line in commands), ended.out
    for option in OPTIONS_OF_ALL:
        assert option in ended.out


@each_help
@pytest.mark.parametrize("verb", OPTIONS)
def test_the_help_of_a_verb_names_its_options(
    command: Callable[..., Ended], verb: str, flag: str
) -> None:
    ended = command(verb, flag)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"Usage: synapse-vault {verb} ")
    for option in OPTIONS[verb]:
        assert option in ended.out


def test_no_option_takes_a_secret(command: Callable[..., Ended]) -> None:
    helps = "".join(command(*verb, "--help").out for verb in ([], *([verb] for verb in OPTIONS)))
    assert "--help" in helps
    for option in ("--password", "--secret", "--admin-token ", "--vault-token ", "--token "):
        assert option not in helps
    assert "--registration-shared-secret " not in helps


def test_it_tells_its_version(command: Callable[..., Ended]) -> None:
    assert command("--version").out == f"synapse-vault, version {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "expectation"),
    [
        (["provison"], "No such command 'provison'"),
        (["--colour", "list"], "No such option"),
        (["login"], "Missing argument 'USER'"),
        (["rotate"], "Missing argument 'USER...'"),
        (["exec", "alice"], "Missing argument '-- COMMAND...'"),
        (["exec", "alice", "--"], "Give the command to run."),
        (["profile", "alice"], "Give --display-name, --avatar or both."),
        (["provision"], "Give either a user or --from FILE."),
        (["provision", "alice", "--from", "x.csv"], "Give either a user or --from FILE."),
        (["provision", "--from", "x.csv", "--admin"], "--admin is not possible with --from."),
        (["provision", "alice", "--workers=2"], "--workers is not possible without --from."),
        (["provision", "alice", "--failed-to=x"], "--failed-to is not possible without --from."),
        (["provision", "--from", "x.csv", "--workers=0"], "Invalid value for '--workers'"),
        (["policy", "--for", "everybody"], "Invalid value for '--for'"),
        (["completion", "csh"], "Invalid value for '{bash|zsh|fish}'"),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_ends_with_2_and_the_usage(
    command: Callable[..., Ended], arguments: list[str], expectation: str
) -> None:
    command(*arguments).check_refused("Usage: synapse-vault", expectation, code=2)


def test_options_of_the_other_form_may_stand_in_the_environment(
    command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNAPSE_VAULT_PROVISION_WORKERS", "many")
    command("provision", "alice").check_refused("Invalid value for '--workers'", code=2)
    monkeypatch.setenv("SYNAPSE_VAULT_PROVISION_WORKERS", "2")
    command("provision", "alice").check_refused("error: ")


@pytest.mark.parametrize("name", ["IS_ADMIN", "ADMIN", "ADOPT", "RESET_CROSS_SIGNING"])
def test_nobody_becomes_an_administrator_or_is_taken_over_by_the_environment(
    command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    (tmp_path / "users.csv").write_text("user_id\nbot\n")
    from_file = ["provision", "--from", "users.csv"]
    # With a file, these options are refused, as its columns say that of each user.
    option = f"--{name.removeprefix('IS_').lower().replace('_', '-')}"
    command(*from_file, option).check_refused("Usage: synapse-vault", code=2)
    monkeypatch.setenv(f"SYNAPSE_VAULT_PROVISION_{name}", "1")
    command(*from_file).check_refused("error: homeserver: required")


def test_json_may_be_asked_for_before_the_verb_behind_it_and_in_the_environment(
    command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    def output(*arguments: str) -> object:
        return json.loads(command(*arguments, stdin="s3cret").out)

    before = output("--json", "hash", "@alice:example.org")
    assert output("hash", "--json", "@alice:example.org") == before
    monkeypatch.setenv("SYNAPSE_VAULT_JSON", "1")
    assert output("hash", "@alice:example.org") == before


def test_the_command_is_installed() -> None:
    script = Path(sysconfig.get_path("scripts")) / "synapse-vault"
    shown = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout == f"synapse-vault, version {__version__}\n"
