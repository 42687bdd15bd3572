"""The command ``synapse-vault``, one file for each verb."""

import re
import shlex
import sys

DISTRIBUTION = "synapse-vault-auth-provider"

PACKAGES = ("click", "yaml")
"""What the extra ``cli`` brings. The module in Synapse's environment does without it."""


def main() -> int:
    """Run the command and return its exit code."""
    try:
        from .command import run
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES:
            raise
        install = shlex.join([sys.executable, "-m", "pip", "install", *_requirements()])
        sys.stderr.write(
            f"error: the Python package {error.name} is missing\n"
            'Install the wheel again with "[cli]" behind the name of its file, or install what '
            f"this command needs: {install}\n"
        )
        return 1
    return run()


def _requirements() -> list[str]:
    """Return what the extra ``cli`` names, with the versions."""
    # Only here: the command starts faster without it.
    from importlib.metadata import PackageNotFoundError, requires

    try:
        declared = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        # Run out of a source tree.
        return ["click", "pyyaml"]
    marked = [line.partition(";") for line in declared]
    return [
        requirement.replace(" ", "")
        for requirement, _, marker in marked
        if re.search(r"""extra == ["']cli["']""", marker)
    ]
