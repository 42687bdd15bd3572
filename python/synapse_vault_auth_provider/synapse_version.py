"""Which Synapse the module runs in, and whether it is tested with one as old."""

import re
from importlib.metadata import PackageNotFoundError, version

from .log import logger

OLDEST_SYNAPSE = (1, 100)
"""Oldest version that the end-to-end tests are run with. `requirements/oldest.in` has it too."""


def warn_of_old_synapse() -> None:
    """Log a warning if the Synapse in this environment is older than any that is tested."""
    running = _running_version()
    # A version of another form, or none, is a fork's: nothing is known of its age.
    numbers = re.match(r"(\d+)\.(\d+)", running)
    if numbers is not None and (int(numbers[1]), int(numbers[2])) < OLDEST_SYNAPSE:
        logger.warning(
            "Synapse %s is older than %s, the oldest that this module is tested with",
            running,
            ".".join(map(str, OLDEST_SYNAPSE)),
        )


def _running_version() -> str:
    try:
        return version("matrix-synapse")
    except PackageNotFoundError:
        return ""
