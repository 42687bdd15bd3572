"""What a soak found, and whether it is as it should be."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from .footprint import Footprint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NEVER = ("right: bad_hash", "wrong: ok", "wrong: 200")
"""What no failure of Vault excuses."""


@dataclass
class Process:
    """One process, from the end of its warm-up on."""

    at_rest_before: Footprint
    """Before the run, with all connections to Vault closed."""
    under_way: list[Footprint] = field(default_factory=list)
    """During the run, between two restarts of Vault."""
    at_rest_after: Footprint | None = None
    """After the run, with all connections to Vault closed."""

    def thirds(self, name: str) -> tuple[float, float]:
        """Return the medians of a figure in the run's first and in its last third."""
        values = [getattr(footprint, name) for footprint in self.under_way]
        third = max(1, len(values) // 3)
        return statistics.median(values[:third]), statistics.median(values[-third:])


@dataclass
class Findings:
    """All of a run."""

    seconds: float
    restarts: int
    tally: Mapping[str, int]
    """What became of the logins on the reactor."""
    homeserver_tally: Mapping[str, int]
    """What became of those to the homeserver."""
    processes: Mapping[str, Process]

    @property
    def wrong(self) -> dict[str, int]:
        """Logins that ended as none may."""
        found = {**self.tally, **self.homeserver_tally}
        return {what: found[what] for what in NEVER if found.get(what)}

    @property
    def troubled(self) -> int:
        """Logins with the right hash that Vault's absence turned away."""
        accepted = ("right: ok", "right: 200")
        both = [*self.tally.items(), *self.homeserver_tally.items()]
        return sum(
            count for what, count in both if what.startswith("right") and what not in accepted
        )

    def growing(self, allowed: Mapping[str, float]) -> list[str]:
        """Tell what has grown from the first third to the last by more than is allowed, in MB.

        A process's memory is what counts, by the median.
        """
        found = []
        for name, process in self.processes.items():
            for figure in ("rss", "pss"):
                first, last = process.thirds(figure)
                if last - first > allowed[name]:
                    found.append(f"{name}: {figure} from {first:.1f} to {last:.1f} MB")
        return found

    def as_json(self) -> dict[str, Any]:
        """Return all of it for a file, memory to a tenth of a MB."""
        found = asdict(self)
        for process in found["processes"].values():
            footprints = [process["at_rest_before"], *process["under_way"]]
            for footprint in [*footprints, process["at_rest_after"]]:
                for name in ("rss", "pss"):
                    footprint[name] = round(footprint[name], 1)
        return {**found, "seconds": round(self.seconds)}


def table(found: Mapping[str, Any]) -> str:
    """Write what `Findings.as_json` returned as Markdown."""
    tally, answers = found["tally"], found["homeserver_tally"]
    lines = [
        f"{found['seconds'] / 60:.0f} minutes, in which Vault was killed and started again "
        f"{found['restarts']} times.",
        "",
        "| | Module on a reactor | Synapse |",
        "| --- | ---: | ---: |",
    ]

    def row(what: str, reactor: object, homeserver: object) -> None:
        lines.append(f"| {what} | {reactor} | {homeserver} |")

    def count(counts: Mapping[str, int], start: str, but: Sequence[str] = ()) -> str:
        named = [n for key, n in counts.items() if key.startswith(start) and key not in but]
        return f"{sum(named):,}"

    row("Logins", f"{logins(tally):,}", f"{logins(answers):,}")
    row("Right hash, accepted", count(tally, "right: ok"), count(answers, "right: 200"))
    row(
        "Right hash, turned away",
        count(tally, "right", ["right: ok"]),
        count(answers, "right", ["right: 200"]),
    )
    row("Wrong hash, accepted", count(tally, "wrong: ok"), count(answers, "wrong: 200"))
    row(
        "Wrong hash, turned away",
        count(tally, "wrong", ["wrong: ok"]),
        count(answers, "wrong", ["wrong: 200"]),
    )
    row("Accepted from memory", count(tally, "cache: hit"), "")
    row("Accepted from memory because Vault was away", count(tally, "cache: stale"), "")
    shown = {name: Process(**_footprints(one)) for name, one in found["processes"].items()}
    pair = [shown["logins"], shown["homeserver"]]
    for figure, title in (("rss", "RSS"), ("pss", "PSS")):
        row(
            f"{title} in MB, median of the first third, and of the last",
            *(" → ".join(f"{value:.1f}" for value in process.thirds(figure)) for process in pair),
        )
    for figure in ("descriptors", "sockets", "threads"):
        row(
            f"Open {figure} at rest, before and after"
            if figure != "threads"
            else "Threads at rest, before and after",
            *(
                f"{getattr(process.at_rest_before, figure)} → "
                f"{getattr(process.at_rest_after, figure)}"
                for process in pair
            ),
        )
    return "\n".join(lines)


def logins(tally: Mapping[str, int]) -> int:
    """Return how many logins were counted."""
    return sum(count for what, count in tally.items() if what.startswith(("right", "wrong")))


def _footprints(process: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "at_rest_before": Footprint(**process["at_rest_before"]),
        "under_way": [Footprint(**footprint) for footprint in process["under_way"]],
        "at_rest_after": Footprint(**process["at_rest_after"]),
    }
