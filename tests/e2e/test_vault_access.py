"""Ways to Vault that some sites need: other namespaces, proxies, no secret id, a second factor."""

from __future__ import annotations

import os
import subprocess
import sysconfig
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from synapse.module_api.errors import ConfigError
from synapse_vault_auth_provider import VaultAuthProvider

from tests.harness.accounts import PATH_ROOT
from tests.harness.waiting import wait_until
from tests.servers.auth_methods import ROLE, allow, approle, enable, revoke_all
from tests.servers.openbao import bao_command
from tests.servers.port import ReservedPort
from tests.servers.relay import Relay, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.confidential import Confidential
    from tests.harness.core import Core
    from tests.servers import OpenBao
    from tests.servers.relay import Request

USERS = f"secret/data/{PATH_ROOT}/*"


def check_login(core: Core) -> None:
    account = core.new_account()
    outcome = core.log_in(account.user_id, account.token_hash)
    assert outcome.code == "ok", outcome.reason


@pytest.fixture
def policy(openbao: OpenBao) -> str:
    return allow(openbao, "users", USERS)


def test_a_role_without_a_secret_id(
    start_core: Callable[..., Core], openbao: OpenBao, policy: str
) -> None:
    enable(openbao, "approle", "secretless")
    path = f"auth/secretless/role/{ROLE}"
    role = {"bind_secret_id": False, "token_bound_cidrs": ["127.0.0.0/8"]}
    openbao.api("POST", path, {"token_policies": [policy], **role})
    role_id = openbao.api("GET", f"{path}/role-id")["data"]["role_id"]
    auth = {"method": "approle", "mount": "secretless", "role_id": role_id}
    check_login(start_core(openbao=openbao, vault_auth=auth))


@pytest.mark.parametrize("above", ["root", "team"])
def test_a_method_in_a_namespace_above_that_of_the_secrets(
    start_core: Callable[..., Core], openbao: OpenBao, confidential: Confidential, above: str
) -> None:
    namespace = above if above != "root" else None
    below = "below" if namespace is None else f"{namespace}/below"
    if namespace is not None:
        openbao.api("POST", f"sys/namespaces/{namespace}")
    openbao.api("POST", "sys/namespaces/below", namespace=namespace)
    engine = {"type": "kv", "options": {"version": "2"}}
    openbao.api("POST", "sys/mounts/secret", engine, namespace=below)
    policy = allow(openbao, "users-below", f"below/{USERS}", namespace=namespace)
    auth: dict[str, Any] = approle(openbao, "above", policy, namespace=namespace, token_ttl="4s")
    confidential.add(auth["secret_id"])
    since = openbao.audit_size()
    core = start_core(
        openbao=openbao, vault_auth={**auth, "namespace": above}, vault_namespace=below
    )
    account = core.new_account()
    data = {"data": {"login_secret": account.login_secret}}

    def is_written() -> bool:
        try:
            path = f"secret/data/{PATH_ROOT}/{account.user_id}"
            openbao.api("POST", path, data, namespace=below)
        except RuntimeError:  # The engine is still getting ready.
            return False
        return True

    wait_until("the entry is written", is_written)
    assert core.log_in(account.user_id, account.token_hash).code == "ok"
    # It is renewed where it was granted.
    wait_until("it is renewed", lambda: openbao.audited("auth/token/renew-self", since))
    assert all("error" not in entry for entry in openbao.audited("auth/token/renew-self", since))
    assert core.notices == []


def test_a_login_that_asks_for_a_second_factor_says_so(
    start_core: Callable[..., Core], openbao: OpenBao, policy: str
) -> None:
    auth = approle(openbao, "two-factors", policy)
    totp = openbao.api("POST", "identity/mfa/method/totp", {"issuer": "tests"})["data"]
    accessor = openbao.api("GET", "sys/auth/two-factors")["data"]["accessor"]
    openbao.api(
        "POST",
        "identity/mfa/login-enforcement/two-factors",
        {"mfa_method_ids": [totp["method_id"]], "auth_method_accessors": [accessor]},
    )
    core = start_core(openbao=openbao, vault_auth=auth)
    account = core.new_account()
    outcome = core.log_in(account.user_id, account.token_hash)
    assert outcome.code == "vault_denied"
    assert "asks for a second factor" in outcome.reason


@pytest.fixture
def start_proxy(openbao: OpenBao, tmp_path: Path) -> Iterator[Callable[[dict[str, Any]], str]]:
    """Return what starts the vendor's proxy, which logs in by AppRole, and returns its address."""
    running = []

    def start(auth: dict[str, Any]) -> str:
        for name in ("role_id", "secret_id"):
            (tmp_path / name).write_text(auth[name])
        port = ReservedPort()
        config = f"""
            vault {{ address = "{openbao.url}" }}
            auto_auth {{
              method "approle" {{
                mount_path = "auth/{auth["mount"]}"
                config = {{
                  role_id_file_path = "{tmp_path / "role_id"}"
                  secret_id_file_path = "{tmp_path / "secret_id"}"
                  remove_secret_id_file_after_reading = false
                }}
              }}
            }}
            api_proxy {{ use_auto_auth_token = true }}
            listener "tcp" {{ address = "127.0.0.1:{port}" tls_disable = true }}
        """
        (tmp_path / "proxy.hcl").write_text(config)
        process = subprocess.Popen(
            [bao_command(), "proxy", f"-config={tmp_path / 'proxy.hcl'}"],
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        running.append(process)
        return f"http://127.0.0.1:{port}"

    yield start
    for process in running:
        process.terminate()
        process.wait()


def test_a_proxy_that_adds_its_own_token(
    start_core: Callable[..., Core],
    start_proxy: Callable[[dict[str, Any]], str],
    openbao: OpenBao,
    policy: str,
) -> None:
    auth = approle(openbao, "of-the-proxy", policy)
    url = start_proxy(auth)
    core = start_core(
        openbao=openbao,
        vault_url=url,
        vault_auth={"method": "proxy"},
        environment={"VAULT_TOKEN": "a-token-that-would-be-refused"},
    )
    account = core.new_account()
    wait_until(
        "the proxy has logged in",
        lambda: core.log_in(account.user_id, account.token_hash).code == "ok",
    )
    since = openbao.audit_size()
    check_login(core)
    assert openbao.audited("auth/token/lookup-self", since) == []

    # The proxy goes on with the token that it has.
    revoke_all(openbao, auth)
    outcome = core.log_in(account.user_id, account.token_hash)
    if outcome.code != "ok":  # Unless it has noticed in the meantime.
        assert outcome.code == "vault_denied"
        assert "dead token from its cache" in outcome.reason


def test_headers_for_an_access_proxy_come_with_every_request(
    start_core: Callable[..., Core],
    relay: Relay,
    confidential: Confidential,
    openbao: OpenBao,
    policy: str,
    tmp_path: Path,
) -> None:
    secret = confidential.add("a secret of the access proxy")
    (tmp_path / "secret").write_text(secret + "\n")
    auth = approle(openbao, "behind", policy)

    def refuse_without(request: Request) -> Reply | None:
        is_known = request.headers["CF-Access-Client-Secret"] == secret
        return None if is_known and request.headers["X-Id"] == "one" else Reply(403, b"<html>")

    relay.meddle = refuse_without
    headers = {"X-Id": "one", "CF-Access-Client-Secret": {"file": str(tmp_path / "secret")}}
    core = start_core(vault_auth=auth, vault_headers=headers)
    check_login(core)
    assert {"/v1/auth/behind/login"} <= {request.path for request in relay.requests}
    assert core.notices == []


def redirect_reads(target: Relay) -> Callable[[Request], Reply | None]:
    """Answer users' reads as a standby does which sends them to its leader."""

    def meddle(request: Request) -> Reply | None:
        location = {"Location": f"{target.url}{request.target}"}
        is_read = f"/data/{PATH_ROOT}/" in request.path
        return Reply(307, headers=location) if is_read else None

    return meddle


def test_headers_for_an_access_proxy_go_to_no_other_origin(
    start_core: Callable[..., Core], relay: Relay, openbao: OpenBao, confidential: Confidential
) -> None:
    secret = confidential.add("a secret for one access proxy")
    with Relay(openbao.url) as stranger:
        relay.meddle = redirect_reads(stranger)
        core = start_core(vault_headers={"X-Secret": secret}, login_timeout="2s")
        account = core.new_account()
        outcome = core.log_in(account.user_id, account.token_hash)
        assert outcome.code == "vault_unavailable"
        assert {request.headers["X-Secret"] for request in relay.requests} == {secret}
        assert relay.reads(account.user_id) > 0
        assert stranger.requests == []


def test_headers_for_an_access_proxy_go_to_every_address_of_vault(
    start_core: Callable[..., Core], relay: Relay, openbao: OpenBao, confidential: Confidential
) -> None:
    secret = confidential.add("a secret for all access proxies")
    with Relay(openbao.url) as leader:
        # It does not say that it leads, or it would be asked in the first place.
        leader.meddle = lambda request: Reply(429, {}) if request.path == "/v1/sys/health" else None
        relay.meddle = redirect_reads(leader)
        core = start_core(
            vault_url=[relay.url, leader.url],
            vault_headers={"X-Secret": secret},
            login_timeout="1m",
        )
        account = core.new_account()
        outcome = core.log_in(account.user_id, account.token_hash)
        assert outcome.code == "ok", outcome.reason
        assert (relay.reads(account.user_id), leader.reads(account.user_id)) == (1, 1)
        requests = [*relay.requests, *leader.requests]
        assert {request.headers["X-Secret"] for request in requests} == {secret}


def test_a_renewal_that_is_refused_once_does_not_end_renewals(
    start_core: Callable[..., Core],
    relay: Relay,
    openbao: OpenBao,
    confidential: Confidential,
    policy: str,
) -> None:
    body = {"policies": [policy], "period": "8s"}
    token = openbao.api("POST", "auth/token/create", body)["auth"]["client_token"]
    confidential.add(token)
    refused = threading.Event()

    def refuse_once(request: Request) -> Reply | None:
        if request.path.endswith("renew-self") and not refused.is_set():
            refused.set()
            return Reply(403, {"errors": ["permission denied"]})
        return None

    since = openbao.audit_size()
    relay.meddle = refuse_once
    core = start_core(vault_token=token)
    core.wait_for_notice("is renewed again")
    assert openbao.audited("auth/token/renew-self", since)
    assert ["was not renewed: 403" in notice for notice in core.notices] == [True, False]
    check_login(core)


def test_the_command_line_reads_a_token_from_a_pipe_once(openbao: OpenBao) -> None:
    read, write = os.pipe()
    os.write(write, f"{openbao.root_token}\n".encode())
    os.close(write)
    ended = subprocess.run(
        [
            Path(sysconfig.get_path("scripts")) / "synapse-vault",
            *("--homeserver", "http://127.0.0.1:9"),
            *("--vault-token-file", f"/dev/fd/{read}"),
            "list",
        ],
        pass_fds=[read],
        capture_output=True,
        text=True,
        env={
            "PATH": os.environ["PATH"],
            "VAULT_ADDR": openbao.url,
            "SYNAPSE_VAULT_SERVER_NAME": "example.org",
            "SYNAPSE_VAULT_PATH_ROOT": PATH_ROOT,
        },
        check=False,
    )
    os.close(read)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_module_refuses_a_pipe_at_start(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "token")
    config = {
        "vault_url": "http://127.0.0.1:8200",
        "vault_token_file": str(tmp_path / "token"),
        "vault_path_root": PATH_ROOT,
    }
    with pytest.raises(ConfigError, match="is a pipe or a device"):
        VaultAuthProvider.parse_config(config)
