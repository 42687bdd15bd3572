"""What is delivered: one wheel for every CPython from 3.10 on, and the sources to build it from."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from .pythons import ROOT, Interpreter, interpreters, uv, wheel

pytestmark = pytest.mark.long

VECTORS = ROOT / "tests" / "vectors" / "token_hash.json"

IMPORT_REPORT = """\
import json, os, sys, time
start = time.perf_counter()
import synapse_vault_auth_provider as package
milliseconds = (time.perf_counter() - start) * 1000
threads = len(os.listdir("/proc/self/task"))
cases = json.load(open(sys.argv[1], encoding="utf-8"))["cases"]
print(json.dumps({
    "file": package.__file__,
    "hashes": [package.token_hash(case["login_secret"], case["user_id"]) for case in cases],
    "milliseconds": milliseconds,
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
    "python": list(sys.version_info[:2]),
    "threads": threads,
    "version": package.__version__,
}))
"""

each_interpreter = pytest.mark.parametrize("interpreter", interpreters(), ids=str)


@pytest.fixture(scope="module")
def version() -> str:
    found = re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)
    assert found
    return found[1]


@pytest.fixture(scope="module")
def wheel_files() -> dict[str, bytes]:
    with zipfile.ZipFile(wheel()) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def source_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sdist")
    run([tool("maturin"), "sdist", "--out", directory], cwd=ROOT)
    return next(directory.glob("*.tar.gz"))


def tool(name: str) -> Path:
    return Path(sysconfig.get_path("scripts")) / name


def run(command: list[str | Path], cwd: Path, **environment: str) -> str:
    result = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def unpack(source_archive: Path, directory: Path) -> None:
    """Have in a directory what is in the archive, and write no file that is there already.

    Cargo builds again what was written later than it was built.
    """
    with tarfile.open(source_archive) as archive:
        contents = {
            directory / member.name.partition("/")[2]: file.read()
            for member in archive.getmembers()
            if (file := archive.extractfile(member)) is not None
        }
    for path in directory.rglob("*"):
        if path.is_file() and path not in contents:
            path.unlink()
    for path, content in contents.items():
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def test_the_wheel_is_for_every_cpython_from_3_10_on(version: str) -> None:
    name, wheel_version, python, abi, _platform = wheel().stem.split("-")
    assert (name, wheel_version) == ("synapse_vault_auth_provider", version)
    assert (python, abi) == ("cp310", "abi3")


def test_the_wheel_holds_both_packages_with_types_and_licence(
    wheel_files: dict[str, bytes], version: str
) -> None:
    package = "synapse_vault_auth_provider"
    metadata = f"{package}-{version}.dist-info"
    assert {
        "synapse-vault-auth-provider/__init__.py",
        f"{package}/__init__.py",
        f"{package}/_core.abi3.so",
        f"{package}/_core.pyi",
        f"{package}/py.typed",
        f"{metadata}/licenses/LICENSE",
    } <= wheel_files.keys()
    roots = {name.partition("/")[0] for name in wheel_files}
    assert roots == {package, "synapse-vault-auth-provider", metadata}


def test_the_wheel_asks_for_no_other_distribution(
    wheel_files: dict[str, bytes], version: str
) -> None:
    metadata = wheel_files[f"synapse_vault_auth_provider-{version}.dist-info/METADATA"]
    headers = HeaderParser().parsestr(metadata.decode())
    assert headers["Version"] == version
    assert headers["Requires-Python"] == ">=3.10"
    required = headers.get_all("Requires-Dist", [])
    assert [one for one in required if "extra ==" not in one] == []


@each_interpreter
def test_the_wheel_alone_imports(interpreter: Interpreter, version: str, tmp_path: Path) -> None:
    uv(
        "pip", "install", "--no-deps", "--python", interpreter.executable,
        "--target", tmp_path / "site", wheel(),
    )  # fmt: skip
    # -S keeps out what is installed beside it.
    command: list[str | Path] = [interpreter.executable, "-S", "-c", IMPORT_REPORT, VECTORS]
    report = json.loads(run(command, cwd=tmp_path, PYTHONPATH=str(tmp_path / "site")))
    assert tuple(report["python"]) == interpreter.version[:2]
    assert report["file"].startswith(str(tmp_path))
    assert report["version"] == version
    cases = json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]
    assert report["hashes"] == [case["token_hash"] for case in cases]
    assert not {"asyncio", "logging", "synapse", "twisted"} & set(report["modules"])
    assert report["threads"] == 1
    sys.stdout.write(f"{interpreter}: imported in {report['milliseconds']:.1f} ms\n")


def test_the_type_stubs_agree_with_the_extension_module(tmp_path: Path) -> None:
    # Away from the sources, where the stub would be found without the module.
    run([sys.executable, "-m", "mypy.stubtest", "synapse_vault_auth_provider._core"], cwd=tmp_path)


def test_the_sources_hold_all_that_building_and_testing_the_core_needs(
    source_archive: Path,
) -> None:
    with tarfile.open(source_archive) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "pyproject.toml"}
    needed |= {"tests/vectors/token_hash.json"}
    for folder in ("src", "python"):
        files = (ROOT / folder).rglob("*.*")
        needed |= {str(path.relative_to(ROOT)) for path in files if path.suffix != ".pyc"}
    assert not needed - names


def test_a_wheel_can_be_built_from_the_sources_alone(source_archive: Path, tmp_path: Path) -> None:
    # Always the same place, so that what was built of it before is of use.
    unpacked = ROOT / "target" / "sdist"
    unpack(source_archive, unpacked)
    run(
        [
            sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation",
            # Told apart by a flag, and the core by its profile: Cargo knows a package by where it
            # lies in its workspace. It would take these for the repository's, and not build those
            # when they have changed.
            "--config-settings=build-args=--profile dev --locked --offline"
            " --config profile.dev.package.synapse-vault-auth-provider-core.codegen-units=255"
            " -- --cfg unpacked",
            "--wheel-dir", tmp_path, unpacked,
        ],
        cwd=tmp_path,
        # The dependencies are there already; what the sources are checked for is their own crate.
        CARGO_TARGET_DIR=str(ROOT / "target"),
        PATH=f"{tool('maturin').parent}{os.pathsep}{os.environ['PATH']}",
    )  # fmt: skip
    (built,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(built) as archive, zipfile.ZipFile(wheel()) as expected:
        suffixes = (".py", ".pyi", ".so", "py.typed", "LICENSE")
        assert {name for name in archive.namelist() if name.endswith(suffixes)} == {
            name for name in expected.namelist() if name.endswith(suffixes)
        }
