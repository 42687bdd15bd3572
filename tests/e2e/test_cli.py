"""Each verb of the command, on real servers."""

from __future__ import annotations

import itertools
import json
import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.harness.accounts import PATH_ROOT, token_hash
from tests.harness.command_line import CommandLine
from tests.harness.provisioning import PNG, new_id
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.provisioning import Site

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def cli(shared_site: Site, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return CommandLine(shared_site, tmp_path_factory.mktemp("cli"))


@pytest.fixture
def user_id() -> str:
    """Return an id that no account has."""
    return f"@cli-{next(_numbers)}:{SERVER_NAME}"


@pytest.fixture
def account(cli: CommandLine, user_id: str) -> str:
    """Return the id of an account that was provisioned."""
    cli.run("provision", "--no-token", user_id).check_success()
    return user_id


def opens(cli: CommandLine, user_id: str) -> bool:
    """Tell whether the secret in Vault logs in."""
    return cli.site.opens(user_id, cli.site.secret(user_id))


def test_provision_prints_the_account_and_its_token(cli: CommandLine, user_id: str) -> None:
    ended = cli.run("provision", user_id).check_success()
    shown = dict(line.split(maxsplit=1) for line in ended.out.splitlines())
    assert shown.keys() == {
        "matrix_user_id", "access_token", "device_id", "home_server", "already_exists",
    }  # fmt: skip
    assert (shown["matrix_user_id"], shown["already_exists"]) == (user_id, "false")
    assert cli.site.user_of(shown["access_token"]) == user_id
    assert opens(cli, user_id)


def test_provision_again_finds_the_account(cli: CommandLine, account: str) -> None:
    secret = cli.site.secret(account)
    ended = cli.run("provision", "--json", account)
    assert ended.code == 0
    # Without an admin token nothing tells when the account was made.
    assert ended.err.startswith(f"warning: it was not checked that {account} is ")
    again = ended.json
    assert again["already_exists"] is True
    assert cli.site.user_of(again["access_token"]) == account
    assert cli.site.secret(account) == secret


def test_provision_takes_the_options_of_the_interface(cli: CommandLine, user_id: str) -> None:
    (cli.directory / "avatar.png").write_bytes(PNG)
    options = (
        "--display-name", "The Böt", "--avatar", "avatar.png", "--user-type", "bot",
        "--external-id", "42", "--admin",
    )  # fmt: skip
    ended = cli.run("--json", "provision", user_id, "--no-token", *options).check_success().json
    assert ended["access_token"] is None
    assert cli.site.profile(user_id)["displayname"] == "The Böt"
    cli.run("provision", user_id, "--external-id", "43").check_failure(user_id)
    account = cli.site.account(user_id)
    assert account is not None
    assert (account["admin"], account["user_type"]) == (True, "bot")
    assert account["avatar_url"].startswith(f"mxc://{SERVER_NAME}/")


def test_provision_takes_a_localpart(cli: CommandLine, user_id: str) -> None:
    localpart = user_id[1:].partition(":")[0]
    ended = cli.run("provision", localpart, "--no-token", "--json").check_success()
    assert ended.json["matrix_user_id"] == user_id


def test_adopt_takes_an_account_over(cli: CommandLine) -> None:
    foreign = new_id()
    cli.site.register(foreign)
    cli.run("provision", foreign).check_failure(foreign)
    assert cli.run("provision", foreign, "--adopt", "--no-token", "--json").code == 0
    assert opens(cli, foreign)


def test_login_prints_a_token(cli: CommandLine, account: str) -> None:
    first = cli.run("login", "--json", account, "--device-id", "ONE").check_success().json
    assert (first["matrix_user_id"], first["device_id"]) == (account, "ONE")
    assert cli.site.user_of(first["access_token"]) == account
    options = ("--device-name", "Two", "--logout-others")
    second = cli.run("login", account, *options).check_success()
    shown = dict(line.split(maxsplit=1) for line in second.out.splitlines())
    assert cli.site.user_of(shown["access_token"]) == account
    assert cli.site.user_of(first["access_token"]) is None


def test_rotate_replaces_the_secrets_of_several(cli: CommandLine, account: str) -> None:
    other = f"@cli-{next(_numbers)}:{SERVER_NAME}"
    cli.run("provision", "--no-token", other).check_success()
    before = {
        user: (cli.site.secret(user), len(cli.site.versions(user))) for user in (account, other)
    }
    ended = cli.run("rotate", account, other).check_success()
    assert [line[0] for line in ended.lines] == [account, other]
    for user, version, created, valid_until in ended.lines:
        assert valid_until == f"{created[:19]}Z"
        secret, versions = before[user]
        assert int(version) == versions + 1
        assert re.match(r"\d{4}-\d\d-\d\dT", created)
        assert not cli.site.opens(user, secret)
        assert opens(cli, user)


def test_rotate_goes_on_after_a_user_that_is_not_there(cli: CommandLine, account: str) -> None:
    nobody = f"@cli-nobody:{SERVER_NAME}"
    ended = cli.run("rotate", "--json", nobody, account)
    assert ended.code == 1
    assert [line["matrix_user_id"] for line in ended.json_lines] == [account]
    assert ended.err.startswith(f"error: {nobody}: ")


def test_revoke_ends_it_all(cli: CommandLine, account: str) -> None:
    token = cli.run("login", "--json", account).json["access_token"]
    secret = cli.site.secret(account)
    # Without a terminal nobody is asked.
    ended = cli.run("revoke", account)
    assert ended.code == 0
    assert ended.lines == [[account, "secret removed, sessions ended"]]
    # Who is no administrator cannot remove all that somebody else may have left.
    assert "an admin access token can remove them" in ended.err
    assert cli.site.user_of(token) is None
    assert not cli.site.opens(account, secret)
    assert cli.site.versions(account) == {}


def test_revoke_deactivates(cli: CommandLine, account: str) -> None:
    ended = cli.run("revoke", "--json", "--deactivate", "--yes", account).check_success()
    assert ended.json["deactivated"] is True
    assert cli.run("provision", account).code == 1


def test_profile_sets_what_is_given(cli: CommandLine, account: str) -> None:
    ended = cli.run("profile", account, "--display-name", "Renamed", "--json").check_success()
    assert ended.json["display_name"] == "Renamed"
    avatar = f"mxc://{SERVER_NAME}/abc"
    cli.run("profile", account, "--avatar", avatar).check_success()
    assert cli.site.profile(account) == {"displayname": "Renamed", "avatar_url": avatar}


def test_list_shows_every_user_with_an_entry(cli: CommandLine, user_id: str) -> None:
    cli.run("provision", user_id, "--no-token", "--external-id", "4 2").check_success()
    unusable = f"@cli-unusable:{SERVER_NAME}"
    cli.site.put(unusable, {"login_secret": 5})
    lines = cli.run("list").check_success().lines
    assert [user_id, "ready", "4 2"] in lines
    assert [unusable, "unusable", "-"] in lines
    listed = cli.run("list", "--json").check_success().json_lines
    assert {"matrix_user_id": user_id, "state": "ready", "external_id": "4 2"} in listed
    assert len(listed) == len(lines)


def test_hash_prints_what_logs_in(cli: CommandLine, account: str) -> None:
    secret = cli.site.secret(account)
    ended = cli.run("hash", account, stdin=secret).check_success()
    assert ended.out == f"{token_hash(secret, account)}\n"
    assert cli.site.synapse.login(account, ended.out.strip()).json()["user_id"] == account


def test_all_of_it_without_synapses_configuration(cli: CommandLine, user_id: str) -> None:
    synapse = cli.site.synapse
    file = cli.directory / "shared_secret"
    file.write_text(f"{synapse.shared_secret}\n")
    options = ("--homeserver", synapse.url, "--registration-shared-secret-file", str(file))
    ended = cli.run(
        *options, "provision", user_id, "--json",
        config=(),
        SYNAPSE_VAULT_SERVER_NAME=SERVER_NAME,
        SYNAPSE_VAULT_PATH_ROOT=PATH_ROOT,
        VAULT_ADDR=cli.site.openbao.url,
    )  # fmt: skip
    assert cli.site.user_of(ended.check_success().json["access_token"]) == user_id


def test_the_doctor_finds_nothing(cli: CommandLine, account: str) -> None:
    ended = cli.run("doctor", account)
    assert (ended.code, ended.err) == (0, "")
    # Of a token that may do nothing but read it cannot know all.
    said = {line.split()[0] for line in ended.out.splitlines()}
    assert said <= {"ok", "warning", "skipped"}, ended.out
    assert re.search(r"^ok +login: ", ended.out, re.MULTILINE), ended.out
    report = cli.run("doctor", "--json").check_success().json
    assert report["ok"] is True
    assert {finding["status"] for finding in report["findings"]} <= {"ok", "warning", "skipped"}
    assert report["findings"][0]["check"] == "configuration"


def test_the_doctor_says_what_is_wrong_and_how_to_mend_it(cli: CommandLine, tmp_path: Path) -> None:
    synapse = json.loads(cli.site.synapse.config_path.read_text())
    module = synapse["modules"][0]["config"]
    module["vault_token"] = "no-token-of-this-vault"
    (tmp_path / "token.yaml").write_text(json.dumps(synapse))
    ended = cli.run("doctor", config=("-c", str(tmp_path / "token.yaml")))
    assert (ended.code, ended.err) == (1, "")
    assert re.search(r"^FAILED +.+: .*token.* -> .+", ended.out, re.MULTILINE), ended.out
    assert "no-token-of-this-vault" not in ended.out
    # A key that only logins know counts here.
    del module["vault_token"]
    module["login_timeout"] = "soon"
    (tmp_path / "key.yaml").write_text(json.dumps(synapse))
    ended = cli.run("doctor", config=("-c", str(tmp_path / "key.yaml")))
    assert ended.code == 1
    first = ended.out.splitlines()[0]
    assert first.startswith("FAILED   configuration: login_timeout: must be a number of seconds")
    # And the rest of the chain is looked at all the same.
    assert re.search(r"^ok +homeserver: ", ended.out, re.MULTILINE), ended.out


def test_a_token_that_vault_refuses_is_told(cli: CommandLine, account: str) -> None:
    refused = cli.run("login", account, VAULT_TOKEN="no-token-of-this-vault")
    refused.check_failure(f"cannot read secret/{PATH_ROOT}/{account}: ", "token")
    assert "no-token-of-this-vault" not in refused.err
    # What is wrong, which token it was, and how to fix it.
    assert len(refused.err.splitlines()) == 3
    denied = cli.run("rotate", account, VAULT_TOKEN=cli.vault_token("module"))
    denied.check_failure("synapse-vault policy --for provisioning")


def test_a_terminal_is_asked_before_a_secret_is_removed(cli: CommandLine, account: str) -> None:
    code, shown = cli.run_on_terminal("revoke", account, answer="n\n")
    assert f"Remove the secret and end all sessions of {account}? [y/N]" in shown
    assert "nothing was done" in shown
    assert code == 1
    assert opens(cli, account)
    code, shown = cli.run_on_terminal("revoke", account, answer="\x03")
    assert code == 128 + signal.SIGINT
    assert opens(cli, account)
    code, shown = cli.run_on_terminal("revoke", account, answer="y\n")
    assert code == 0, shown
    assert cli.site.versions(account) == {}
