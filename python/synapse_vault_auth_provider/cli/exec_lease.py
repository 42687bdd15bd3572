"""The lease of a command's token: renewed while the command runs, and ended after it."""

from __future__ import annotations

import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from ..provisioning import ProvisioningError, VaultError
from .child import Signals, wake_after
from .exec_token import LONGEST_WAIT, SHORTEST_PAUSE, USED_UP, TokenFile
from .failure import CommandError, report
from .token_origin import explained

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future
    from pathlib import Path

    from ..provisioning import Lease
    from .connection import Connection

ENDED_BEFORE_THE_LEASE = 75
"""The exit code of a command that was stopped because its lease ends: ``EX_TEMPFAIL`` of
sysexits.h, for whom it is right to start the command again."""

LONGEST_NOTICE = 30.0
"""Seconds before the end of the lease at which the command is stopped, at most."""

NOTICE = 1 / 5
"""The part of a short lease's life that the command gets to stop in."""

UNCHANGED = 1.0
"""Seconds by which the end of a lease must move to count as later: leases have whole seconds."""


GONE = ("M_UNKNOWN_TOKEN", "lease not found", "lease expired")
"""What a refusal says of a lease that cannot be renewed later either."""


class LeaseRenewal:
    """Renews a lease until it cannot be renewed any more, and then stops the command in time."""

    def __init__(self, lease: Lease, renew: Callable[[], Future[float]]) -> None:
        """Do nothing until the command runs.

        Args:
            lease: The lease, which was read just now.
            renew: Begins a renewal, which returns how long the lease runs then, in seconds.
        """
        self.under_way: Future[float] | None = None
        """The renewal that has begun, until its result is taken."""
        self.has_stopped = False
        """Whether the command was told to stop because of the lease."""
        now = time.monotonic()
        self._renew = renew
        self._notice = min(LONGEST_NOTICE, lease.duration * NOTICE)
        self._end = now + lease.duration
        self._due: float | None = now + lease.duration * USED_UP if lease.renewable else None
        self._has_failed = False
        self._is_killed = False

    def pause(self) -> float | None:
        """Return for how many seconds to wait."""
        times = [self._end if self.has_stopped else self._end - self._notice]
        if self.under_way is None and self._due is not None and not self.has_stopped:
            times.append(self._due)
        if self._is_killed:
            return None
        return min(max(min(times) - time.monotonic(), 0), LONGEST_WAIT)

    def go_on(self) -> int | None:
        """Begin a renewal or take its result if it is time for that, without waiting.

        Returns:
            The signal to send to the command, if it is time for it to stop.
        """
        now = time.monotonic()
        if self.under_way is not None and self.under_way.done():
            ended, self.under_way = self.under_way, None
            self._take(ended, now)
        elif self.under_way is None and self._due is not None and now >= self._due:
            self.under_way = self._renew()
            wake_after(self.under_way)
        if self.has_stopped:
            if now < self._end or self._is_killed:
                return None
            self._is_killed = True
            return signal.SIGKILL
        if now < self._end - self._notice:
            return None
        self.has_stopped = True
        _say("the lease of the access token ends: stopping the command")
        return signal.SIGTERM

    def _take(self, ended: Future[float], now: float) -> None:
        """Take the result of a renewal."""
        try:
            duration = ended.result()
        except ProvisioningError as error:
            self._retry_later(error, now)
            return
        self._has_failed = False
        # It has reached its longest life if its end stays where it was.
        is_later = now + duration > self._end + UNCHANGED
        self._end = now + duration
        self._due = now + duration * USED_UP if is_later else None

    def _retry_later(self, error: ProvisioningError, now: float) -> None:
        # A plugin that was just loaded again, or has crashed, is a 400 as well.
        is_refused = (
            isinstance(error, VaultError)
            and error.status in (400, 404)
            and any(reason in str(error) for reason in GONE)
        )
        is_denied = isinstance(error, VaultError) and error.status == 403
        if is_refused:
            # The token is dead already, or the lease is over.
            self._end = now + min(self._notice, max(self._end - now, 0))
            self._due = None
        elif is_denied:
            self._due = None
        else:
            left = self._end - self._notice - now
            self._due = now + max(left / 3, SHORTEST_PAUSE)
        if not self._has_failed:
            self._has_failed = True
            what = "cannot renew the lease"
            with suppress(OSError):
                report(error, what if is_refused or is_denied else f"{what}, retrying")


def run_with_lease(
    connection: Connection,
    user: str,
    command: tuple[str, ...],
    environment: Callable[[Mapping[str, str], Path], dict[str, str]],
) -> int:
    """Run a command with a token that ends with its lease, and end the lease after it.

    Args:
        connection: What says where Vault is.
        user: The whole id of the user, or the localpart.
        command: The command and its arguments.
        environment: Makes the command's environment of what it is told, and of the file that has
            the token.

    Returns:
        The exit code.
    """
    if sys.platform != "linux":
        raise CommandError("--lease is possible on Linux only")
    connection = connection.for_lease(user)
    with Signals() as signals, connection.open() as provisioner, ThreadPoolExecutor(1) as thread:
        reading = thread.submit(provisioner.read_lease, user)
        signals.wait_for(reading)
        if signals.ended_by and reading.exception():
            return signals.ended_by
        with explained(connection, user):
            lease = reading.result()
        renewal = LeaseRenewal(
            lease, lambda: thread.submit(provisioner.renew_lease, lease.lease_id)
        )
        try:
            with TokenFile() as file:
                file.replace(lease.access_token)
                told = {
                    "MATRIX_ACCESS_TOKEN": lease.access_token,
                    "MATRIX_DEVICE_ID": lease.device_id,
                    "MATRIX_HOMESERVER": lease.homeserver_url,
                    "MATRIX_USER_ID": lease.matrix_user_id,
                }
                code = signals.ended_by or signals.run(
                    command, environment(told, file.path), renewal
                )
        finally:
            if renewal.under_way is not None:
                signals.wait_for(renewal.under_way)
            is_ended = _end(connection, lease)
    if renewal.has_stopped:
        return ENDED_BEFORE_THE_LEASE
    return code or (0 if is_ended else 1)


def _end(connection: Connection, lease: Lease) -> bool:
    """End the session by its lease, or where that may not be, by logging out.

    Returns:
        Whether one of them worked.
    """
    try:
        # Its homeserver is known by now.
        with replace(connection, homeserver=lease.homeserver_url).open() as provisioner:
            try:
                provisioner.revoke_lease(lease.lease_id)
            except ProvisioningError:
                # Many policies let nobody revoke leases. What is left of this one then ends later.
                provisioner.logout(lease.access_token)
    except ProvisioningError as error:
        report(error, f"cannot log {lease.matrix_user_id} out")
        return False
    return True


def _say(text: str) -> None:
    """Write to standard error if it is still there."""
    with suppress(OSError):
        click.echo(text, err=True)
