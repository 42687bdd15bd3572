"""A process of its own that has many users log in, and tells how much it grew by them.

    python -m benches.remembering CONFIG USERS

``CONFIG`` is the module's configuration in JSON. Users of the crowd, whose secrets are in Vault
already, log in once each. Prints bytes.
"""

from __future__ import annotations

import json
import os
import sys

from .core import Core
from .crowd import crowd
from .smaps import private
from .stage import CONFIG

WARM_UP = 1000
"""So many log in before, after which connections and buffers are there."""


def main() -> int:
    """Log in and print."""
    config, users = json.loads(os.environ[CONFIG]), int(sys.argv[1])
    with Core(config) as core:
        core.log_all_in(crowd(range(WARM_UP)))
        before = private()
        core.log_all_in(crowd(range(WARM_UP, WARM_UP + users)))
        print(private() - before)
    return 0


if __name__ == "__main__":
    sys.exit(main())
