"""The lines of a Synapse log."""

from __future__ import annotations

import re
from dataclasses import dataclass

FORMAT = "%(asctime)s %(name)s %(levelname)s %(request)s %(message)s"
"""What `parse` reads, for Python's logging."""

_START = re.compile(
    r"^(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) (?P<logger>\S+) (?P<level>[A-Z]+)"
    r" (?P<request>\S+) (?P<message>.*)$"
)


@dataclass(frozen=True)
class Record:
    """One call of a logger. The message holds every line that it wrote."""

    time: str
    logger: str
    level: str
    request: str
    message: str


def parse(text: str) -> list[Record]:
    """Return the records in a log; what stands before the first one is dropped."""
    records: list[Record] = []
    # Not `splitlines`, which also cuts at characters that are no line break in a file.
    for line in text.removesuffix("\n").split("\n"):
        start = _START.match(line)
        if start is not None:
            records.append(Record(**start.groupdict()))
        elif records:
            last = records.pop()
            records.append(
                Record(last.time, last.logger, last.level, last.request, f"{last.message}\n{line}")
            )
    return records
