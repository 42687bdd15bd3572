"""The file with the token of a command's session."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider.cli.exec_token import TokenFile
from synapse_vault_auth_provider.cli.failure import CommandError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no place for files of the session, whoever runs the tests."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)


def test_a_place_of_the_session_comes_before_that_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with TokenFile() as file:
        assert file.path.parent.parent == tmp_path
        file.replace("first")
        file.replace("2nd")
        assert file.path.read_text() == "2nd"
        assert [path.name for path in file.path.parent.iterdir()] == [file.path.name]
    assert list(tmp_path.iterdir()) == []


def test_a_reader_of_the_old_token_keeps_all_of_it() -> None:
    with TokenFile() as file:
        file.replace("first")
        with file.path.open() as reader:
            file.replace("2nd")
            assert reader.read() == "first"


def test_no_place_for_the_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(CommandError, match="cannot make a directory") as caught:
        TokenFile()
    assert "TMPDIR" in str(caught.value.advice)
