"""The examples of a token hash in `docs/protocol.md`, against the known vectors.

Each example hashes the same secret and user id, which are replaced by those of a vector.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from .documents import Block, blocks
from .pythons import ROOT
from .sections import code, rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAGE = ROOT / "docs" / "protocol.md"
CASES = json.loads((ROOT / "tests/vectors/token_hash.json").read_text(encoding="utf-8"))["cases"]

LOGIN_SECRET = "YourRandomString"
USER_ID = "@alice:example.org"

QUOTES: dict[str, Callable[[str], str]] = {
    "sh": lambda text: "'" + text.replace("'", r"'\''") + "'",
    **dict.fromkeys(("python", "js", "go"), lambda text: json.dumps(text, ensure_ascii=False)),
}
"""How a language writes a string."""

INTERPRETERS = {"sh": "bash", "python": sys.executable, "js": "node"}

CRATES = {"hmac": "0.13", "sha2": "0.11"}
"""What the page says that the Rust example needs."""

EXAMPLES = [block for block in blocks(PAGE) if LOGIN_SECRET in block.text]


def in_languages(*languages: str) -> pytest.MarkDecorator:
    found = [block for block in EXAMPLES if block.language in languages]
    return pytest.mark.parametrize("example", found, ids=str)


def test_there_is_an_example_in_every_language() -> None:
    assert {block.language for block in EXAMPLES} == {"sh", "python", "js", "go", "rust"}


def test_the_vectors_on_the_page_are_known_ones() -> None:
    known = {(case["login_secret"], case["user_id"], case["token_hash"]) for case in CASES}
    shown = [
        tuple(code(cell)[0] for cell in row.values()) for row in rows(PAGE.name, "Test vectors")
    ]
    assert shown
    assert set(shown) <= known


def test_every_token_hash_on_the_page_is_that_of_the_first_vector() -> None:
    hashed = {
        found
        for block in blocks(PAGE)
        if block.language == "json"
        for found in values(json.loads(block.text), {"token_hash", "password"})
    }
    assert hashed == {CASES[0]["token_hash"]}


def values(body: object, names: set[str]) -> list[str]:
    """Return the values of these fields, however deep they lie."""
    if isinstance(body, list):
        return [found for item in body for found in values(item, names)]
    if not isinstance(body, dict):
        return []
    own = [value for name, value in body.items() if name in names]
    return own + [found for value in body.values() for found in values(value, names)]


@in_languages("sh", "python", "js")
@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_an_example_computes_every_vector(example: Block, case: dict[str, str]) -> None:
    interpreter = shutil.which(INTERPRETERS[example.language])
    if interpreter is None:
        pytest.skip(f"{INTERPRETERS[example.language]} is not installed")
    program = with_case(example, case)
    assert run([interpreter], program) == f"{case['token_hash']}\n"


@in_languages("go")
def test_the_go_example_computes_every_vector(example: Block, tmp_path: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed")
    for number, case in enumerate(CASES):
        program = tmp_path / f"example{number}.go"
        program.write_text(with_case(example, case))
        assert run([go, "run", str(program)]) == f"{case['token_hash']}\n"


@in_languages("rust")
def test_the_rust_example_computes_every_vector(
    example: Block, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if shutil.which("cargo") is None:
        pytest.skip("Rust is not installed")
    project = tmp_path_factory.mktemp("rust")
    crates = "\n".join(f'{name} = "{version}"' for name, version in CRATES.items())
    (project / "Cargo.toml").write_text(
        '[package]\nname = "documented"\nversion = "0.0.0"\nedition = "2024"\n'
        f"[workspace]\n[dependencies]\n{crates}\n"
    )
    # The versions that the core is built with are on this machine already.
    shutil.copy(ROOT / "Cargo.lock", project)
    (project / "src" / "bin").mkdir(parents=True)
    (project / "src" / "bin" / "example.rs").write_text(example.text)
    (project / "src" / "bin" / "vectors.rs").write_text(
        '#[allow(dead_code)]\n#[path = "example.rs"]\nmod example;\n'
        "fn main() {\n"
        "    let arguments: Vec<String> = std::env::args().skip(1).collect();\n"
        "    for case in arguments.chunks(2) {\n"
        '        println!("{}", example::token_hash(&case[0], &case[1]).unwrap());\n'
        "    }\n}\n"
    )
    target = ROOT / "target" / "documented"
    environment = {
        **os.environ,
        "CARGO_TARGET_DIR": os.environ.get("CARGO_TARGET_DIR", str(target)),
    }
    cargo = ["cargo", "run", "--quiet", "--offline", f"--manifest-path={project / 'Cargo.toml'}"]
    printed = run([*cargo, "--bin=example"], environment=environment)
    assert printed == f"{CASES[0]['token_hash']}\n"
    arguments = [text for case in CASES for text in (case["login_secret"], case["user_id"])]
    printed = run([*cargo, "--bin=vectors", "--", *arguments], environment=environment)
    assert printed.split() == [case["token_hash"] for case in CASES]


@in_languages("go", "rust")
def test_an_example_that_may_not_run_here_hashes_what_the_others_do(example: Block) -> None:
    # Where the language is not installed this is all that can be said of it.
    assert f'("{LOGIN_SECRET}", "{USER_ID}")' in example.text
    for left, right in ("()", "{}", "[]"):
        assert example.text.count(left) == example.text.count(right)


def with_case(example: Block, case: dict[str, str]) -> str:
    """Return the example with the secret and the user id of a vector."""
    quote = QUOTES[example.language]
    program = example.text
    for shown, meant in ((LOGIN_SECRET, case["login_secret"]), (USER_ID, case["user_id"])):
        assert program.count(quote(shown)) == 1
        program = program.replace(quote(shown), quote(meant))
    return program


def run(command: list[str], script: str = "", environment: dict[str, str] | None = None) -> str:
    result = subprocess.run(
        command, input=script, capture_output=True, text=True, env=environment, check=False
    )
    assert result.returncode == 0, f"{shlex.join(command[:2])}: {result.stderr}"
    return result.stdout
