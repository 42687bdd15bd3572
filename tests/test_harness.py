"""What runs against servers shares them by the harness, and borrows nothing from another."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from .pythons import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

USERS = ("tests.e2e", "tests.cluster", "benches")
"""Who uses the harness."""

MAY_USE = {
    **{user: {user, "tests.harness", "tests.servers"} for user in USERS},
    "tests.harness": {"tests.harness", "tests.servers"},
    "tests.servers": {"tests.servers"},
}
"""Which of these each of these may import."""


@pytest.mark.parametrize("package", MAY_USE)
def test_nobody_borrows(package: str) -> None:
    borrowed = {
        f"{module} imports {name}"
        for module, name in imports(package)
        for other in MAY_USE.keys() - MAY_USE[package]
        if f"{name}.".startswith(f"{other}.")
    }
    assert not borrowed


def test_what_is_imported_is_found() -> None:
    found = set(imports("tests.e2e"))
    assert ("tests.e2e.conftest", "tests.harness.stack") in found
    assert ("tests.e2e.test_workers", "tests.e2e.conftest") in found


def imports(package: str) -> Iterator[tuple[str, str]]:
    """Yield the modules of a package, each with the full name of every module that it imports."""
    for path in (ROOT / package.replace(".", "/")).rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        module = ".".join(parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((module, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = parts[: len(parts) - node.level] if node.level else ()
                name = ".".join((*base, *([node.module] if node.module else [])))
                yield module, name
                # What is named may be a module itself: from tests import harness.
                yield from ((module, f"{name}.{alias.name}") for alias in node.names)
