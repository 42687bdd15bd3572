"""The binary of the secrets engine, where OpenBao looks for its plugins."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .openbao import OpenBao

PLUGIN = "vault-plugin-secrets-matrix"
"""The name of the binary, and of the plugin in the catalog."""

_ROOT = Path(__file__).resolve().parent.parent.parent


def engine_binary() -> Path:
    """Return the binary as the tests have it built."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", _ROOT / "target"))
    return target / "debug" / PLUGIN


def plugin_directory(directory: Path, binary: Path | None = None) -> Path:
    """Make a directory with the plugin and nothing else, and return its path.

    OpenBao takes no symbolic links there. A later build replaces the file and not its content, so
    that a hard link stays what was registered.

    Args:
        directory: The directory, which is made.
        binary: The plugin, if it is not that of the tests.
    """
    directory.mkdir(parents=True)
    binary = binary or engine_binary()
    try:
        os.link(binary, directory / PLUGIN)
    except OSError:
        shutil.copy2(binary, directory / PLUGIN)
    return directory.resolve()


def register(openbao: OpenBao, name: str = PLUGIN) -> None:
    """Put the plugin into the catalog.

    API: https://openbao.org/api-docs/system/plugins-catalog/#register-plugin
    """
    assert openbao.plugins is not None
    digest = hashlib.sha256((openbao.plugins / PLUGIN).read_bytes()).hexdigest()
    openbao.cli("plugin", "register", f"-sha256={digest}", f"-command={PLUGIN}", "secret", name)
