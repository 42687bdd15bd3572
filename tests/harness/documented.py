"""Runs the manual's examples against servers of the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.servers.openbao import bao_command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.documents import Block
    from tests.servers import OpenBao

COMMANDS = {
    "sh": ["bash"],
    "python": [sys.executable],
    "js": ["node"],
    "go": ["go", "run"],
}


def run_example(
    block: Block, openbao: OpenBao, directory: Path, replaced: Mapping[str, str]
) -> str:
    """Run an example and return what it prints. It must succeed."""
    result = try_example(block, openbao, directory, replaced)
    assert result.returncode == 0, result.stderr
    return result.stdout


def try_example(
    block: Block,
    openbao: OpenBao,
    directory: Path,
    replaced: Mapping[str, str],
    options: Sequence[str] = ("-o", "pipefail", "-e"),
) -> subprocess.CompletedProcess[str]:
    """Run an example and return how it ended.

    Args:
        block: The example. Where it calls `vault`, OpenBao's command is called, with a token that
            may do everything.
        openbao: The Vault.
        directory: Where it runs.
        replaced: What stands in the manual, and what is meant.
        options: Those of the shell, for examples in it.
    """
    command = [*COMMANDS[block.language], *(options if block.language == "sh" else ())]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    program = block.text
    for shown, meant in replaced.items():
        assert shown in program, shown
        program = program.replace(shown, meant)
    script = directory / f"example.{block.language}"
    script.write_text(program)
    programs = directory / "bin"
    programs.mkdir(exist_ok=True)
    vault = programs / "vault"
    if not vault.is_symlink():
        vault.symlink_to(bao_command())
    return subprocess.run(
        [*command, script],
        cwd=directory,
        env={
            "PATH": f"{programs}:{os.environ['PATH']}",
            # Where Go keeps what it has built.
            "HOME": os.environ.get("HOME", str(directory)),
            **dict.fromkeys(("BAO_ADDR", "VAULT_ADDR"), openbao.url),
            **dict.fromkeys(("BAO_TOKEN", "VAULT_TOKEN"), openbao.root_token),
        },
        capture_output=True,
        text=True,
        check=False,
    )
