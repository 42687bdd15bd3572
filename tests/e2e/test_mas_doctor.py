"""What `doctor` finds where Matrix Authentication Service signs users in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.command_line import CommandLine
from tests.harness.mas_provisioning import MasSite
from tests.servers.mas.http_types import in_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.harness.stack import Stack

ALL = [
    "configuration",
    "Vault",
    "token",
    "KV engine",
    "may read",
    "may not write",
    "homeserver",
    "MAS",
    "MAS admin API",
    "MAS version",
    "login type",
    "MAS account",
    "secret",
    "login",
]


@pytest.fixture(scope="module")
def shared_site(file_stack: Stack) -> MasSite:
    mas = file_stack.start_mas()
    return MasSite.of(file_stack.start_homeserver_under_mas("diagnosed", mas))


@pytest.fixture
def site(shared_site: MasSite) -> Iterator[MasSite]:
    yield shared_site
    shared_site.mas.recover()


@pytest.fixture(scope="module")
def cli(shared_site: MasSite, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return CommandLine(shared_site, tmp_path_factory.mktemp("cli"))


@pytest.fixture
def user_id(site: MasSite) -> str:
    return site.deployment.new_account().user_id


def doctor(cli: CommandLine, *arguments: str, config: Path | None = None) -> dict[str, Any]:
    """Run the command; return the findings by their check, in order."""
    where = None if config is None else ("-c", str(config))
    ended = cli.run("doctor", "--json", *arguments, config=where)
    findings = ended.json["findings"]
    assert ended.code == any(one["status"] == "failed" for one in findings)
    return {one["check"]: one for one in findings}


def check_broken(found: dict[str, Any], check: str, detail: str, advice: str) -> None:
    assert found[check]["status"] == "failed", found[check]
    assert detail in found[check]["detail"]
    assert advice in (found[check]["advice"] or "")


def changed(site: MasSite, directory: Path, **mas: object) -> Path:
    """Write the homeserver's configuration with other settings of `mas`."""
    values = json.loads(site.synapse.config_path.read_text())
    module = values["modules"][0]["config"]
    module["mas"] = {**module["mas"], **mas}
    path = directory / "homeserver.yaml"
    path.write_text(json.dumps(values))
    return path


def test_all_is_well(cli: CommandLine, site: MasSite, user_id: str) -> None:
    found = doctor(cli, user_id)
    assert list(found) == ALL
    # The tests' Vault token may not ask about itself.
    doubtful = {"token", "may read", "may not write"}
    assert {one["status"] for check, one in found.items() if check not in doubtful} == {"ok"}
    assert found["login type"]["detail"].endswith("served at /_synapse/client/vault_auth/login")
    assert site.mas.client.id in found["MAS admin API"]["detail"]
    assert found["MAS version"]["detail"].startswith("v1.")
    assert site.deployment.sessions(user_id) == []


def test_a_client_that_mas_does_not_know(cli: CommandLine, site: MasSite, tmp_path: Path) -> None:
    path = changed(site, tmp_path, client_secret="another secret, which is wrong")
    found = doctor(cli, config=path)
    check_broken(found, "MAS admin API", site.mas.client.id, "client")
    assert found["MAS version"]["status"] == "skipped"
    assert "another secret" not in str(found)


def test_a_mas_of_another_homeserver(cli: CommandLine, site: MasSite) -> None:
    other = in_json(200, {"server_name": "other.org", "password_login_enabled": False})
    site.mas.faults.answer("GET", "/api/admin/v1/site-config", other)
    check_broken(doctor(cli), "MAS admin API", "belongs to the homeserver other.org", "")


def test_an_old_mas(cli: CommandLine, site: MasSite) -> None:
    site.mas.faults.answer("GET", "/api/admin/v1/version", in_json(200, {"version": "v1.4.2"}))
    check_broken(doctor(cli), "MAS version", "opens no personal sessions", "1.5 or newer")


def test_mas_is_away(cli: CommandLine, site: MasSite) -> None:
    site.mas.refuse_connections()
    found = doctor(cli)
    assert found["configuration"]["status"] == "ok"
    (failed,) = (one for one in found.values() if one["status"] == "failed")
    assert failed["check"] in ("MAS", "MAS admin API")
    assert failed["advice"]


@pytest.mark.parametrize("state", ["locked", "deactivated", "unknown"])
def test_an_account_that_cannot_be_used(
    cli: CommandLine, site: MasSite, user_id: str, state: str
) -> None:
    user = site.user(user_id)
    if state == "unknown":
        user.username = user.username.capitalize()
    else:
        setattr(user, f"{state}_at", site.mas.clock.now())
    said = "no user of just this name" if state == "unknown" else state
    check_broken(doctor(cli, user_id), "MAS account", said, "")


def test_logins_that_are_passed_on(cli: CommandLine, site: MasSite, tmp_path: Path) -> None:
    found = doctor(cli, config=changed(site, tmp_path, pass_other_logins=True))
    assert found["MAS proxies"]["status"] == "skipped"
    assert "http.trusted_proxies" in found["MAS proxies"]["detail"]


def test_a_module_that_serves_no_logins(
    cli: CommandLine, site: MasSite, user_id: str, file_stack: Stack, tmp_path: Path
) -> None:
    without = file_stack.start_homeserver_under_mas("without", site.mas, has_module=False)
    try:
        path = changed(site, tmp_path)
        found = doctor(cli, "--homeserver", without.synapse.url, user_id, config=path)
    finally:
        site.mas.homeserver.url = site.synapse.url
    check_broken(found, "login type", "serves no logins", "set mas in the module's configuration")
    assert found["login"]["status"] == "skipped"
