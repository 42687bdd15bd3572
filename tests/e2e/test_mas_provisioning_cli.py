"""The command and the four functions under MAS, where the module serves the logins."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider.provisioning import Provisioner

from tests.harness.command_line import CommandLine
from tests.harness.mas_provisioning import SESSIONS, MasSite
from tests.harness.provisioning import new_id, new_name
from tests.servers.mas.records import PersonalSession
from tests.servers.synapse import SERVER_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.mas_deployment import MasDeployment


@pytest.fixture(scope="module")
def file_site(shared_under_mas: MasDeployment) -> MasSite:
    return MasSite.of(shared_under_mas)


@pytest.fixture
def site(file_site: MasSite) -> Iterator[MasSite]:
    yield file_site
    file_site.mas.recover()


@pytest.fixture(scope="module")
def cli(file_site: MasSite, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return CommandLine(file_site, tmp_path_factory.mktemp("mas-cli"))


def session_of(site: MasSite, token: str) -> PersonalSession:
    """Return the session of a token that works."""
    session = site.mas.database.session_by_token(token)
    assert isinstance(session, PersonalSession)
    return session


def test_an_account_and_its_token(site: MasSite, cli: CommandLine) -> None:
    user_id = new_id("mas-cli")
    shown = cli.run(
        "provision", user_id, "--display-name", "Bot", "--admin", "--json"
    ).check_success().json  # fmt: skip
    assert site.user_of(shown["access_token"]) == user_id
    assert shown["already_exists"] is False
    # It is a login of the module's, with the secret.
    assert "vault-login-" in session_of(site, shown["access_token"]).human_name
    account = site.account(user_id)
    assert account is not None
    assert account["admin"] is True
    assert site.profile(user_id)["displayname"] == "Bot"
    site.check_finished(user_id)
    again = cli.run("provision", user_id, "--no-token", "--json").check_success().json
    assert again["already_exists"] is True


def test_logging_in_and_out(site: MasSite, cli: CommandLine) -> None:
    user_id = new_id("mas-cli")
    cli.run("provision", user_id, "--no-token").check_success()
    site.open_compat_session(user_id, "OLDDEV")
    first = cli.run("login", user_id, "--device-name", "Bot", "--json").check_success().json
    # A device from before MAS has a short id.
    second = cli.run("login", user_id, "--device-id", "OLDDEV", "--json").check_success().json
    assert second["device_id"] == "OLDDEV"
    assert site.user_of(second["access_token"]) == user_id
    cli.run("login", user_id, "--device-id", "SHORT").check_failure("10 characters")
    site.open_sessions(user_id)
    third = cli.run("login", user_id, "--logout-others", "--json").check_success().json
    assert site.devices_of(user_id) == {third["device_id"]}
    assert site.user_of(third["access_token"]) == user_id
    assert site.user_of(first["access_token"]) is None
    assert site.open_kinds(user_id) == ["personal"]


def test_a_command_is_logged_in_for_as_long_as_it_runs(site: MasSite, cli: CommandLine) -> None:
    user_id = new_id("mas-cli")
    cli.run("provision", user_id, "--no-token").check_success()
    process = cli.start(
        "exec", user_id, "--", "sh", "-c", 'echo "$MATRIX_ACCESS_TOKEN"; read _; exit 42'
    )
    assert process.stdout
    token = site.confidential.add(process.stdout.readline().strip())
    assert site.user_of(token) == user_id
    out, err = process.communicate("\n", timeout=60)
    assert cli.ended(process, out, err).check_failure_of_command(42) == ""
    assert site.user_of(token) is None
    assert site.deployment.sessions(user_id) == []


def test_the_other_verbs(site: MasSite, cli: CommandLine) -> None:
    user_id = new_id("mas-cli")
    cli.run("provision", user_id, "--no-token").check_success()
    secret = site.secret(user_id)
    cli.run("rotate", user_id).check_success()
    assert site.secret(user_id) != secret
    cli.run("profile", user_id, "--display-name", "Other").check_success()
    assert site.profile(user_id)["displayname"] == "Other"
    assert site.open_kinds(user_id) == []
    assert [user_id, "ready", "-"] in cli.run("list").check_success().lines
    site.open_sessions(user_id)
    planned = cli.run("revoke", user_id, "--dry-run").check_success()
    assert "sessions ended" in planned.out
    assert site.open_kinds(user_id) == list(SESSIONS)
    ended = cli.run("revoke", user_id).check_success()
    assert ended.lines == [[user_id, "secret removed, sessions ended"]]
    assert site.open_kinds(user_id) == []
    # Whose the account is, is not known any more. What was asked for is not done.
    refused = cli.run("revoke", user_id, "--deactivate")
    assert (refused.code, "was not deactivated" in refused.err) == (1, True)
    cli.run("provision", user_id, "--adopt", "--no-token").check_success()
    ended = cli.run("revoke", user_id, "--deactivate", "--wait").check_success()
    assert "deactivated" in ended.out
    account = site.account(user_id)
    assert account is not None
    assert account["deactivated_at"] is not None
    cli.run("provision", user_id, "--adopt").check_failure(
        "is deactivated", "at Matrix Authentication Service"
    )


def test_an_import(site: MasSite, cli: CommandLine) -> None:
    users = [new_name("mas-bulk") for _ in range(12)]
    rows = [{"user_id": user, "display_name": f"Name of {user}"} for user in users]
    rows[3]["admin"] = True  # type: ignore[assignment]
    rows[5]["user_type"] = "bot"
    source = cli.directory / "users.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ended = cli.run("provision", "--from", str(source), "--json")
    assert ended.code == 1
    assert "user_type: must be left out" in ended.err
    created = {shown["matrix_user_id"] for shown in ended.json_lines}
    wanted = {f"@{user}:{SERVER_NAME}" for user in users}
    assert created == wanted - {f"@{users[5]}:{SERVER_NAME}"}
    for user_id in created:
        site.check_finished(user_id)
        assert site.profile(user_id)["displayname"].startswith("Name of")
    account = site.account(f"@{users[3]}:{SERVER_NAME}")
    assert account is not None
    assert account["admin"] is True
    # Nobody had to be logged in for that but by the check itself.
    assert all(
        "vault-login" in one.human_name
        for one in site.deployment.sessions(created.pop(), is_active=None)
    )
    source.write_text("".join(json.dumps(row) + "\n" for row in rows if "user_type" not in row))
    again = cli.run("provision", "--from", str(source), "--json", "--with-token")
    assert again.code == 0, again
    assert all(shown["already_exists"] for shown in again.json_lines)
    tokens = [shown["access_token"] for shown in again.json_lines]
    assert all(site.user_of(token) for token in tokens)


def test_options_in_place_of_synapses_configuration(site: MasSite, cli: CommandLine) -> None:
    secret = cli.directory / "client-secret"
    secret.write_text(f"{site.mas.client.secret}\n")
    options = (
        "--homeserver", site.synapse.url, "--server-name", SERVER_NAME,
        "--path-root", site.root, "--mas-admin-api", site.mas.url,
        "--mas-client-id", site.mas.client.id,
    )  # fmt: skip
    user_id = new_id("mas-cli")
    vault = {"VAULT_ADDR": site.openbao.url}
    cli.run(*options, "provision", user_id, "--no-token", config=(), **vault).check_failure(
        "mas_client_secret: required"
    )
    cli.run(
        *options, "--mas-client-secret-file", secret, "provision", user_id, "--no-token",
        config=(), **vault,
    ).check_success()  # fmt: skip
    site.check_finished(user_id)
    cli.run("provision", new_id("mas-cli"), config=options[:6], **vault).check_failure(
        "mas_admin_api: required to create accounts", "mas_client_secret_file"
    )


def test_a_login_needs_no_client_where_the_module_serves_it(site: MasSite) -> None:
    user_id = new_id("mas-cli")
    site.provisioner().provision_user(user_id, with_token=False)
    provisioner = Provisioner(**site.settings_without_client())
    login = site.seen(provisioner.login(user_id, device_name="Bot"))
    assert site.user_of(login.access_token) == user_id
    provisioner.update_profile(user_id, display_name="Named")
    assert site.profile(user_id)["displayname"] == "Named"
    provisioner.logout(login.access_token)
    assert site.user_of(login.access_token) is None
    provisioner.logout(login.access_token)
    assert site.deployment.sessions(user_id) == []

    login = site.seen(provisioner.login(user_id))
    site.open_sessions(user_id)
    revoked = provisioner.revoke_user(user_id)
    assert (revoked.secret_removed, revoked.sessions_ended) == (True, False)
    (warning, *_) = [one for one in revoked.warnings if "sessions may go on" in one]
    assert "mas_admin_api" in warning
    # Those that the module has opened have ended, the others have not.
    assert site.user_of(login.access_token) is None
    assert site.open_kinds(user_id) == list(SESSIONS)
    assert site.provisioner().revoke_user(user_id).sessions_ended
    assert site.open_kinds(user_id) == []


def test_locked_accounts_are_named_by_a_login(site: MasSite, cli: CommandLine) -> None:
    user_id = new_id("mas-cli")
    cli.run("provision", user_id, "--no-token").check_success()
    site.user(user_id).locked_at = site.mas.clock.now()
    cli.run("login", user_id).check_failure(
        "M_USER_LOCKED", "unlock the account at Matrix Authentication Service"
    )


FUNCTIONS = """
import asyncio, json, sys
from synapse_vault_auth_provider.matrix_provisioning import *

async def main():
    user = await provision_matrix_user(sys.argv[1], "bot@example.org", is_admin=True)
    again = await provision_matrix_user(sys.argv[1], "bot@example.org")
    token = await get_matrix_login_token(user["matrix_user_id"])
    named = await update_matrix_profile(user["matrix_user_id"], "Named", access_token=token)
    nobody = await get_matrix_login_token("@nobody-at-all:example.org")
    print(json.dumps([user, again, token, named, nobody]))

asyncio.run(main())
"""


def test_the_four_functions(site: MasSite, cli: CommandLine) -> None:
    name = new_name("mas-functions")
    environment = {
        "PATH": cli.environment["PATH"],
        "SYNAPSE_VAULT_HOMESERVER": site.synapse.url,
        "SYNAPSE_VAULT_SERVER_NAME": SERVER_NAME,
        "SYNAPSE_VAULT_PATH_ROOT": site.root,
        "SYNAPSE_VAULT_MAS_ADMIN_API": site.mas.url,
        "SYNAPSE_VAULT_MAS_CLIENT_ID": site.mas.client.id,
        "SYNAPSE_VAULT_MAS_CLIENT_SECRET": site.mas.client.secret,
        "VAULT_ADDR": site.openbao.url,
        "VAULT_TOKEN": site.vault_token,
    }
    out = subprocess.run(
        [sys.executable, "-c", FUNCTIONS, name],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    site.confidential.check_text(out.stderr)
    user, again, token, named, nobody = json.loads(out.stdout)
    user_id = f"@{name}:{SERVER_NAME}"
    assert (user["matrix_user_id"], user["already_exists"]) == (user_id, False)
    assert (again["already_exists"], named, nobody) == (True, True, None)
    for one in (user["access_token"], again["access_token"], token):
        assert site.user_of(site.confidential.add(one)) == user_id
    assert site.profile(user_id)["displayname"] == "Named"
    assert site.entry(user_id)["external_id"] == name
    account = site.account(user_id)
    assert account is not None
    assert account["admin"] is True
