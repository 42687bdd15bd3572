"""A module for Synapse that lets its database be far away, for whichever module decides logins.

SQLite is a file, so there is no way to it that could be longer. So each transaction waits, on the
thread on which it runs, as it would for the answer of a server elsewhere.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from synapse.storage.database import DatabasePool

if TYPE_CHECKING:
    from synapse.module_api import ModuleApi


class FarDatabase:
    """Makes each transaction take longer by the ``delay`` of its configuration, in seconds."""

    def __init__(self, config: dict[str, float], api: ModuleApi) -> None:  # noqa: ARG002
        delay = config["delay"]
        # Synapse has no interface for it.
        new_transaction = DatabasePool.new_transaction

        def delayed(pool: DatabasePool, *args: Any, **kwargs: Any) -> Any:
            time.sleep(delay)
            return new_transaction(pool, *args, **kwargs)

        DatabasePool.new_transaction = delayed  # type: ignore[assignment,method-assign]

    @staticmethod
    def parse_config(config: dict[str, float]) -> dict[str, float]:
        return config
