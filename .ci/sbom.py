"""Take the place of the source tree out of the bill of materials that maturin puts into a wheel.

It is the one thing in the wheel that depends on where it is built: `make reproducible` proves it.
"""

import base64
import hashlib
import re
import sys
import zipfile
from pathlib import Path

PLACE = re.compile(rb"path\+file://[^#\"]*#")
"""How a crate is named that comes from no registry; the name and version follow."""


def without_place(wheel: Path) -> None:
    """Write a wheel again, with a bill of materials that says nothing of the machine."""
    with zipfile.ZipFile(wheel) as archive:
        files = [(entry, archive.read(entry)) for entry in archive.infolist()]
    contents = {
        entry.filename: PLACE.sub(b"path+file:///#", content)
        if "/sboms/" in entry.filename
        else content
        for entry, content in files
    }
    record = next(name for name in contents if name.endswith(".dist-info/RECORD"))
    lines = contents[record].decode().splitlines()
    contents[record] = "".join(f"{_recorded(line, contents)}\n" for line in lines).encode()
    with zipfile.ZipFile(wheel, "w") as archive:
        for entry, _ in files:
            archive.writestr(entry, contents[entry.filename])


def _recorded(line: str, contents: dict[str, bytes]) -> str:
    """Return a line of RECORD, with the hash and length of what its file holds now."""
    name = line.split(",")[0]
    if "/sboms/" not in name:
        return line
    digest = base64.urlsafe_b64encode(hashlib.sha256(contents[name]).digest()).decode()
    return f"{name},sha256={digest.rstrip('=')},{len(contents[name])}"


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        without_place(Path(argument))
