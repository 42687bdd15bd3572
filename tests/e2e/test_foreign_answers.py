"""What is not Vault's and answers in Vault's place: it says nothing about the token or a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.harness.accounts import PATH_ROOT
from tests.servers import BrokenVault, Relay
from tests.servers.broken_vault import answer
from tests.servers.relay import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.core import Core
    from tests.servers import OpenBao
    from tests.servers.relay import Meddling, Request

HEALTH = "/v1/sys/health"

PAGE = {"Content-Type": "text/html; charset=utf-8"}

STALE = {"stale_if_error": "1h"}


@pytest.fixture
def web_server() -> Iterator[BrokenVault]:
    server = BrokenVault()
    yield server
    server.close()


def is_read(request: Request) -> bool:
    return f"/data/{PATH_ROOT}/" in request.path


def to_reads(reply: Reply) -> Meddling:
    return lambda request: reply if is_read(request) else None


@pytest.mark.parametrize("status", [200, 400, 403, 404])
@pytest.mark.parametrize("body", [b"<html>", b'{"status":"ok"}'], ids=["html", "json"])
def test_a_web_server_among_the_addresses_takes_no_login_and_gets_no_token(
    start_core: Callable[..., Core],
    relay: Relay,
    web_server: BrokenVault,
    status: int,
    body: bytes,
) -> None:
    tokens = []
    respond = answer(status, body)

    def listen(connection: object) -> None:
        received = connection.recv(4096, 2)  # type: ignore[attr-defined]
        tokens.append(b"x-vault-token" in received.lower())
        respond(connection)  # type: ignore[arg-type]

    web_server.listen(listen)
    core = start_core(vault_url=[web_server.url, relay.url])
    for _ in range(10):
        account = core.new_account()
        assert core.log_in(account.user_id, account.token_hash).code == "ok"
    assert tokens
    assert not any(tokens)


@pytest.mark.parametrize("status", [200, 403, 404])
def test_a_page_before_one_node_is_passed_over(
    start_core: Callable[..., Core], relay: Relay, openbao: OpenBao, status: int
) -> None:
    with Relay(openbao.url) as other:
        core = start_core(vault_url=[relay.url, other.url])
        relay.meddle = other.meddle = None
        account = core.new_account()
        assert core.log_in(account.user_id, account.token_hash).code == "ok"
        used = relay if relay.reads(account.user_id) else other
        used.meddle = to_reads(Reply(status, b"<html>", headers=PAGE))
        assert core.log_in(account.user_id, account.token_hash).code == "ok"


def test_a_firewalls_403_is_said_as_what_it_is(
    start_core: Callable[..., Core], relay: Relay
) -> None:
    core = start_core()
    account = core.new_account()
    relay.meddle = to_reads(Reply(403, b"<html>", headers=PAGE))
    outcome = core.log_in(account.user_id, account.token_hash)
    assert outcome.code == "vault_error"
    advice = (
        "not an answer of Vault's (403, text/html); check the address and what stands before it"
    )
    assert advice in outcome.reason
    assert "token" not in outcome.reason
    assert relay.reads(account.user_id) == 1
    relay.meddle = None
    assert core.log_in(account.user_id, account.token_hash).code == "ok"


@pytest.mark.parametrize(
    ("reads", "health", "is_accepted"),
    [
        (Reply(403, b"<html>", headers=PAGE), None, False),
        (Reply(429, b"<html>", headers=PAGE), None, False),
        (Reply(429, b"<html>", headers=PAGE), Reply(429, b"<html>", headers=PAGE), False),
        (Reply(403, b"<html>", headers=PAGE), Reply(403, b"<html>", headers=PAGE), True),
        (Reply(404, b"<html>", headers=PAGE), Reply(200, b"<html>", headers=PAGE), True),
        (Reply(503, b"<html>", headers=PAGE), None, False),
        (Reply(503, b"<html>", headers=PAGE), Reply(503, b"<html>", headers=PAGE), True),
        (Reply(504, b"<html>", headers=PAGE), None, True),
    ],
    ids=[
        *("403", "429", "429 for all", "403 for all", "another server"),
        *("503", "503 for all", "gateway"),
    ],
)
def test_a_limit_on_requests_does_not_open_the_stale_cache(
    start_core: Callable[..., Core],
    relay: Relay,
    reads: Reply,
    health: Reply | None,
    is_accepted: bool,
) -> None:
    core = start_core(cache=STALE, login_timeout="2s")
    account = core.new_account()
    assert core.log_in(account.user_id, account.token_hash).code == "ok"

    def meddle(request: Request) -> Reply | None:
        if is_read(request):
            return reads
        return health if request.path == HEALTH else None

    relay.meddle = meddle
    outcome = core.log_in(account.user_id, account.token_hash)
    assert outcome.accepted == is_accepted, outcome.reason


def test_an_address_without_tls_is_named(start_core: Callable[..., Core], relay: Relay) -> None:
    said = b"Client sent an HTTP request to an HTTPS server.\n"
    relay.meddle = lambda _: Reply(400, said, headers={"Content-Type": "text/plain"})
    core = start_core()
    account = core.new_account()
    outcome = core.log_in(account.user_id, account.token_hash)
    assert (outcome.code, "write https://" in outcome.reason) == ("vault_error", True)


def test_the_web_interface_is_named(start_core: Callable[..., Core], openbao: OpenBao) -> None:
    core = start_core(vault_url=f"{openbao.url}/ui")
    account = core.new_account()
    outcome = core.log_in(account.user_id, account.token_hash)
    assert outcome.code == "vault_error"
    assert 'leave out the "/ui"' in outcome.reason


def test_an_engine_that_is_being_given_versions_is_waited_for(
    start_core: Callable[..., Core], relay: Relay
) -> None:
    text = (
        "Upgrading from non-versioned to versioned data. This backend will be unavailable for a "
        "brief period and will resume service shortly."
    )
    core = start_core()
    accounts = [core.new_account() for _ in range(6)]
    answers = iter([Reply(400, {"errors": [text]})] * 6)
    relay.meddle = lambda request: next(answers, None) if is_read(request) else None
    logins = [core.begin(account.user_id, account.token_hash) for account in accounts]
    assert {core.outcome(login).code for login in logins} == {"ok"}


def test_the_product_names_itself(start_core: Callable[..., Core], relay: Relay) -> None:
    core = start_core()
    account = core.new_account()
    assert core.log_in(account.user_id, account.token_hash).code == "ok"
    agents = {request.headers["User-Agent"] for request in relay.requests}
    assert len(agents) == 1
    assert agents.pop().startswith("synapse-vault-auth-provider/")
