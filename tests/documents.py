"""The manual, taken apart: its examples, its headings, its links and its tables."""

from __future__ import annotations

import re
import shlex
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .pythons import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

MAS = ROOT / "docs" / "mas.md"

PROVISIONING = ROOT / "docs" / "provisioning.md"

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)$")
_HEADING = re.compile(r"^#+ (?P<title>.+)$")
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_HEREDOC = re.compile(
    r"^(?P<command>.*) <<'(?P<end>\w+)'$\n(?P<text>(?:.*\n)*?)(?P=end)$", re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """An example between fences."""

    document: Path
    line: int
    """The line of the opening fence, from 1 on."""

    language: str
    text: str

    def __str__(self) -> str:
        """Say where it is, as tests are called after it."""
        return f"{self.document.name}:{self.line}"


@dataclass(frozen=True)
class Heredoc:
    """What an example in shell feeds into a command."""

    command: str
    text: str


def blocks(document: Path, *languages: str) -> Iterator[Block]:
    """Return the examples of a document, or those in some languages.

    They are without the indentation that they have in lists.
    """
    opening: re.Match[str] | None = None
    start, inside = 0, list[str]()
    for number, line in enumerate(document.read_text().splitlines(), 1):
        fence = _FENCE.match(line)
        if opening is None:
            if fence:
                opening, start, inside = fence, number, []
        elif fence and not fence["language"] and fence["indent"] == opening["indent"]:
            text = textwrap.dedent("\n".join(inside)) + "\n"
            if not languages or opening["language"] in languages:
                yield Block(document, start, opening["language"], text)
            opening = None
        else:
            inside.append(line)
    assert opening is None, f"{document.name}:{start}: the example has no end"


def all_blocks(*languages: str) -> list[Block]:
    """Return the examples of all documents, or those in some languages."""
    return [block for document in DOCUMENTS for block in blocks(document, *languages)]


def heredocs(block: Block) -> list[Heredoc]:
    """Return what an example in shell feeds into its commands."""
    return [Heredoc(found["command"], found["text"]) for found in _HEREDOC.finditer(block.text)]


def commands(script: str) -> Iterator[list[str]]:
    """Return the simple commands of a script, word by word, as far as they fit into one line.

    Pipes and lists are taken apart; the content of here-documents is left out.
    """
    script = _HEREDOC.sub(lambda found: found["command"], script).replace("\\\n", " ")
    for line in script.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        command: list[str] = []
        try:
            for word in lexer:
                if word.strip("|&;()") == "":
                    yield command
                    command = []
                else:
                    command.append(word)
        except ValueError:
            continue  # A string goes on in the next line, and such commands are none of ours.
        yield command


def prose(document: Path) -> str:
    """Return a document without its examples."""
    return re.sub(r"^ *```.*?^ *```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them up."""
    titles = [
        found["title"] for found in map(_HEADING.match, prose(document).splitlines()) if found
    ]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(document: Path) -> list[str]:
    """Return where a document's links lead to."""
    return [found["target"] for found in _LINK.finditer(prose(document))]


def table(document: Path, first_column: str) -> list[list[str]]:
    """Return the rows of the table whose first column has this name, cell by cell."""
    lines = iter(document.read_text().splitlines())
    for line in lines:
        if line.startswith(f"| {first_column} |"):
            next(lines)
            break
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows
