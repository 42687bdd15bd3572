"""The Python interpreters of this machine, each with Synapse and the wheel under test.

The wheel is one file for every CPython from 3.10 on, so the tests that depend on the interpreter
run on all that are found: those on the search path, those of pyenv, and those of uv.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

OLDEST = (3, 10)
"""Oldest version that the wheel is for."""

_REQUIREMENTS = ROOT / "requirements" / "synapse.txt"
_UV = Path(sysconfig.get_path("scripts")) / "uv"


@dataclass(frozen=True)
class Interpreter:
    """A CPython."""

    version: tuple[int, int, int]
    executable: Path

    @property
    def name(self) -> str:
        """The minor version alone, such as 3.12: there is one interpreter of each."""
        return f"{self.version[0]}.{self.version[1]}"

    def __str__(self) -> str:
        return f"cpython{self.name}"


@functools.cache
def interpreters() -> list[Interpreter]:
    """Return the newest interpreter of each minor version, the one that runs the tests first."""
    running = Interpreter(sys.version_info[:3], Path(sys.executable))
    found = {running.version[:2]: running}
    for candidate in sorted(_installed(), key=lambda one: one.version, reverse=True):
        if candidate.version >= OLDEST:
            found.setdefault(candidate.version[:2], candidate)
    others = [found[minor] for minor in sorted(found) if found[minor] is not running]
    return [running, *others]


def python_with_synapse(interpreter: Interpreter) -> Path:
    """Return an interpreter of the same version that has Synapse and the wheel installed.

    For the one that runs the tests that is itself, which `make install` has seen to. The others
    get environments that are kept until the wheel or Synapse's requirements change.
    """
    if interpreter == interpreters()[0]:
        return interpreter.executable
    directory = ROOT / ".venvs" / interpreter.name
    directory.parent.mkdir(exist_ok=True)
    with directory.with_name(f"{interpreter.name}.lock").open("w") as lock:
        # Of the processes that share the tests, one makes it while the others wait.
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _up_to_date(directory, interpreter)


def _up_to_date(directory: Path, interpreter: Interpreter) -> Path:
    python = directory / "bin" / "python"
    contents = [repr(interpreter).encode(), _REQUIREMENTS.read_bytes(), wheel().read_bytes()]
    wanted = [hashlib.sha256(content).hexdigest() for content in contents]
    stamp = directory / "stamp"
    found = stamp.read_text().split() if stamp.exists() else []
    if found[:2] != wanted[:2]:
        uv("venv", "--clear", "--python", interpreter.executable, directory)
        uv("pip", "install", "--python", python, "--require-hashes", "-r", _REQUIREMENTS)
    if found != wanted:
        # The wheel alone is another one after most changes.
        stamp.unlink(missing_ok=True)
        uv("pip", "install", "--python", python, "--no-deps", "--reinstall", wheel())
        stamp.write_text(" ".join(wanted))
    return python


def wheel() -> Path:
    """Return the wheel under test, which `make install` has built."""
    wheels = list((ROOT / "target" / "wheels-dev").glob("*.whl"))
    if len(wheels) != 1:
        raise RuntimeError(f"expected one wheel and found {len(wheels)}: run `make install` first")
    return wheels[0]


def uv(*arguments: str | Path) -> str:
    """Run uv and return what it prints to its standard output."""
    result = subprocess.run(
        [_UV, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": _search_path(), "UV_PYTHON_DOWNLOADS": "never"},
    )
    if result.returncode != 0:
        raise RuntimeError(f"uv {' '.join(map(str, arguments))}: {result.stderr}")
    return result.stdout


def _installed() -> list[Interpreter]:
    # uv starts every one it lists, so a shim of pyenv's that leads nowhere is not among them.
    listed = json.loads(uv("python", "list", "--only-installed", "--output-format", "json"))
    found = []
    for one in listed:
        if one["implementation"] == "cpython" and one["variant"] == "default":
            parts = one["version_parts"]
            version = (parts["major"], parts["minor"], parts["patch"])
            found.append(Interpreter(version, Path(one["path"])))
    return found


@functools.cache
def _search_path() -> str:
    """Return the search path with those of pyenv's interpreters on it that are not selected."""
    root = os.environ.get("PYENV_ROOT")
    if root is None and (pyenv := shutil.which("pyenv")):
        root = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=True).stdout
    own = sorted(map(str, Path(root.strip()).glob("versions/*/bin"))) if root else []
    return os.pathsep.join([*own, os.environ.get("PATH", os.defpath)])
