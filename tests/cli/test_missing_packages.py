"""The command without the packages of its extra, as it is in Synapse's environment."""

from __future__ import annotations

import subprocess
import sys

import pytest

WITHOUT = """\
import sys
sys.modules[sys.argv.pop(1)] = None
from synapse_vault_auth_provider.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("package", ["click", "yaml"])
def test_it_says_what_to_install(package: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT, package, "list"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"error: the Python package {package} is missing\n"
        "Install what this command needs: pip install 'synapse-vault-auth-provider[cli]'\n"
    )


def test_another_missing_module_is_no_matter_of_the_extra() -> None:
    module = "synapse_vault_auth_provider.provisioning"
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT, module, "list"], capture_output=True, text=True, check=False
    )
    assert "ModuleNotFoundError" in result.stderr
