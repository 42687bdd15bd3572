"""`docs/operations.md` explains all that the module says: outcomes, reasons, lines, metrics."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from .pythons import ROOT
from .sections import code, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = "operations.md"

CORE = sorted((ROOT / "src").rglob("*.rs"))
PYTHON = [
    path
    for folder in (".", "mas")
    for path in sorted((ROOT / "python" / "synapse_vault_auth_provider" / folder).glob("*.py"))
]

NOT_OF_LOGINS = {"provisioning", "homeserver", "diagnosis.rs", "v2.rs", "secrets_engine.rs"}
"""What only the provisioning helper says, which `docs/provisioning.md` explains."""

_STRING = r'"(?P<text>(?:[^"\\]|\\.)*)"'
_FORMATTED = r"(?:format!\(\s*)?" + _STRING
_NOTICE = re.compile(
    r"\.(?P<level>info|warning|error)\(\s*(?:" + _FORMATTED + r"|(?P<name>\w+)\()", re.DOTALL
)
_REASON = re.compile(
    r"(?:VaultError::Unexpected|Entry::Unusable|Self::Unusable)\(\s*"
    + _FORMATTED
    + r"|(?:Outcome|Self)::new\(\s*Code::\w+,\s*"
    + _FORMATTED.replace("text", "outcome")
    + r"|let reason =\s*"
    + _FORMATTED.replace("text", "reason"),
    re.DOTALL,
)
_ERROR = re.compile(r"#\[error\(\s*" + _STRING, re.DOTALL)

ERRORS_OF_LOGINS = ["vault/error.rs", "login/decision.rs", "user_id.rs"]
"""Where the errors are defined whose texts are reasons."""


def sources() -> Iterator[tuple[Path, str]]:
    """Return the Rust files that a login goes through, without the tests at their ends."""
    for path in CORE:
        parts = set(path.relative_to(ROOT / "src").parts)
        if path.name not in ("tests.rs", "notice.rs") and not parts & NOT_OF_LOGINS:
            yield path, path.read_text().partition("#[cfg(test)]\nmod tests {")[0]


def example_of(text: str) -> str:
    """Return a line that a format string may become."""
    text = re.sub(r"\\\n\s*", "", text).replace('\\"', '"')
    return re.sub(r"\{[^}]*\}", "X", text.replace("{quote}", ""))


def is_explained(line: str, cell: str) -> bool:
    """Tell whether a cell has this line, with its variable parts in capitals or left out."""
    for shown in code(cell):
        pattern = re.escape(shown).replace(r"\ \(\.\.\.\)", ".*").replace(r"\.\.\.", ".*")
        pattern = re.sub(r"\b[A-Z]+\b(?!\w)", ".+", pattern)
        if re.fullmatch(rf"{pattern}(?: \(.*)?", line):
            return True
    return False


def outcome_codes() -> dict[str, str]:
    """Return each outcome with the level of its line."""
    source = (ROOT / "src" / "login" / "outcome.rs").read_text()
    names = dict(re.findall(r'Self::(\w+) => "(\w+)"', source))
    severities = source.partition("fn severity")[2].partition("\n    }\n}")[0]
    levels = {}
    for arm, severity in re.findall(r"((?:Self::\w+[\s|]*)+)=> Severity::(\w+)", severities):
        for name in re.findall(r"Self::(\w+)", arm):
            levels[names[name]] = {"Accepted": "INFO", "Refused": "WARNING", "Failed": "ERROR"}[
                severity
            ]
    assert set(levels) == set(names.values())
    return levels


def test_every_outcome_is_explained_with_its_level() -> None:
    documented = {code(row["Outcome"])[0]: row["Level"] for row in rows(PAGE, "Outcomes")}
    assert documented == outcome_codes()


def test_every_reason_belongs_to_an_outcome() -> None:
    for row in rows(PAGE, "Reasons"):
        assert set(code(row["Outcome"])) <= set(outcome_codes()), row


def reasons() -> list[str]:
    found = [
        error["text"]
        for path in ERRORS_OF_LOGINS
        for error in _ERROR.finditer((ROOT / "src" / path).read_text())
    ]
    for _, source in sources():
        for reason in _REASON.finditer(source):
            text = reason["text"] or reason["outcome"] or reason["reason"]
            found.append(text)
    # The second is what the secrets engine says to the provisioning helper.
    return sorted({example_of(text) for text in found} - {"X", "X refuses: X"})


@pytest.mark.parametrize("reason", reasons())
def test_every_reason_is_explained(reason: str) -> None:
    assert any(is_explained(reason, row["Reason"]) for row in rows(PAGE, "Reasons"))


def notices() -> list[tuple[str, str]]:
    """Return level and text of what the core says of no login."""
    found = []
    for _, source in sources():
        for call in _NOTICE.finditer(source):
            text = call["text"]
            if text is None:
                # A closure of the same file makes up the text.
                closure = rf"let {call['name']} = \|[^|]*\| \{{\s*format!\(\s*{_STRING}"
                (text,) = re.findall(closure, source, re.DOTALL)
            found.append((call["level"].upper(), example_of(text)))
    return sorted(set(found))


def test_no_notice_is_overlooked() -> None:
    for path, source in sources():
        calls = re.findall(r"notices(?:\(\))?\s*\.(?:info|warning|error)\(", source)
        assert len(calls) == len(_NOTICE.findall(source)), path
    assert len(notices()) > 5


@pytest.mark.parametrize(("level", "text"), notices())
def test_every_line_of_no_login_is_explained_with_its_level(level: str, text: str) -> None:
    lines = rows(PAGE, "Lines of no login")
    assert any(level in row["Level"] and is_explained(text, row["Line"]) for row in lines)


def test_what_the_python_side_says_is_explained() -> None:
    source = "\n".join(path.read_text() for path in PYTHON)
    said = re.findall(r"logger\.(?:debug|info|warning|error|exception)\(\s*" + _STRING, source)
    said += [f"{what}: X" for what in re.findall(r"_failures\.log\(\s*\"([^\"]+)\"", source)]
    lines = rows(PAGE, "Lines of no login")
    assert any(said)
    for text in filter(lambda text: text != "%s", said):
        assert any(is_explained(text.replace("%s", "X"), row["Line"]) for row in lines), text


def test_every_metric_is_explained() -> None:
    source = (ROOT / "python" / "synapse_vault_auth_provider" / "metrics.py").read_text()
    called = re.findall(r'(\w+)\(\s*"(synapse_vault_auth_\w+)"', source)
    # Monitoring sees counters under a longer name.
    metrics = {name + "_total" * kind.startswith("Counter") for kind, name in called}
    documented = [code(row["Metric"])[0] for row in rows("metrics.md", "The metrics")]
    assert set(documented) == metrics
    assert len(documented) == len(metrics)


@pytest.mark.parametrize("page", ["metrics.md", PAGE])
def test_every_alert_is_explained(page: str) -> None:
    rules = ROOT / "contrib" / "prometheus" / "synapse-vault-auth.rules.yml"
    groups = yaml.safe_load(rules.read_text())["groups"]
    named = {rule["alert"] for group in groups for rule in group["rules"]}
    assert {code(row["Alert"])[0] for row in rows(page, "Alerts")} == named
