"""The scripts that complete words in shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Ended

COMPLETE = """\
eval "$(synapse-vault completion bash)"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
$(complete -p synapse-vault | sed 's/.*-F \\([^ ]*\\).*/\\1/') synapse-vault
printf '%s\\n' "${COMPREPLY[@]}"
"""

ENVIRONMENT = {
    **os.environ,
    "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}",
}


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["synapse-vault", "pro"], ["profile", "provision"]),
        (["synapse-vault", "revoke", "--de"], ["--deactivate"]),
        (["synapse-vault", "completion", ""], ["bash", "fish", "zsh"]),
        (["synapse-vault", "policy", "--for", "m"], ["module"]),
    ],
    ids=" ".join,
)
def test_bash_completes_words(words: list[str], expected: list[str]) -> None:
    shown = subprocess.run(
        ["bash", "-c", COMPLETE, "bash", *words],
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT,
    )
    assert sorted(shown.stdout.split()) == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_a_script(command: Callable[..., Ended], shell: str) -> None:
    ended = command("completion", shell)
    assert ended.code == 0
    assert f"_SYNAPSE_VAULT_COMPLETE={shell}_complete" in ended.out
