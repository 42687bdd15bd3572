"""The question for the KV engine's version, which many logins need at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.harness.waiting import wait_until
from tests.servers.relay import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.core import Core
    from tests.servers import Relay
    from tests.servers.relay import Request

MOUNT = "/v1/sys/internal/ui/mounts/secret"


def questions(relay: Relay) -> int:
    return [request.path for request in relay.requests].count(MOUNT)


def test_the_first_logins_share_one_question(start_core: Callable[..., Core], relay: Relay) -> None:
    core = start_core()
    accounts = [core.new_account() for _ in range(30)]
    # The token's own look-up is over, which may ask for the mount as well.
    wait_until("the token was looked up", lambda: questions(relay) >= 1)
    before = questions(relay)
    relay.hold()
    logins = [core.begin(account.user_id, account.token_hash) for account in accounts]
    logins += [core.begin(core.new_user(), "0" * 64) for _ in range(30)]
    relay.release()
    outcomes = [core.outcome(login).code for login in logins]
    assert outcomes == ["ok"] * 30 + ["no_secret"] * 30
    assert questions(relay) - before == 1


def test_logins_do_not_need_an_answer_once_there_was_one(
    start_core: Callable[..., Core], relay: Relay
) -> None:
    core = start_core()
    account = core.new_account()
    assert core.log_in(account.user_id, account.token_hash).code == "ok"

    def fail(request: Request) -> Reply | None:
        return Reply(500, {"errors": ["internal error"]}) if request.path == MOUNT else None

    relay.meddle = fail
    assert core.log_in(core.new_user(), account.token_hash).code == "no_secret"
    assert core.log_in(account.user_id, account.token_hash).code == "ok"
