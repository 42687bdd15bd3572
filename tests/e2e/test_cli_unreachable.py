"""How long the command tries to reach a server where nothing listens."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.command_line import CommandLine
from tests.harness.provisioning import new_id
from tests.servers.port import ReservedPort

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from tests.harness.command_line import Ended
    from tests.harness.provisioning import Site

pytestmark = pytest.mark.long

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
OF_ADMINISTRATORS = ("provision", "revoke", "profile")

AT_ONCE = 5
"""How many calls are under way."""


@dataclass(frozen=True)
class Attempt:
    """How a call ended, and how long it took, in seconds."""

    user_id: str
    ended: Ended
    took: float


@pytest.fixture(scope="module")
def cli(shared_site: Site, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return CommandLine(shared_site, tmp_path_factory.mktemp("unreachable"))


@pytest.fixture(scope="module")
def attempts(cli: CommandLine) -> Iterator[dict[tuple[str, str], Future[Attempt]]]:
    """Return all calls, which are made at once, as each of them does little but wait."""
    port = ReservedPort()
    nowhere = f"http://127.0.0.1:{port}"
    token = cli.directory / "token"
    token.write_text(cli.site.admin_token)
    calls: dict[tuple[str, str], tuple[tuple[str | Path, ...], dict[str, Any]]] = {}
    for verb in VERBS:
        calls["vault", verb] = ((), {"VAULT_ADDR": nowhere})
    for verb in VERBS.keys() - WITHOUT_HOMESERVER:
        calls["homeserver", verb] = (("--homeserver", nowhere), {})
    for verb in OF_ADMINISTRATORS:
        options = ("--homeserver", nowhere, "--admin-token-file", token)
        calls["administrator", verb] = (options, {})

    def attempt(key: tuple[str, str]) -> Attempt:
        options, environment = calls[key]
        user_id = new_id("unreachable")
        cli.run("provision", "--no-token", user_id).check_success()
        arguments = [argument.format(user=user_id) for argument in VERBS[key[1]]]
        began = time.monotonic()
        ended = cli.run(*options, *arguments, **environment)
        return Attempt(user_id, ended, time.monotonic() - began)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {key: pool.submit(attempt, key) for key in calls}


def check_gives_up(attempt: Attempt) -> None:
    ended = attempt.ended
    assert ended.code == 1, ended
    assert "cannot reach" in ended.err, ended
    assert "Traceback" not in ended.err
    assert attempt.took < LONGEST, ended


@pytest.mark.parametrize("verb", VERBS)
def test_where_no_vault_listens_a_verb_gives_up_after_five_seconds(
    attempts: dict[tuple[str, str], Future[Attempt]], verb: str
) -> None:
    check_gives_up(attempts["vault", verb].result())


@pytest.mark.parametrize("verb", sorted(VERBS.keys() - WITHOUT_HOMESERVER))
def test_where_no_homeserver_listens_a_verb_gives_up_after_five_seconds(
    attempts: dict[tuple[str, str], Future[Attempt]], verb: str
) -> None:
    check_gives_up(attempts["homeserver", verb].result())


@pytest.mark.parametrize("verb", OF_ADMINISTRATORS)
def test_an_administrators_verb_gives_up_as_soon(
    attempts: dict[tuple[str, str], Future[Attempt]], verb: str
) -> None:
    check_gives_up(attempts["administrator", verb].result())


def test_an_administrators_revoke_takes_the_secret_away_and_asks_the_homeserver_once(
    cli: CommandLine, attempts: dict[tuple[str, str], Future[Attempt]]
) -> None:
    attempt = attempts["administrator", "revoke"].result()
    assert "login_secret" not in cli.site.entry(attempt.user_id)
    # That is the first question. What comes after it would have waited as long again.
    assert "who signs its users in" in attempt.ended.err
