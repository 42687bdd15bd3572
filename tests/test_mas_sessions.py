"""What the reactor does of the core's work under MAS, without a core."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from synapse_vault_auth_provider.mas.login import LoginResource
from synapse_vault_auth_provider.mas.sessions import MOST_AT_ONCE, MasSessions
from twisted.internet.defer import Deferred, ensureDeferred


class Core:
    """Begins everything and answers nothing by itself."""

    def __init__(self) -> None:
        self.begun: list[Deferred[Any]] = []

    def begin(self, start: Any, unanswered: Any) -> Deferred[Any]:
        del start, unanswered
        self.begun.append(Deferred())
        return self.begun[-1]


def test_what_anybody_may_send_is_bounded() -> None:
    core = Core()
    sessions = MasSessions(core, core, lambda deferred: deferred)  # type: ignore[arg-type]
    answers: list[Any] = []

    def pass_on() -> None:
        headers = dict.fromkeys(("content_type", "authorization", "user_agent", "client_address"))
        passing = ensureDeferred(sessions.pass_on("login", b"", **headers))
        passing.addCallback(answers.append)

    def log_out() -> None:
        ensureDeferred(sessions.log_out("t", 1, everywhere=False)).addCallback(answers.append)

    for _ in range(MOST_AT_ONCE + 3):
        pass_on()
    assert (len(core.begun), answers) == (MOST_AT_ONCE, [None] * 3)
    # Those of the other kind have room of their own.
    for _ in range(MOST_AT_ONCE + 3):
        log_out()
    assert (len(core.begun), answers) == (2 * MOST_AT_ONCE, [None] * 6)
    core.begun[0].callback("an answer")
    pass_on()
    assert (len(core.begun), answers[-1]) == (2 * MOST_AT_ONCE + 1, "an answer")


@pytest.mark.parametrize("leaves", ["before", "meanwhile", "never"])
def test_a_session_is_ended_whose_client_leaves_while_its_device_is_named(leaves: str) -> None:
    request = SimpleNamespace(_disconnected=leaves == "before")
    done: list[str] = []

    class Opener:
        async def name_device(self, *_: object) -> None:
            done.append("named")
            request._disconnected = leaves == "meanwhile"

        def abandon(self, *_: object) -> None:
            done.append("abandoned")

    nothing: Any = None
    opener: Any = Opener()
    resource = LoginResource(
        nothing,
        opener,
        nothing,
        server_name="example.org",
        takes_passwords=False,
        passing_on=None,
        listener_tags=(),
    )
    session: Any = SimpleNamespace(device_display_name="Bot")
    client: Any = request
    ensureDeferred(resource._hand_over(client, "@bot:example.org", 1, session))
    expected = {"before": ["abandoned"], "meanwhile": ["named", "abandoned"], "never": ["named"]}
    assert done == expected[leaves]
