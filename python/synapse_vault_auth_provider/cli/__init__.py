"""The command ``synapse-vault``, one file for each verb."""

import sys

PACKAGES = ("click", "yaml")
"""What the extra ``cli`` brings. The module in Synapse's environment does without it."""


def main() -> int:
    """Run the command and return its exit code."""
    try:
        from .command import run
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES:
            raise
        sys.stderr.write(
            f"error: the Python package {error.name} is missing\n"
            "Install what this command needs: pip install 'synapse-vault-auth-provider[cli]'\n"
        )
        return 1
    return run()
