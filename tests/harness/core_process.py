"""The module's core in a process of its own: ``python -m tests.harness.core_process``.

The first line of its input is the configuration; each one after it is a login, of a user id and a
token hash, or bytes to keep as hex digits. It answers each with a line: the outcome's code, or
nothing. All are JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .accounts import Account


class CoreProcess:
    """Knows of a user what a homeserver does, and so never a secret but what Vault tells it."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Start the process; the configuration is as it is in YAML."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._send(dict(config))

    def __enter__(self) -> CoreProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)
        assert self._process.returncode == 0

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def log_in(self, account: Account, token_hash: str | None = None) -> str:
        """Log in, with the right hash if there is no other, and return the outcome's code."""
        code: str = self._ask([account.user_id, token_hash or account.token_hash])
        return code

    def keep(self, data: bytes) -> None:
        """Have it keep some bytes in its memory."""
        self._ask(data.hex())

    def _ask(self, value: object) -> Any:
        self._send(value)
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def _send(self, value: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()


def main() -> None:
    """Decide logins until there are no more."""
    from .login_service import LoginDriver

    kept = []
    with LoginDriver(json.loads(sys.stdin.readline())) as driver:
        for line in sys.stdin:
            match json.loads(line):
                case [user_id, token_hash]:
                    answer(driver.log_in(user_id, token_hash).code)
                case digits:
                    kept.append(bytes.fromhex(digits))
                    answer(None)


def answer(value: object) -> None:
    """Tell the process that started this one."""
    print(json.dumps(value), flush=True)  # noqa: T201 (what it is for)


if __name__ == "__main__":
    main()
