"""The homeservers that are measured. They differ in who decides logins."""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.servers import Synapse
from tests.servers.log import FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping

BCRYPT_ROUNDS = 12
"""As Synapse comes."""


class Provider(enum.Enum):
    """Who decides logins, in the words of tables and charts."""

    OURS = "this module"
    HVAC_ON_REACTOR = "hvac on the reactor"
    HVAC_IN_THREAD_POOL = "hvac in Synapse's thread pool"
    DATABASE = "a module that asks the database alone"
    REFUSING = "a module that asks nobody"
    ACCEPTING = "a module that accepts without asking"

    @property
    def refused(self) -> str:
        """What becomes of logins with a wrong hash."""
        return f"refused by {self.value}"

    @property
    def accepted(self) -> str:
        """What becomes of logins with the right hash."""
        return f"accepted by {self.value}"

    @property
    def asks_vault(self) -> bool:
        """Whether it matters to it how far away Vault is."""
        return self in (self.OURS, self.HVAC_ON_REACTOR, self.HVAC_IN_THREAD_POOL)


WRONG_HASH = "0" * 64

MODULES = {
    Provider.OURS: "synapse_vault_auth_provider.VaultAuthProvider",
    Provider.HVAC_ON_REACTOR: "benches.comparators.hvac_provider.HvacOnReactor",
    Provider.HVAC_IN_THREAD_POOL: "benches.comparators.hvac_provider.HvacInThreadPool",
    Provider.DATABASE: "benches.comparators.database_provider.DatabaseAlone",
    Provider.ACCEPTING: "benches.comparators.accepting_provider.Accepting",
    Provider.REFUSING: "tests.servers.refusing_provider.RefusingProvider",
}


def homeserver(
    directory: Path,
    provider: Provider,
    config: Mapping[str, Any],
    inside: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    database_delay: float = 0.0,
) -> Synapse:
    """Configure a homeserver, without starting it.

    Args:
        directory: For all its files.
        provider: Who decides its logins.
        config: The provider's configuration.
        inside: Configurations of our module by names, to be measured from inside; see `inside`.
        settings: More of Synapse's own configuration.
        database_delay: How far away its database is, in seconds; see `far_database`.
    """
    modules: list[dict[str, Any]] = [{"module": MODULES[provider], "config": dict(config)}]
    if inside is not None:
        modules.append({"module": "benches.inside.Inside", "config": dict(inside)})
    if database_delay:
        far = "benches.comparators.far_database.FarDatabase"
        modules.append({"module": far, "config": {"delay": database_delay}})
    synapse = Synapse(
        directory,
        None,
        settings={"modules": modules, "bcrypt_rounds": BCRYPT_ROUNDS, **(settings or {})},
        environment={"PYTHONPATH": str(Path(__file__).parents[1])},
    )
    synapse.log_config_path.write_text(json.dumps(log_config(synapse.log_path)))
    return synapse


def log_config(path: Path) -> dict[str, Any]:
    """Configure the log as Synapse's sample does, from warnings on.

    So a login that is accepted writes no line: what the homeserver spends on lines is its own.
    """
    return {
        "version": 1,
        "formatters": {"precise": {"format": FORMAT}},
        "handlers": {
            "file": {
                "class": "logging.handlers.TimedRotatingFileHandler",
                "formatter": "precise",
                "filename": str(path),
                "when": "midnight",
            },
            "buffer": {
                "class": "synapse.logging.handlers.PeriodicallyFlushingMemoryHandler",
                "target": "file",
                "capacity": 10,
                "flushLevel": 30,
                "period": 5,
            },
        },
        "root": {"level": "WARNING", "handlers": ["buffer"]},
        "disable_existing_loggers": False,
    }
