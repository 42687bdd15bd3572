"""What may stand in a file with users, and what is said of what may not."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from synapse_vault_auth_provider.cli.bulk.checking import MOST_PROBLEMS, check_all
from synapse_vault_auth_provider.cli.bulk.rows import Row
from synapse_vault_auth_provider.cli.bulk.source import opened
from synapse_vault_auth_provider.cli.failure import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEADER = "user_id,display_name,avatar,admin,user_type,external_id,adopt\n"
SERVER = "example.org"
NOTHING = {
    "is_admin": False,
    "display_name": None,
    "avatar": None,
    "user_type": None,
    "external_id": None,
    "adopt": False,
}


@pytest.fixture
def rows_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Row]]:
    """Return what reads a file after checking it."""
    monkeypatch.chdir(tmp_path)

    def read(content: str | bytes, name: str = "users") -> list[Row]:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        with opened(name) as source:
            total = check_all(source, SERVER)
            rows = [row for row in source.rows(SERVER) if isinstance(row, Row)]
        assert len(rows) == total
        return rows

    return read


@pytest.fixture
def mistakes_in(rows_of: Callable[..., list[Row]]) -> Callable[..., list[str]]:
    """Return what tells the mistakes in a file, one a line."""

    def read(content: str | bytes, name: str = "users") -> list[str]:
        with pytest.raises(CommandError) as caught:
            rows_of(content, name)
        first, *mistakes = str(caught.value).splitlines()
        count = int(first.split()[0])
        assert first == f"{count} mistake{'s'[: count != 1]} in {name}, so nothing was done:"
        assert caught.value.advice == "Correct the file and run this again."
        assert len(mistakes) == count or mistakes[-1] == f"... and {count - MOST_PROBLEMS} more"
        return mistakes

    return read


def test_a_row_of_csv_with_everything(rows_of: Callable[..., list[Row]]) -> None:
    content = HEADER + "bot,The Bot,mxc://example.org/a,True,bot,42,TRUE\n"
    (row,) = rows_of(content)
    assert row.matrix_user_id == "@bot:example.org"
    assert row.arguments == {
        "is_admin": True,
        "display_name": "The Bot",
        "avatar": "mxc://example.org/a",
        "user_type": "bot",
        "external_id": "42",
        "adopt": True,
    }


@pytest.mark.parametrize("column", ["admin", "adopt"])
@pytest.mark.parametrize("value", ["yes", "1", "Yes", "on", "y", "t", "wahr", " true", "no", "0"])
@pytest.mark.parametrize("as_json", [False, True], ids=["csv", "json"])
def test_nothing_but_true_and_false_is_a_boolean(
    mistakes_in: Callable[..., list[str]], column: str, value: str, as_json: bool
) -> None:
    content = row_with(**{column: value}) if as_json else f"user_id,{column}\nbot,{value}\n"
    (mistake,) = mistakes_in(content)
    assert f"{column}: must be true or false, not {value!r}" in mistake


@pytest.mark.parametrize(
    ("value", "expected"),
    [("true", True), ("TRUE", True), ("True", True), ("False", False), ("", False)],
)
def test_spreadsheets_write_true_and_false_in_upper_case(
    rows_of: Callable[..., list[Row]], value: str, expected: bool
) -> None:
    (row,) = rows_of(f"user_id,admin\nbot,{value}\n")
    assert row.arguments["is_admin"] is expected


def test_a_row_of_json_with_everything(rows_of: Callable[..., list[Row]]) -> None:
    fields = {
        "user_id": "@bot:example.org",
        "display_name": "Bø\nt",
        "avatar": "mxc://example.org/a",
        "admin": True,
        "user_type": "bot",
        "external_id": "42",
        "adopt": True,
    }
    (row,) = rows_of(json.dumps(fields))
    assert row.matrix_user_id == "@bot:example.org"
    assert row.arguments["display_name"] == "Bø\nt"
    assert row.arguments["is_admin"] is row.arguments["adopt"] is True


@pytest.mark.parametrize(
    "content",
    [
        "user_id\nbot\n",
        "user_id\r\nbot\r\n",
        "user_id\nbot",
        "\n\nuser_id\n\nbot\n\n",
        "\ufeffuser_id\nbot\n",
        'user_id\n"bot"\n',
        HEADER + "bot,,,,,,\n",
        HEADER + "bot,,,FALSE,,,false\n",
        '{"user_id": "bot"}',
        '\ufeff\n {"user_id": "bot"}\n\n',
        '{"user_id": "bot", "display_name": null, "admin": null, "adopt": false}\r\n',
        '{"user_id": "bot", "display_name": "", "admin": "false"}\n',
    ],
    ids=ascii,
)
def test_what_is_absent_stays_as_it_is(rows_of: Callable[..., list[Row]], content: str) -> None:
    (row,) = rows_of(content)
    assert row.matrix_user_id == "@bot:example.org"
    assert row.arguments == NOTHING


def test_quoted_values_may_hold_anything(rows_of: Callable[..., list[Row]]) -> None:
    first, second = rows_of('display_name,user_id\n"A, ""B""\nC",a\nD,b\n')
    assert first.arguments["display_name"] == 'A, "B"\nC'
    assert (first.record.line, second.record.line) == (2, 4)


def test_an_avatar_may_be_a_file(rows_of: Callable[..., list[Row]], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    (row,) = rows_of("user_id,avatar\nbot,a.png\n")
    assert row.arguments["avatar"] == "a.png"


@pytest.mark.parametrize("name", ["users.json", "users.JSONL", "users.ndjson"])
def test_a_file_without_rows_is_no_mistake(rows_of: Callable[..., list[Row]], name: str) -> None:
    assert rows_of("", name) == []
    assert rows_of(HEADER) == []


def row_with(**fields: Any) -> str:
    return json.dumps({"user_id": "bot", **fields})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "users:1: there is no line with the names of the columns"),
        ("bot\n", "users:1: unknown column 'bot'; the columns are user_id, display_name,"),
        (
            "user_id;admin\nbot;true\n",
            "users:1: the columns have semicolons between them; export with commas",
        ),
        (
            "user_id\tadmin\nbot\ttrue\n",
            "users:1: the columns have tabs between them; export with commas",
        ),
        ("user_id,e-mail\nbot,x\n", "users:1: unknown column 'e-mail'; the columns are"),
        (
            "user_id,displayname\nbot,x\n",
            "unknown column 'displayname'; did you mean display_name?",
        ),
        ("user_id,Admin\nbot,yes\n", "users:1: unknown column 'Admin'; did you mean admin?"),
        ("user_id,admin,user_id\n", "users:1: the column user_id is there more than once"),
        ("display_name\nBot\n", "users:1: there is no column user_id"),
        ("user_id,admin\nbot\n", "users:2: has 1 values for 2 columns"),
        ("user_id\nbot,yes\n", "users:2: has 2 values for 1 columns"),
        ("user_id,admin\n,yes\n", "users:2: user_id: is missing"),
        ("user_id,admin\nbot,on\n", "users:2: admin: must be true or false, not 'on'"),
        ('user_id\n"bot\n', "users:2: is no valid CSV"),
        ('user_id\n"bot" x\n', "users:2: is no valid CSV"),
        (b"user_id,display_name\nbot,\xff\n", "users:2: display_name: is no valid UTF-8"),
        (f"user_id,display_name\nbot,{'x' * 200_000}\n", "users:2: is no valid CSV"),
        (f"user_id,display_name\nbot,{'x' * 2_000_000}\n", "users:2: is longer than 1048576 bytes"),
        ('[{"user_id": "bot"}]', "users:1: must be a JSON object: one for each line"),
        ('{"user_id": "bot"\n}', "users:1: is no valid JSON"),
        ('{"user_id": "bot", "user_id": "b"}', "users:1: is no valid JSON, or has a name twice"),
        ("{" * 2000, "users:1: is no valid JSON"),
        ('{"user_id": 1' + "0" * 5000 + "}", "users:1: is no valid JSON"),
        ("{}", "users:1: user_id: is missing"),
        (row_with(user_id=5), "users:1: user_id: must be a string"),
        (row_with(password="s3cret"), "users:1: unknown column 'password'; the columns are"),
        (row_with(admin="maybe"), "users:1: admin: must be true or false, not 'maybe'"),
        (row_with(adopt=1), "users:1: adopt: must be true or false, not 1"),
        (row_with(external_id=42), "users:1: external_id: must be a string"),
        (row_with(display_name="\ud800"), "users:1: display_name: is no valid UTF-8"),
        (row_with(avatar="https://x/y.png"), "users:1: avatar: there is no file 'https://x/y.png'"),
        (row_with(avatar="nowhere\0.png"), "users:1: avatar: there is no file"),
        (row_with(external_id="ä" * 513), "users:1: external_id: is longer than 1024 bytes"),
        (row_with(avatar="mxc://example.org"), "users:1: avatar: must be mxc://, a server's name"),
        (row_with(avatar="mxc://example.org/a/b"), "users:1: avatar: must be mxc://"),
        (row_with(avatar="."), "users:1: avatar: there is no file '.'"),
    ],
    ids=lambda value: ascii(value)[:50],
)
def test_a_mistake_is_told_with_file_line_and_column(
    mistakes_in: Callable[..., list[str]], content: str | bytes, expected: str
) -> None:
    mistakes = mistakes_in(content)
    assert expected in mistakes[0]
    assert "s3cret" not in "".join(mistakes)


@pytest.mark.parametrize(
    ("user_id", "expected"),
    [
        ("@bot", "'@bot' cannot be a user of example.org: this is no user id of the form"),
        ("@bot:example.com", "cannot be a user of example.org: the user id belongs to another"),
        ("@bot:x:example.org", "belongs to another homeserver"),
        ("@:example.org", "no user id of the form"),
        ("Bot", "'Bot' cannot be a user of example.org: a new user id is of the letters"),
        ("the bot", "the letters a to z, digits and"),
        ("bøt", "the letters a to z, digits and"),
        ("bot\n", "that does not print"),
        ("a//b", 'an empty, "." or ".." path segment'),
        ("a/../b", 'an empty, "." or ".." path segment'),
        ("b" * 243, "longer than 255 bytes"),
    ],
)
def test_a_user_id_that_is_none(
    mistakes_in: Callable[..., list[str]], user_id: str, expected: str
) -> None:
    (mistake,) = mistakes_in(json.dumps({"user_id": user_id}))
    assert mistake.startswith("users:1: user_id: ")
    assert expected in mistake
    assert len(mistake) < 250


@pytest.mark.parametrize(
    "user_id", ["b" * 242, "a/b", "../a", "a.b_c=d-e/f+g0", "@/..:example.org"]
)
def test_a_user_id_that_is_one(rows_of: Callable[..., list[Row]], user_id: str) -> None:
    (row,) = rows_of(json.dumps({"user_id": user_id}))
    assert row.matrix_user_id.endswith(":example.org")


def test_all_mistakes_are_told_at_once(mistakes_in: Callable[..., list[str]]) -> None:
    mistakes = mistakes_in(
        "user_id,admin,adopt\nThe Bot,on,off\nbot,,\nb,,nope\n@bot:example.org,,\n"
    )
    assert [mistake.split(": ")[:2] for mistake in mistakes] == [
        ["users:2", "user_id"],
        ["users:2", "admin"],
        ["users:2", "adopt"],
        ["users:4", "adopt"],
        ["users:5", "user_id"],
    ]
    assert mistakes[-1] == "users:5: user_id: @bot:example.org is in line 3 already"


def test_of_many_mistakes_the_first_are_told(mistakes_in: Callable[..., list[str]]) -> None:
    mistakes = mistakes_in("user_id\n" + "bot\n" * 101)
    assert len(mistakes) == MOST_PROBLEMS + 1
    assert mistakes[-1] == "... and 80 more"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("nowhere.csv", "No such file or directory"), (".", "Is a directory")],
)
def test_a_file_that_cannot_be_read(name: str, expected: str, tmp_path: Path) -> None:
    path = f"{tmp_path}/{name}"
    with pytest.raises(CommandError, match=expected), opened(path):
        pass


def test_standard_input_is_read_more_than_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.write(write, b"user_id\nbot\n")
    os.close(write)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(os.fdopen(read, "rb")))
    with opened("-") as source:
        assert os.fstat(source.file.fileno()).st_mode & 0o777 == 0o600
        assert source.path is None
        assert check_all(source, SERVER) == 1
        assert len(list(source.rows(SERVER))) == 1


MEMORY = """\
import resource, sys
from synapse_vault_auth_provider.cli.bulk.checking import check_all
from synapse_vault_auth_provider.cli.bulk.source import opened
with opened(sys.argv[1]) as source:
    rows = check_all(source, "example.org") + sum(1 for _ in source.rows("example.org"))
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_is_a_digest_for_each_user(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        path = tmp_path / "users.csv"
        with path.open("w") as file:
            file.write("user_id,external_id\n")
            file.writelines(f"a-bot-with-a-long-name-{n},{n}\n" for n in range(rows))
        shown = subprocess.run(
            [sys.executable, "-c", MEMORY, path], capture_output=True, text=True, check=True
        )
        counted, kilobytes = map(int, shown.stdout.split())
        assert counted == 2 * rows
        return kilobytes

    assert peak(150_000) - peak(1000) < 150_000 * 160 / 1024
