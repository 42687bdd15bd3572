"""The module's log. One that fails costs a line, and no login."""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    LoggerAdapter = logging.LoggerAdapter[logging.Logger]
else:
    LoggerAdapter = logging.LoggerAdapter


class GuardedLogger(LoggerAdapter):
    """A logger whose filters and handlers may raise.

    They are the administrator's, and run inside the reactor's callbacks. What they raise would end
    a login, or make the reactor drop the descriptor that all later outcomes come over.
    """

    def __init__(self, name: str) -> None:
        """Log under this name."""
        super().__init__(logging.getLogger(name), {})
        self._has_failed = False

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Write a line, or do without it. The first failure is told on standard error."""
        try:
            # The line is of whoever called `info` and the like, above the adapter.
            self.logger.log(level, msg, *args, **{"stacklevel": 2, **kwargs})
        except Exception:  # noqa: BLE001 (they may raise anything)
            self._tell_once()

    def _tell_once(self) -> None:
        if self._has_failed:
            return
        self._has_failed = True
        # In a process without standard error there is no place left to say it.
        with contextlib.suppress(Exception):
            sys.stderr.write("Cannot write the log of synapse_vault_auth_provider:\n")
            traceback.print_exc()


logger = GuardedLogger("synapse_vault_auth_provider")
