"""What is there for people alone: headers and colours, on terminals that want them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from synapse_vault_auth_provider.cli import colour
from synapse_vault_auth_provider.cli.failure import CommandError, report
from synapse_vault_auth_provider.cli.output import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROWS = [("@a-long-name:x.org", "ready", None), ("@b:x.org", "unfinished", "1\x1b[2J")]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Terminal]]:
    """Return what puts a terminal in place of the streams, which pytest does before each test."""

    def begin() -> Terminal:
        shown = Terminal()
        monkeypatch.setattr("sys.stdout", shown)
        monkeypatch.setattr("sys.stderr", shown)
        return shown

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    yield begin
    colour.choose(off=False)


def print_table(*, as_json: bool = False) -> None:
    table = Table("USER", "STATE", "EXTERNAL ID", as_json=as_json)
    table.expect(ROWS)
    for row in ROWS:
        table.add({"matrix_user_id": row[0]}, row)


def test_a_terminal_has_headers_above_columns(on_terminal: Callable[[], Terminal]) -> None:
    terminal = on_terminal()
    colour.choose(off=True)
    print_table()
    assert terminal.getvalue().splitlines() == [
        "USER                STATE       EXTERNAL ID",
        "@a-long-name:x.org  ready       -",
        "@b:x.org            unfinished  1\\x1b[2J",
    ]


def test_without_a_result_there_is_no_header(on_terminal: Callable[[], Terminal]) -> None:
    terminal = on_terminal()
    Table("USER", as_json=False)
    assert terminal.getvalue() == ""


def test_json_has_none_even_there(on_terminal: Callable[[], Terminal]) -> None:
    terminal = on_terminal()
    print_table(as_json=True)
    assert terminal.getvalue().startswith('{"matrix_user_id"')


def test_what_is_no_terminal_has_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    print_table()
    assert capsys.readouterr().out.splitlines() == [
        "@a-long-name:x.org\tready\t-",
        "@b:x.org\tunfinished\t1\\x1b[2J",
    ]


def test_colours_are_for_terminals_that_want_them(
    on_terminal: Callable[[], Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = on_terminal()
    report(CommandError("it broke"))
    assert "\x1b[31m" in terminal.getvalue()
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            terminal.truncate(0)
            report(CommandError("it broke"))
            print_table()
            assert "\x1b" not in terminal.getvalue()
    # https://no-color.org/: an empty one counts as none.
    monkeypatch.setenv("NO_COLOR", "")
    assert colour.painted("x", "red") != "x"
    colour.choose(off=True)
    assert colour.painted("x", "red") == "x"


def test_errors_have_none_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    report(CommandError("it broke"))
    assert capsys.readouterr().err == "error: it broke\n"
