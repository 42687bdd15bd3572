"""How long the command tries to reach a server where nothing listens."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.command_line import CommandLine
from tests.harness.provisioning import new_id
from tests.servers.port import ReservedPort

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.provisioning import Site

LONGEST = 20.0
"""Time that a verb may take in all, in seconds. It takes five for a server that may be restarting
and the start of the command, which is long on a machine with other work. Without a bound of its own
it would take as long as an operation may take, a minute and more."""

VERBS: dict[str, tuple[str, ...]] = {
    "provision": ("provision", "{user}", "--no-token"),
    "login": ("login", "{user}"),
    "exec": ("exec", "{user}", "true"),
    "rotate": ("rotate", "{user}"),
    "revoke": ("revoke", "{user}", "--yes"),
    "profile": ("profile", "{user}", "--display-name", "Alice"),
    "list": ("list",),
}
"""How each is called."""

WITHOUT_HOMESERVER = {"rotate", "list"}


@pytest.fixture(scope="module")
def cli(shared_site: Site, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return CommandLine(shared_site, tmp_path_factory.mktemp("unreachable"))


@pytest.fixture
def account(cli: CommandLine) -> str:
    """Return the id of an account that was provisioned."""
    user_id = new_id("unreachable")
    cli.run("provision", "--no-token", user_id).check_success()
    return user_id


def check_gives_up(
    cli: CommandLine, account: str, verb: str, *options: str | Path, **environment: Any
) -> None:
    arguments = [argument.format(user=account) for argument in VERBS[verb]]
    began = time.monotonic()
    ended = cli.run(*options, *arguments, **environment)
    took = time.monotonic() - began
    assert ended.code == 1, ended
    assert "cannot reach" in ended.err, ended
    assert "Traceback" not in ended.err
    assert took < LONGEST, ended


@pytest.mark.parametrize("verb", VERBS)
def test_where_no_vault_listens_a_verb_gives_up_after_five_seconds(
    cli: CommandLine, account: str, verb: str
) -> None:
    port = ReservedPort()
    check_gives_up(cli, account, verb, VAULT_ADDR=f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("verb", sorted(VERBS.keys() - WITHOUT_HOMESERVER))
def test_where_no_homeserver_listens_a_verb_gives_up_after_five_seconds(
    cli: CommandLine, account: str, verb: str
) -> None:
    port = ReservedPort()
    check_gives_up(cli, account, verb, "--homeserver", f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("verb", ["provision", "revoke", "profile"])
def test_an_administrators_verb_gives_up_as_soon(
    cli: CommandLine, account: str, tmp_path: Path, verb: str
) -> None:
    port = ReservedPort()
    (tmp_path / "token").write_text(cli.site.admin_token)
    options = ("--homeserver", f"http://127.0.0.1:{port}", "--admin-token-file", tmp_path / "token")
    check_gives_up(cli, account, verb, *options)
