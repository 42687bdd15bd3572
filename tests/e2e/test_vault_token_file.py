"""A token in a file that somebody else keeps up to date."""

from __future__ import annotations

import json
import os
import subprocess
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.harness.accounts import PATH_ROOT
from tests.harness.waiting import wait_until
from tests.servers.auth_methods import allow, approle
from tests.servers.openbao import bao_command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.harness.confidential import Confidential
    from tests.harness.restarting import Restarting, Run
    from tests.servers import OpenBao


class TokenFile:
    """What the module is told to read its token from."""

    def __init__(self, path: Path, openbao: OpenBao, confidential: Confidential) -> None:
        self.path = path
        self._openbao = openbao
        self._confidential = confidential
        allow(openbao, "users", f"secret/data/{PATH_ROOT}/*")

    def new_token(self) -> str:
        granted = self._openbao.api("POST", "auth/token/create", {"policies": ["users"]})
        return self._confidential.add(granted["auth"]["client_token"])

    def revoke(self, token: str) -> None:
        self._openbao.api("POST", "auth/token/revoke", {"token": token})

    def replace(self, content: str | bytes) -> None:
        """Do it in one step, as everybody should."""
        new = self.path.with_suffix(".new")
        new.write_bytes(content.encode() if isinstance(content, str) else content)
        new.replace(self.path)

    def printed_by_login(self, token: str) -> str:
        return self._openbao.cli(
            "login", "-no-store", "-method=token", "-format=json", "-", stdin=token
        )

    def wrapped(self, token: str) -> str:
        """Do what an agent does for a sink with `wrap_ttl`."""
        answer = self._openbao.api("POST", "sys/wrapping/wrap", {"token": token}, wrap_ttl="10m")
        self._confidential.add(answer["wrap_info"]["token"])
        return json.dumps(answer["wrap_info"])


@pytest.fixture
def file(tmp_path: Path, openbao: OpenBao, confidential: Confidential) -> TokenFile:
    return TokenFile(tmp_path / "token", openbao, confidential)


@pytest.fixture
def run(restarting: Restarting, file: TokenFile) -> Run:
    """Return a homeserver that has logged somebody in with the token of the file."""
    file.replace(file.new_token())
    run = restarting.start(vault_token_file=str(file.path))
    run.check_login()
    return run


FORMS: dict[str, Callable[[TokenFile, str], str]] = {
    "plain": lambda _, token: token,
    "with a newline": lambda _, token: f"{token}\n",
    "JSON": lambda _, token: json.dumps({"token": token}),
    "what a login prints": lambda file, token: file.printed_by_login(token),
    "wrapped": lambda file, token: file.wrapped(token),
}


def test_the_token_is_understood_in_every_form_and_may_change_while_the_old_one_is_revoked(
    restarting: Restarting, file: TokenFile
) -> None:
    former = file.new_token()
    file.replace(former)
    run = restarting.start(vault_token_file=str(file.path))
    account = run.new_account()
    for write in FORMS.values():
        run.check_login(account.user_id)
        token = file.new_token()
        file.replace(write(file, token))
        file.revoke(former)
        run.check_login(account.user_id)
        former = token
    assert run.warnings_and_errors() == []


@pytest.mark.parametrize("form", ["with a newline", "wrapped"])
def test_a_homeserver_starts_with_the_token(
    restarting: Restarting, file: TokenFile, form: str
) -> None:
    file.replace(FORMS[form](file, file.new_token()))
    run = restarting.start(vault_token_file=str(file.path))
    run.check_login()
    run.check_login()
    assert run.warnings_and_errors() == []


def test_a_wrapped_token_that_somebody_else_has_used_is_refused_and_that_is_said(
    restarting: Restarting, file: TokenFile, openbao: OpenBao
) -> None:
    content = file.wrapped(file.new_token())
    openbao.api("POST", "sys/wrapping/unwrap", {"token": json.loads(content)["token"]})
    file.replace(content)
    run = restarting.start(vault_token_file=str(file.path))
    run.wait_for_notice("ERROR", "the wrapping token works once")
    line = run.check_refused_login("vault_denied", "somebody else has what it wrapped")
    assert line.level == "ERROR"


@pytest.mark.parametrize("wrapping", [{}, {"wrap_ttl": "10m"}], ids=["plain", "wrapped"])
def test_the_vendors_agent_writes_a_file_that_works(
    restarting: Restarting,
    openbao: OpenBao,
    tmp_path: Path,
    wrapping: dict[str, str],
) -> None:
    mount = f"agent-{len(wrapping)}"
    auth = approle(openbao, mount, allow(openbao, "users", f"secret/data/{PATH_ROOT}/*"))
    for name in ("role_id", "secret_id"):
        (tmp_path / name).write_text(auth[name])
    sink = tmp_path / "sink"
    config = {
        "exit_after_auth": True,
        "vault": {"address": openbao.url},
        "auto_auth": {
            "method": {
                "type": "approle",
                "mount_path": f"auth/{mount}",
                "config": {
                    "role_id_file_path": str(tmp_path / "role_id"),
                    "secret_id_file_path": str(tmp_path / "secret_id"),
                },
            },
            "sink": [{"type": "file", "config": {"path": str(sink)}, **wrapping}],
        },
    }
    (tmp_path / "agent.json").write_text(json.dumps(config))
    subprocess.run(
        [bao_command(), "agent", f"-config={tmp_path / 'agent.json'}"],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        timeout=60,
        check=True,
    )
    run = restarting.start(vault_token_file=str(sink))
    run.check_login()
    assert run.warnings_and_errors() == []


def test_a_file_that_vanishes_is_an_error_and_the_last_token_goes_on(
    run: Run, file: TokenFile
) -> None:
    file.path.unlink()
    account = run.new_account()

    def is_said() -> bool:
        run.check_login(account.user_id)
        return bool(run.noticed("ERROR", f"cannot read {file.path}"))

    wait_until("the file is missed", is_said)
    file.replace(file.new_token())
    run.check_login()


NO_TOKENS = {
    bytes(range(256)): "is not text",
    b"\x00\x01\x02" * 20: "holds a character that no token has",
    b"": "is empty",
    b"{": "is not JSON",
    b'{"token": 5}': "is not a string",
}


def test_a_file_that_holds_no_token_any_more_is_an_error_and_the_last_token_goes_on(
    run: Run, file: TokenFile
) -> None:
    account = run.new_account()

    def is_said(complaint: str, since: int) -> bool:
        run.check_login(account.user_id)
        return bool(run.noticed("ERROR", complaint, since))

    for content, complaint in NO_TOKENS.items():
        since = run.synapse.log_size()
        file.replace(content)
        wait_until(f"the file {complaint}", partial(is_said, complaint, since))
    file.replace(file.new_token())
    run.check_login()


def test_a_dead_token_that_nobody_replaces_is_an_error_that_names_the_file(
    run: Run, file: TokenFile
) -> None:
    file.revoke(file.path.read_text())
    line = run.check_refused_login("vault_denied", f"{file.path} still holds it")
    assert line.level == "ERROR"
    file.replace(file.new_token())
    run.check_login()
