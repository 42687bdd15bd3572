"""The command without the packages of its extra, as it is in Synapse's environment."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys

import pytest

from tests.pythons import ROOT

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
    extra = re.search(r"^cli = (\[.*\])$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert extra
    install = [sys.executable, "-m", "pip", "install", *json.loads(extra[1])]
    assert result.stderr == (
        f"error: the Python package {package} is missing\n"
        'Install the wheel again with "[cli]" behind the name of its file, or install what this '
        f"command needs: {shlex.join(install)}\n"
    )


def test_another_missing_module_is_no_matter_of_the_extra() -> None:
    module = "synapse_vault_auth_provider.provisioning"
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT, module, "list"], capture_output=True, text=True, check=False
    )
    assert "ModuleNotFoundError" in result.stderr


def test_nothing_says_to_install_from_an_index_what_no_index_has() -> None:
    # The name of a wheel's file goes on with a hyphen.
    by_name = re.compile(
        r"\b(?:install|inject|add|run)\b[^\n]*?\bsynapse[-_]vault[-_]auth[-_]provider\b(?!-)"
    )
    paths = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "python").rglob("*.py"),
        *(ROOT / "src").rglob("*.rs"),
    ]
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in paths
        for match in by_name.finditer(path.read_text())
    ]
    assert found == []
