"""Vault goes and comes back, or changes its mind about us."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests

from tests.harness.accounts import PATH_ROOT, READ_USERS
from tests.harness.confidential import Confidential
from tests.harness.deployment import LOGGER, Deployment
from tests.harness.waiting import wait_until
from tests.servers import DurableOpenBao
from tests.servers.broken_vault import answer, first, forward, hang_up, hold, raw

if TYPE_CHECKING:
    from tests.harness.stack import Stack
    from tests.servers import BrokenVault
    from tests.servers.broken_vault import Behaviour

READ_OTHERS = f'path "secret/data/{PATH_ROOT}-elsewhere/*" {{ capabilities = ["read"] }}'

TOKEN = "the-token-of-the-homeserver-in-production"


def give_token(openbao: DurableOpenBao) -> None:
    """Make the homeserver's token, or make it again."""
    openbao.cli("token", "create", f"-id={TOKEN}", "-policy=users", "-no-default-policy")


@pytest.fixture(scope="module")
def durable(file_stack: Stack) -> DurableOpenBao:
    openbao = file_stack.start_openbao("durable", durable=True)
    openbao.cli("policy", "write", "users", "-", stdin=READ_USERS)
    give_token(openbao)
    return openbao


@pytest.fixture(scope="module")
def production(
    file_stack: Stack, durable: DurableOpenBao, confidential: Confidential
) -> Deployment:
    """Return a homeserver whose OpenBao is its own, so that it may suffer."""
    return file_stack.start_homeserver(
        "production",
        openbao=durable,
        vault_token=confidential.add(TOKEN),
        request_timeout="1s",
        login_timeout="3m",
    )


def wait_for_request(deployment: Deployment, since: int) -> None:
    """Wait until the homeserver has read a login; what it does then takes no time."""

    def has_it() -> bool:
        records = deployment.synapse.log_records(since)
        return any("Got login request" in record.message for record in records)

    wait_until("the homeserver has the request", has_it)


def test_a_login_rides_out_a_restart_of_vault(
    production: Deployment, durable: DurableOpenBao
) -> None:
    account = production.new_account()
    # There is a connection now, which the restart breaks.
    production.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)
    since = production.synapse.log_size()
    durable.stop()
    try:
        with ThreadPoolExecutor(1) as pool:
            login = pool.submit(production.log_in, account.user_id, account.token_hash)
            wait_for_request(production, since)
            durable.start_sealed()
            assert not login.done()
            durable.unseal()
            login.result().check_accepted(account.user_id)
    finally:
        durable.stop()
        durable.start()
    production.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)


def test_a_login_rides_out_a_vault_that_hangs(
    production: Deployment, durable: DurableOpenBao
) -> None:
    account = production.new_account()
    since = production.synapse.log_size()
    assert durable.process is not None
    with ThreadPoolExecutor(1) as pool:
        # It takes connections still, as the operating system does that for it.
        durable.process.send_signal(signal.SIGSTOP)
        try:
            wait_until("OpenBao stands still", lambda: durable.is_suspended)
            login = pool.submit(production.log_in, account.user_id, account.token_hash)
            wait_for_request(production, since)
            time.sleep(1.5)  # longer than one request may take
            assert not login.done()
        finally:
            durable.process.send_signal(signal.SIGCONT)
        login.result().check_accepted(account.user_id)


def test_a_policy_that_does_not_reach_the_users_is_vault_denied_until_it_does(
    production: Deployment, durable: DurableOpenBao
) -> None:
    account = production.new_account()
    try:
        durable.cli("policy", "write", "users", "-", stdin=READ_OTHERS)
        attempt = production.log_in(account.user_id, account.token_hash)
        attempt.check_refused("vault_denied")
        assert f"secret/{PATH_ROOT}/{account.user_id}" in attempt.line.message
    finally:
        durable.cli("policy", "write", "users", "-", stdin=READ_USERS)
    production.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)


def test_a_revoked_token_is_vault_denied(production: Deployment, durable: DurableOpenBao) -> None:
    account = production.new_account()
    try:
        durable.cli("token", "revoke", TOKEN)
        attempt = production.log_in(account.user_id, account.token_hash)
        attempt.check_refused("vault_denied")
    finally:
        give_token(durable)
    production.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)


def test_a_mount_that_does_not_exist_is_an_error_that_names_the_setting(
    production: Deployment, durable: DurableOpenBao
) -> None:
    account = production.new_account()
    try:
        durable.cli("secrets", "disable", "secret")
        attempt = production.log_in(account.user_id, account.token_hash)
        attempt.check_refused("vault_error")
        assert "vault_kv_mount_point" in attempt.line.message
    finally:
        durable.enable_secrets_engine()
    production.put_secret(account.user_id)
    production.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)


PASSING: dict[str, Behaviour] = {
    "hanging up": hang_up,
    "half an answer": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
    "nonsense between chunks": raw(
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"data":\r\nnonsense\r\n'
    ),
    "429": answer(429),
    "412 of a standby behind its leader": answer(412),
    "307 of a standby without a leader": answer(307, Location="http://127.0.0.1:1/v1/x"),
    "500": answer(500, {"errors": ["internal error"]}),
    "502": answer(502),
    "503 of a sealed Vault": answer(503, {"errors": ["Vault is sealed"]}),
}


@pytest.mark.parametrize("kind", PASSING)
def test_a_login_rides_out_what_passes(
    long_deadline: Deployment, broken_vault: BrokenVault, kind: str
) -> None:
    broken_vault.listen(first(2, PASSING[kind], then=forward(long_deadline.openbao.url)))
    account = long_deadline.new_account()
    long_deadline.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)
    assert broken_vault.reads(account.user_id) <= 3


def test_a_login_waits_for_vault_to_listen(
    long_deadline: Deployment, broken_vault: BrokenVault
) -> None:
    broken_vault.close()
    account = long_deadline.new_account()
    since = long_deadline.synapse.log_size()
    with ThreadPoolExecutor(1) as pool:
        login = pool.submit(long_deadline.log_in, account.user_id, account.token_hash)
        wait_for_request(long_deadline, since)
        broken_vault.listen(forward(long_deadline.openbao.url))
        login.result().check_accepted(account.user_id)


def test_logins_share_their_connections(
    long_deadline: Deployment, broken_vault: BrokenVault
) -> None:
    broken_vault.listen(forward(long_deadline.openbao.url))
    account = long_deadline.new_account()
    for _ in range(20):
        long_deadline.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)
    assert broken_vault.connections < 10


@pytest.mark.parametrize("waiting", [1, 30])
def test_while_logins_wait_for_vault_everything_else_is_answered(
    long_deadline: Deployment, broken_vault: BrokenVault, waiting: int
) -> None:
    accounts = [long_deadline.new_account() for _ in range(waiting)]
    released = threading.Event()
    broken_vault.listen(hold(released))
    with ThreadPoolExecutor(waiting) as pool:
        try:
            logins = [
                pool.submit(long_deadline.synapse.login, account.user_id, account.token_hash, 300)
                for account in accounts
            ]
            wait_until(
                "logins wait",
                lambda: (
                    sum(map(broken_vault.reads, (account.user_id for account in accounts)))
                    >= waiting
                ),
            )
            answered = 0
            for _ in range(25):
                versions = f"{long_deadline.synapse.url}/_matrix/client/versions"
                assert requests.get(versions, timeout=120).status_code == 200
                answered += not any(login.done() for login in logins)
            # A login that needs nothing of Vault is answered too.
            long_deadline.log_in("@alice:evil.org", "0" * 64)
            assert answered == 25
            assert not any(login.done() for login in logins)
        finally:
            broken_vault.listen(forward(long_deadline.openbao.url))
            released.set()
        for account, login in zip(accounts, logins, strict=True):
            assert login.result().json()["user_id"] == account.user_id


def test_a_client_that_does_not_wait_for_its_answer_does_no_harm(
    long_deadline: Deployment, broken_vault: BrokenVault
) -> None:
    account = long_deadline.new_account()
    released = threading.Event()
    broken_vault.listen(hold(released))
    since = long_deadline.synapse.log_size()
    try:
        with pytest.raises(requests.Timeout):
            long_deadline.synapse.login(account.user_id, account.token_hash, timeout=0.5)
    finally:
        broken_vault.listen(forward(long_deadline.openbao.url))
        released.set()

    def lines() -> list[str]:
        records = long_deadline.synapse.log_records(since)
        return [record.message for record in records if record.logger == LOGGER]

    wait_until("the outcome is logged", lambda: bool(lines()))
    assert [line.startswith(f"Login of {account.user_id!r}: ok: ") for line in lines()] == [True]
    assert "Traceback" not in "".join(
        record.message for record in long_deadline.synapse.log_records(since)
    )
    long_deadline.log_in(account.user_id, account.token_hash).check_accepted(account.user_id)
