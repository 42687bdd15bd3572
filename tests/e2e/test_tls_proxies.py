"""What stands between the module and each of Vault's addresses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.servers import Relay
from tests.servers.listeners import TlsListener, UnixListener
from tests.servers.pki import Authority
from tests.servers.relay import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.harness.core import Core
    from tests.harness.stack import Stack
    from tests.servers import OpenBao

FAR = "http://vault.invalid:8200"
"""An address that only a proxy can reach."""


@pytest.fixture
def proxy(openbao: OpenBao) -> Iterator[Relay]:
    """Return a proxy that hands everything on to OpenBao, whatever it is asked for."""
    with Relay(openbao.url) as relay:
        yield relay


def check_login(core: Core) -> None:
    account = core.new_account()
    outcome = core.log_in(account.user_id, account.token_hash)
    assert outcome.code == "ok", outcome.reason


def test_loopback_is_reached_directly_also_beside_an_address_behind_a_proxy(
    stack: Stack, openbao: OpenBao, relay: Relay, proxy: Relay
) -> None:
    core = stack.start_core(
        openbao=openbao, vault_url=[FAR, relay.url], environment={"HTTP_PROXY": proxy.url}
    )
    check_login(core)
    # The proxy is asked for nothing but the address that is far.
    assert relay.requests
    assert proxy.requests
    assert {request.headers["Host"] for request in proxy.requests} == {"vault.invalid:8200"}


@pytest.mark.parametrize("variable", ["VAULT_PROXY_ADDR", "VAULT_HTTP_PROXY", "BAO_PROXY_ADDR"])
def test_a_proxy_for_vault_alone(
    stack: Stack, openbao: OpenBao, proxy: Relay, variable: str
) -> None:
    environment = {variable: proxy.url, "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "*"}
    check_login(stack.start_core(openbao=openbao, vault_url=FAR, environment=environment))
    assert proxy.requests


def test_an_exception_with_a_port_counts_for_that_port(
    stack: Stack, openbao: OpenBao, proxy: Relay
) -> None:
    def start(exception: str) -> Core:
        environment = {"HTTP_PROXY": proxy.url, "NO_PROXY": exception}
        return stack.start_core(
            openbao=openbao, vault_url=FAR, environment=environment, login_timeout="2s"
        )

    core = start("vault.invalid:8200")
    account = core.new_account()
    outcome = core.log_in(account.user_id, account.token_hash)
    assert outcome.code in ("vault_unavailable", "timeout")
    assert proxy.requests == []
    check_login(start("vault.invalid:8300"))
    assert proxy.requests


def test_a_unix_socket(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> None:
    listener = UnixListener(tmp_path_factory.mktemp("u") / "bao.sock")
    openbao = stack.start_openbao("unix", config=listener.config)
    environment = {"HTTP_PROXY": "http://127.0.0.1:9", "VAULT_PROXY_ADDR": "http://127.0.0.1:9"}
    core = stack.start_core(openbao=openbao, vault_url=listener.url, environment=environment)
    check_login(core)
    gone = stack.start_core(openbao=openbao, vault_url=f"{listener.url}-gone", login_timeout="1s")
    account = gone.new_account()
    outcome = gone.log_in(account.user_id, account.token_hash)
    assert outcome.code == "vault_unavailable"
    assert f"cannot reach Vault at {listener.url}-gone: No such file" in outcome.reason


def test_each_address_is_asked_for_the_name_in_its_certificate(
    stack: Stack, tmp_path: Path
) -> None:
    authority = Authority("authority")
    ca_cert = tmp_path / "ca.pem"
    ca_cert.write_text(authority.certificate)
    certificates = [
        authority.issue("one", tmp_path, names=["vault.example.org"]),
        authority.issue("two", tmp_path, names=["vault.example.org"]),
    ]
    listeners = [TlsListener(*pair) for pair in certificates]
    openbao = stack.start_openbao("named", config="".join(each.config for each in listeners))
    tls = {"ca_cert": str(ca_cert), "server_name": "vault.example.org"}
    for urls in (
        [each.url for each in listeners],
        listeners[1].url.replace("127.0.0.1", "localhost"),
    ):
        check_login(stack.start_core(openbao=openbao, vault_url=urls, vault_tls=tls))


def test_requests_say_what_sends_them(start_core: Callable[..., Core], relay: Relay) -> None:
    check_login(start_core())
    agents = {request.headers["User-Agent"] for request in relay.requests}
    (agent,) = agents
    assert re.fullmatch(r"synapse-vault-auth-provider/\d+\.\d+\.\d+.*", agent)


def test_an_answer_with_too_many_headers_is_told_from_a_broken_connection(
    start_core: Callable[..., Core], relay: Relay
) -> None:
    relay.meddle = lambda _: Reply(200, {}, {f"X-{number}": "x" for number in range(101)})
    core = start_core()
    account = core.new_account()
    outcome = core.log_in(account.user_id, account.token_hash)
    assert "answered with more than 100 headers" in outcome.reason
    assert core.counts().vault_retries == 0
