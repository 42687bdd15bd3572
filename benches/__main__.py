"""Measures all that the manual's page on performance says in numbers.

    make bench

Results go to `docs/performance.md` and `docs/performance/`; those of a quick run, which only shows
that everything works, to `target/bench/`. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import tempfile
import time
import traceback
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.orphans import adopt_orphans, end_children

from . import report, results
from .environment import environment
from .results import BENCHMARKS, Recorded
from .stage import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]

INTERRUPTED = 130
"""What a shell says of a command that Ctrl-C has ended."""


class Output:
    """The files that a run writes."""

    def __init__(self, directory: Path) -> None:
        self.document = directory / "performance.md"
        self.charts = directory / "performance"
        self.results = self.charts / "results.json"

    def publish(self) -> None:
        """Make the table and the charts of the results, and print the table."""
        # Memory that this takes must not be there while something is measured.
        from .charts import draw

        recorded = results.load(self.results)
        if not recorded:
            return
        charts = [chart for one in recorded.values() for chart in one.result.charts]
        for file in self.charts.glob("*.svg"):
            file.unlink()
        for chart in charts:
            draw(chart, self.charts / f"{chart.name}.svg")
        report.insert(self.document, report.markdown(recorded, self.charts.name))
        print(report.text(recorded))
        print(f"\nWritten to {self.document} and {self.charts}.")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benches",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="measure as little as possible")
    parser.add_argument(
        "--only",
        nargs="*",
        metavar="NAME",
        choices=BENCHMARKS,
        help="keep other results; without a name, only write the report again."
        f" Names: {', '.join(BENCHMARKS)}",
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="where performance.md and performance/ are"
    )
    options = parser.parse_args()
    if options.output is None:
        options.output = ROOT / "target" / "bench" if options.quick else ROOT / "docs"
    return options


def measure(names: Sequence[str], output: Output, *, is_quick: bool, keep: bool) -> list[str]:
    """Run benchmarks, and record each as soon as it is done.

    Args:
        names: Which ones.
        output: Where to record them.
        is_quick: Whether it is enough to see that they work.
        keep: Whether to keep what is recorded of others.

    Returns:
        The names of those that failed.
    """
    recorded = results.load(output.results) if keep else {}
    failed = []
    with (
        tempfile.TemporaryDirectory(prefix="vault-auth-bench-") as directory,
        Stage(Path(directory), is_quick=is_quick) as stage,
    ):
        for number, name in enumerate(names, 1):
            print(f"[{number}/{len(names)}] {name} ...", file=sys.stderr, flush=True)
            started = time.monotonic()
            try:
                result = importlib.import_module(f"benches.{name}").run(stage)
            except Exception:  # noqa: BLE001
                traceback.print_exc()
                failed.append(name)
                continue
            print(f"      {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
            today = datetime.now(timezone.utc).date().isoformat()
            recorded[name] = Recorded(result, today, environment())
            results.save(output.results, recorded)
    return failed


def main() -> int:
    """Run, report and return the exit code."""
    options = arguments()
    output = Output(options.output)
    # However it is ended, servers are not left behind.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    adopt_orphans()
    names = BENCHMARKS if options.only is None else [n for n in BENCHMARKS if n in options.only]
    exit_code = 0
    try:
        failed = measure(names, output, is_quick=options.quick, keep=options.only is not None)
        if failed:
            failure, exit_code = f"failed: {', '.join(failed)}", 1
    except KeyboardInterrupt:
        failure, exit_code = "interrupted", INTERRUPTED
    finally:
        end_children()
    # What was measured before that is worth reading.
    output.publish()
    if exit_code:
        print(failure, file=sys.stderr)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
