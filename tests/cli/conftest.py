"""The command, run in the process of the tests."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider.cli.command import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Ended:
    """How the command ended and what it wrote."""

    code: int
    out: str
    err: str

    def check_refused(self, *texts: str, code: int = 1) -> None:
        """Fail unless the command printed nothing but an error with these texts in it."""
        assert (self.code, self.out) == (code, ""), self
        for text in texts:
            assert text in self.err
        assert "Traceback" not in self.err


@pytest.fixture
def command(
    without_vault_in_the_environment: None,  # noqa: ARG001 (what a test sets comes after it)
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Callable[..., Ended]:
    """Return what runs the command in a directory of its own, with something on standard input."""
    monkeypatch.chdir(tmp_path)

    def run_command(*arguments: str, stdin: str | bytes = b"") -> Ended:
        content = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
        capsys.readouterr()
        code = run(arguments)
        written = capsys.readouterr()
        return Ended(code, written.out, written.err)

    return run_command
