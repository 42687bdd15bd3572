"""The table of a run in docs/reliability.md: `python -m tests.cluster.report` writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.pythons import ROOT

from .results import Results, Tally

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "reliability.md"

BEGIN = "<!-- Written by `make test-cluster`: begin -->"
END = "<!-- Written by `make test-cluster`: end -->"

_HEAD = (
    "What happens",
    "Seconds",
    "Logins tried",
    "Succeeded",
    "Refused rightly",
    "Lost",
    "Let in wrongly",
    "Longest gap",
    "Slowest",
)


def render(results: Results) -> str:
    """Return what stands between the marks, without them."""
    rows = [
        _HEAD,
        ("---", *["---:"] * (len(_HEAD) - 1)),
        *_rows(results),
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    setting = ", ".join(f"{name} {version}" for name, version in results.setting.items())
    presented = ", ".join(f"{count:,} {what}" for what, count in results.presented.items())
    outcomes = ", ".join(f"{count:,} `{outcome}`" for outcome, count in results.outcomes.items())
    text = (
        f"{table}\n\nPresented: {presented}. In the logs of the workers: {outcomes}.\n\n"
        f"{results.users} users. {setting}.{_starved(results)}\n"
    )
    for what, why in results.left_out.items():
        text += f"\n**Not tried:** {what}: {why}.\n"
    return text


def _starved(results: Results) -> str:
    if results.starved is None:
        return ""
    return (
        f" For {results.starved:.0%} of the time something waited for a core, be it a part of this"
        " or something else on the machine."
    )


def _rows(results: Results) -> Iterator[tuple[str, ...]]:
    first = results.happenings[0].begun if results.happenings else results.lasted
    yield _row("Nothing", f"0 to {first:.0f}", results.calm)
    for one in results.happenings:
        yield _row(one.what, f"{one.begun:.0f} to {one.recovered:.0f}", one.logins)
    yield tuple(
        f"**{cell}**" for cell in _row("All", f"0 to {results.lasted:.0f}", results.all_logins)
    )


def _row(what: str, when: str, tally: Tally) -> tuple[str, ...]:
    counts = (
        tally.tried,
        tally.succeeded,
        tally.refused_rightly,
        tally.lost,
        tally.let_in_wrongly,
    )
    return (
        what,
        when,
        *(f"{count:,}" for count in counts),
        f"{tally.longest_gap:.2f} s",
        f"{tally.slowest:.2f} s",
    )


def written(page: str) -> str:
    """Return what stands between the marks of a page."""
    return page.partition(f"{BEGIN}\n")[2].partition(f"{END}\n")[0]


def write(results: Results) -> None:
    """Replace what stands between the marks of the page."""
    page = PAGE.read_text()
    before, begin, _ = page.partition(f"{BEGIN}\n")
    _, end, after = page.partition(f"{END}\n")
    if not begin or not end:
        raise RuntimeError(f"{PAGE.name} has no place for the table")
    PAGE.write_text(f"{before}{begin}{render(results)}{end}{after}")


if __name__ == "__main__":
    write(Results.read())
