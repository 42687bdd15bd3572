"""`synapse-vault hash`, against vectors that OpenSSL computed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider import token_hash

from tests.test_token_hash import CASES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Ended

ALICE = "@alice:example.org"


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_the_vectors_agree(command: Callable[..., Ended], case: dict[str, str]) -> None:
    ended = command("hash", "--", case["user_id"], stdin=case["login_secret"])
    if len(case["user_id"].encode()) > 255:
        # No homeserver has such a user, and the module looks none up.
        ended.check_refused("longer than 255 bytes")
        return
    assert (ended.code, ended.out) == (0, f"{case['token_hash']}\n")


def test_json_has_the_user_too(command: Callable[..., Ended]) -> None:
    ended = command("hash", ALICE, "--json", stdin="s3cret")
    assert json.loads(ended.out) == {
        "matrix_user_id": ALICE,
        "token_hash": token_hash("s3cret", ALICE),
    }


def test_the_secret_is_taken_as_it_is(command: Callable[..., Ended]) -> None:
    ended = command("hash", ALICE, stdin="s3cret\n")
    assert ended.out == f"{token_hash(chr(10).join(['s3cret', '']), ALICE)}\n"
    assert ended.err == "warning: the secret ends with a line break, which is hashed with it\n"
    assert (
        command("hash", ALICE, stdin=" \ts3cret ").out == f"{token_hash(' 	s3cret ', ALICE)}\n"
    )


@pytest.mark.parametrize("source", ["option", "environment", "file"])
def test_a_localpart_gets_the_server_name(
    command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    options = []
    if source == "option":
        options = ["--server-name", "example.org"]
    elif source == "environment":
        monkeypatch.setenv("SYNAPSE_VAULT_SERVER_NAME", "example.org")
    else:
        (tmp_path / "homeserver.yaml").write_text("server_name: example.org\n")
        options = ["-c", "homeserver.yaml"]
    assert command(*options, "hash", "alice", stdin="s3cret").out == (
        f"{token_hash('s3cret', ALICE)}\n"
    )


@pytest.mark.parametrize(
    ("user", "secret", "expectation"),
    [
        (ALICE, b"", "the secret on standard input is empty"),
        (ALICE, b"s3cret\xff", "not UTF-8"),
        ("alice", b"s3cret", "add --server-name"),
        ("@alice", b"s3cret", "@localpart:server"),
        ("@:example.org", b"s3cret", "@localpart:server"),
        ("@alice:", b"s3cret", "@localpart:server"),
        ("@al\udc80ice:example.org", b"s3cret", "no valid Unicode"),
    ],
    ids=ascii,
)
def test_what_cannot_be_hashed(
    command: Callable[..., Ended], user: str, secret: bytes, expectation: str
) -> None:
    ended = command("hash", user, stdin=secret)
    ended.check_refused("error: ", expectation)
    assert "s3cret" not in ended.err
