"""The file `results.json`, from which the table and the charts are made."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .figures import Bars, Figure, Goal, Result

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BENCHMARKS = (
    "token_hash",
    "lookup",
    "reactor_cpu",
    "whole_logins",
    "far_logins",
    "slow_vault",
    "mas_logins",
    "secrets_engine",
    "cache_hit",
    "memory_use",
    "footprint",
    "growth",
    "timing",
)
"""The modules with a benchmark, in the order in which they run and are shown."""


@dataclass(frozen=True)
class Recorded:
    """What one benchmark found, when and where."""

    result: Result
    date: str
    environment: Mapping[str, str]


def load(file: Path) -> dict[str, Recorded]:
    """Return what was recorded of each benchmark, in their order; nothing if there is no file."""
    if not file.exists():
        return {}
    found = json.loads(file.read_text(encoding="utf-8"))
    return {name: _recorded(found[name]) for name in BENCHMARKS if name in found}


def save(file: Path, recorded: Mapping[str, Recorded]) -> None:
    """Replace the file."""
    content = {name: asdict(recorded[name]) for name in BENCHMARKS if name in recorded}
    text = json.dumps(content, indent=2, ensure_ascii=False)
    # The rounds of a figure fit beside each other.
    text = re.sub(
        r"\[\s+([-\d.e+,\s]+?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", text
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(text + "\n", encoding="utf-8")
    # Whoever interrupts this has the old file or the new one.
    new.replace(file)


def _recorded(found: dict[str, Any]) -> Recorded:
    result = found["result"]
    return Recorded(
        Result(
            result["title"],
            tuple(map(_figure, result["figures"])),
            tuple(map(_chart, result["charts"])),
        ),
        found["date"],
        found["environment"],
    )


def _figure(found: dict[str, Any]) -> Figure:
    goal = Goal(**found["goal"]) if found["goal"] else None
    return Figure(**{**found, "rounds": tuple(found["rounds"]), "goal": goal})


def _chart(found: dict[str, Any]) -> Bars:
    rounds = {name: tuple(values) for name, values in found["rounds"].items()}
    return Bars(**{**found, "rounds": rounds})
