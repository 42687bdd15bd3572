"""Very many users with secrets in Vault, written in little time."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import quote

from synapse_vault_auth_provider import token_hash

from tests.harness.accounts import PATH_ROOT
from tests.servers.synapse import SERVER_NAME

from .stage import LOGIN_SECRET, User

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.servers import OpenBao

WRITERS = 4
"""How many connections write at the same time."""

BATCH = 100
"""How many requests a connection sends before it reads an answer. The answers fit its buffers."""


def crowd(numbers: Iterable[int]) -> Iterator[User]:
    """Yield some of the crowd, whether or not they have secrets in Vault."""
    for number in numbers:
        user_id = user_id_of(number)
        yield User(user_id, token_hash(LOGIN_SECRET, user_id))


def user_id_of(number: int) -> str:
    """As long as users' ids are: 30 characters."""
    return f"@member.{number:010}:{SERVER_NAME}"


def gather(openbao: OpenBao, numbers: range) -> None:
    """Write a secret for each of these members.

    A client that waits for each answer keeps one processor busy and Vault idle. So these requests
    are pipelined, as RFC 9112 has it in section 9.3.2.
    """
    batches = [numbers[first : first + BATCH] for first in range(0, len(numbers), BATCH)]
    with ThreadPoolExecutor(WRITERS) as pool:
        for _ in pool.map(lambda batch: write(openbao, batch), batches):
            pass


def write(openbao: OpenBao, numbers: range) -> None:
    """Write the secrets of some over one connection."""
    requests = [request(openbao, number, is_last=number == numbers[-1]) for number in numbers]
    with socket.create_connection(("127.0.0.1", int(openbao.port)), timeout=60) as connection:
        connection.sendall(b"".join(requests))
        answers = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    if answers.count(b"HTTP/1.1 200 OK\r\n") != len(numbers):
        raise RuntimeError(f"Vault did not take all secrets: {answers[:500]!r}")


def request(openbao: OpenBao, number: int, *, is_last: bool) -> bytes:
    """Build the request that writes one secret; the last one has the connection closed.

    API: https://openbao.org/api-docs/secret/kv/kv-v2/#createupdate-secret
    """
    body = json.dumps({"data": {"login_secret": LOGIN_SECRET}})
    return (
        f"POST /v1/secret/data/{quote(f'{PATH_ROOT}/{user_id_of(number)}')} HTTP/1.1\r\n"
        f"Host: 127.0.0.1\r\n"
        f"X-Vault-Token: {openbao.root_token}\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Connection: {'close' if is_last else 'keep-alive'}\r\n"
        f"\r\n"
        f"{body}"
    ).encode()
