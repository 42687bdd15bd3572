"""The token of a command's session: in a file, and replaced before it ends."""

from __future__ import annotations

import math
import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..provisioning import ProvisioningError
from .child import wake_after
from .failure import CommandError, report
from .token_origin import explained

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from ..provisioning import Login
    from .connection import Connection

USED_UP = 2 / 3
"""The part of a token's life after which the next one is asked for."""

SHORTEST_PAUSE = 1.0
"""Seconds between attempts that fail, at least."""

LONGEST_PAUSE = 60.0
"""Seconds between attempts once the token has ended, and no time can be lost any more."""

LONGEST_WAIT = 86_400.0
"""Seconds to wait at once: the system refuses times that are too long, such as a thousand years."""

IS_POSSIBLE = sys.platform == "linux"
"""Whether signals can be waited for until a certain time, as the next login needs it."""


class TokenFile:
    """A file that only this user can read, in a directory of its own, until the context ends."""

    def __init__(self) -> None:
        """Make the directory, in memory if the session has such a place."""
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        parent = runtime if runtime and os.access(runtime, os.W_OK) else None
        try:
            self._directory = tempfile.TemporaryDirectory(
                prefix="synapse-vault-", dir=parent, ignore_cleanup_errors=True
            )
        except OSError as error:
            raise CommandError(
                f"cannot make a directory for the access token: {error.strerror}",
                "Set TMPDIR to a directory that can be written.",
            ) from None
        self.path = Path(self._directory.name).absolute() / "access-token"

    def __enter__(self) -> TokenFile:
        """Do nothing."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the file and its directory."""
        self._directory.cleanup()

    def replace(self, token: str) -> None:
        """Put a token into the file, so that readers see the old or the new one and no part."""
        new = self.path.with_suffix(".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(token)
        new.replace(self.path)


class Renewal:
    """Logs in again on the same device before the session's token ends."""

    def __init__(
        self,
        connection: Connection,
        login: Login,
        log_in: Callable[[str], Future[Login]],
        number: int | None,
    ) -> None:
        """Do nothing until there is a file.

        Args:
            connection: What says where Vault's token comes from.
            login: The session.
            log_in: Begins a login on a device.
            number: The signal that the command gets after each replacement.
        """
        self.login = login
        """The newest session."""
        self.under_way: Future[Login] | None = None
        """The login that has begun, until the session is taken from it."""
        self._connection = connection
        self._log_in = log_in
        self._signal = number
        self._file: TokenFile | None = None
        self._end: float | None = None
        self._due: float | None = None
        self._is_told = False
        self._has_failed = False

    def keep_in(self, file: TokenFile) -> None:
        """Put the token into a file, and the next ones as well."""
        self._file = file
        try:
            self._take(self.login)
        except OSError as error:
            raise CommandError(f"cannot write the access token: {error.strerror}") from None
        if self.login.expires_in is not None and not IS_POSSIBLE:
            self._due = None
            _say(
                f"warning: the access token ends in {math.floor(self.login.expires_in)} seconds; "
                "it is renewed on Linux only"
            )

    def pause(self) -> float | None:
        """Return for how many seconds to wait; `None` if for a signal only."""
        if self.under_way is not None or self._due is None:
            return None
        return min(max(self._due - time.monotonic(), 0), LONGEST_WAIT)

    def go_on(self) -> int | None:
        """Begin a login or take its session if it is time for that, without waiting.

        Returns:
            The signal to send to the command, if its token was replaced and it wants to know.
        """
        if self.under_way is None:
            if self.pause() == 0:
                self.under_way = self._log_in(self.login.device_id)
                wake_after(self.under_way)
            return None
        if not self.under_way.done():
            return None
        ended, self.under_way = self.under_way, None
        try:
            with explained(self._connection, self.login.matrix_user_id):
                self.login = ended.result()
            self._take(self.login)
        except (ProvisioningError, OSError) as error:
            self._retry_later(error)
            return None
        self._has_failed = False
        if self._signal is None and not self._is_told:
            self._is_told = True
            _say(
                "warning: the token in MATRIX_ACCESS_TOKEN ends soon; "
                "only the file MATRIX_ACCESS_TOKEN_FILE holds the new one"
            )
        return self._signal

    def newest(self) -> Login:
        """Return the session to end, once no login is under way any more."""
        if self.under_way is not None and not self.under_way.exception():
            self.login = self.under_way.result()
        return self.login

    def _take(self, login: Login) -> None:
        if login.expires_in is None:
            self._end = self._due = None
        else:
            now = time.monotonic()
            self._end = now + login.expires_in
            self._due = now + login.expires_in * USED_UP
        if self._file is not None:
            self._file.replace(login.access_token)

    def _retry_later(self, error: ProvisioningError | OSError) -> None:
        now = time.monotonic()
        left = 0 if self._end is None else self._end - now
        self._due = now + (max(left / 3, SHORTEST_PAUSE) if left > 0 else LONGEST_PAUSE)
        if self._has_failed:
            return
        self._has_failed = True
        if isinstance(error, OSError):
            _say(f"error: cannot replace the file with the access token: {error.strerror}")
        else:
            with suppress(OSError):
                report(error, "cannot renew the access token, retrying")


def _say(text: str) -> None:
    """Write to standard error if it is still there: the command goes on in any case."""
    with suppress(OSError):
        click.echo(text, err=True)
