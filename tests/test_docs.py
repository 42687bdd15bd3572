"""The manual's examples are right: they parse, and name only what there is.

What it says of Vault is for `e2e/test_docs.py`.
"""

from __future__ import annotations

import ast
import configparser
import importlib
import inspect
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml
from synapse_vault_auth_provider import provisioning
from synapse_vault_auth_provider.cli.bulk.checking import check_all
from synapse_vault_auth_provider.cli.bulk.source import opened
from synapse_vault_auth_provider.cli.command import NAME, synapse_vault

from .documents import (
    DOCUMENTS,
    PROVISIONING,
    Block,
    all_blocks,
    anchors,
    commands,
    heredocs,
    links,
    prose,
    table,
)
from .pythons import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHECKED_HERE = {"caddy", "csv", "ini", "js", "json", "jsonl", "python", "sh", "yaml"}

CHECKED_ELSEWHERE = {"go", "hcl", "nginx", "rust"}

NOT_CHECKED = {"dockerfile", "mermaid", "text"}

PACKAGE = "synapse_vault_auth_provider"

HASHED = "YourRandomString"
"""The secret in the examples of a token hash, which need nothing else to run."""


def each(*languages: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", all_blocks(*languages), ids=str)


def test_every_example_says_what_it_is_written_in() -> None:
    languages = {block.language for block in all_blocks()}
    assert languages <= CHECKED_HERE | CHECKED_ELSEWHERE | NOT_CHECKED


@each("yaml")
def test_yaml(block: Block) -> None:
    assert isinstance(yaml.safe_load(block.text), dict)


@each("json")
def test_json(block: Block) -> None:
    assert isinstance(json.loads(block.text), dict)


@each("sh")
def test_shell(block: Block) -> None:
    run(["bash", "-n"], block.text)


@each("sh")
def test_what_is_fed_into_commands(block: Block) -> None:
    for heredoc in heredocs(block):
        if heredoc.text.startswith("{"):
            assert isinstance(json.loads(heredoc.text), dict)


@each("js")
def test_javascript(block: Block) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node here")
    run([node, "--check", "-"], block.text)


@each("python")
def test_python(block: Block) -> None:
    tree = ast.parse(block.text, str(block))
    compile(tree, str(block), "exec")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            module = importlib.import_module(node.module or "")
            for name in node.names:
                assert hasattr(module, name.name), name.name


@each("python")
def test_python_calls_the_provisioner_with_parameters_that_it_has(block: Block) -> None:
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            verb = getattr(provisioning.Provisioner, node.func.attr, None)
            if verb is not None:
                known = inspect.signature(verb).parameters
                assert {keyword.arg for keyword in node.keywords} <= set(known)


@pytest.mark.parametrize(
    "block",
    [
        block
        for block in all_blocks("python", "js", "sh")
        if HASHED in block.text and block.document.name == "README.md"
    ],
    ids=str,
)
def test_examples_of_a_token_hash_print_what_the_manual_says(block: Block) -> None:
    interpreter = {"python": sys.executable, "js": shutil.which("node"), "sh": "bash"}
    command = interpreter[block.language]
    if command is None:
        pytest.skip("there is no Node here")
    (documented,) = {
        found["token_hash"]
        for found in (json.loads(other.text) for other in all_blocks("json"))
        if "token_hash" in found
    }
    assert run([command], block.text).split() == [documented]


@each("csv", "jsonl")
def test_files_for_a_bulk_import(block: Block, tmp_path: Path) -> None:
    file = tmp_path / f"users.{block.language}"
    file.write_text(block.text)
    with opened(str(file)) as source:
        assert check_all(source, "example.org") == len(block.text.splitlines()) - (
            block.language == "csv"
        )


@each("ini")
def test_units(block: Block, tmp_path: Path) -> None:
    # Keys may be there more than once.
    unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters=["="])
    unit.read_file(io.StringIO(block.text))
    assert set(unit.sections()) <= {"Unit", "Service", "Timer", "Install"}
    analyze = shutil.which("systemd-analyze")
    if analyze is None or not unit.has_option("Service", "ExecStart"):
        return
    file = tmp_path / "example.service"
    # The programs of the example are not here.
    file.write_text(re.sub(r"^(Exec\w+=)\S+", r"\1/bin/true", block.text, flags=re.MULTILINE))
    result = subprocess.run(
        [analyze, "verify", "--man=no", file], capture_output=True, text=True, check=False
    )
    assert str(file) not in result.stderr, result.stderr


@each("caddy")
def test_caddyfiles(block: Block, tmp_path: Path) -> None:
    caddy = shutil.which("caddy")
    if caddy is None:
        pytest.skip("there is no Caddy here")
    file = tmp_path / "Caddyfile"
    file.write_text(block.text)
    run([caddy, "adapt", "--adapter", "caddyfile", "--config", str(file)], "")


def calls_of_ours() -> list[list[str]]:
    """Return what our own command is called with: in scripts, units, YAML and between the lines."""
    written = [script for block in all_blocks("sh", "ini", "yaml") for script in scripts(block)]
    for document in DOCUMENTS:
        written += re.findall(rf"`({NAME} [^`]+)`", prose(document).replace("\n", " "))
    return [
        words[1:]
        for script in written
        for words in map(without_sudo, commands(script))
        # What has no verb is about the command as a whole.
        if words and words[0].rpartition("/")[2] == NAME and verbs_in(words)
    ]


def scripts(block: Block) -> Iterator[str]:
    if block.language == "sh":
        yield block.text
    elif block.language == "ini":
        yield from re.findall(r"^ExecStart=(.+)$", block.text, re.MULTILINE)
    else:
        yield from strings(yaml.safe_load(block.text))


def strings(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


def without_sudo(words: list[str]) -> list[str]:
    return words[1:] if words[:1] == ["sudo"] else words


def verbs_in(words: list[str]) -> list[str]:
    return [word for word in words if word in synapse_vault.commands]


@pytest.mark.parametrize("arguments", calls_of_ours(), ids=shlex.join)
def test_our_command_has_these_options(arguments: list[str]) -> None:
    if ">" in arguments:
        arguments = arguments[: arguments.index(">")]
    verb = verbs_in(arguments)[0]
    position = arguments.index(verb)
    # Mistakes raise what the command would print; nothing is run.
    group = synapse_vault.make_context(NAME, arguments[: position + 1])
    synapse_vault.commands[verb].make_context(verb, arguments[position + 1 :], parent=group)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in links(document):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        file = document.parent / path if path else document
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_contents_name_every_section(document: Path) -> None:
    sections = re.findall(r"^## (.+)$", prose(document), re.MULTILINE)
    linked = re.findall(r"^\[(.+)\]\(#.+\)(?: ·)?$", document.read_text(), re.MULTILINE)
    assert set(sections) <= set(linked)


def test_the_manual_knows_all_environment_variables() -> None:
    core = (ROOT / "src" / "settings" / "sources.rs").read_text()
    read = set(re.findall(r'"(SYNAPSE_VAULT_\w+)"', core))
    documented = set(re.findall(r"SYNAPSE_VAULT_\w+", " ".join(map(str, settings()))))
    ours = {option.envvar for option in synapse_vault.params if isinstance(option.envvar, str)}
    assert read
    assert documented == read | ours


def test_the_manual_knows_all_options_before_the_verb() -> None:
    documented = set(re.findall(r"`(--?[\w-]+)`", " ".join(row[1] for row in settings())))
    options = {
        name
        for option in synapse_vault.params
        for name in option.opts
        if name not in ("--version", "-h", "--help")
    }
    assert documented == options


def settings() -> list[list[str]]:
    return table(PROVISIONING, "Parameter")


def test_the_manual_knows_all_exceptions() -> None:
    documented = {row[0].strip("`") for row in table(PROVISIONING, "Exception")}
    raised = {name for name in provisioning.__all__ if name.endswith("Error")}
    assert documented == raised


def run(command: list[str], script: str) -> str:
    result = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout
