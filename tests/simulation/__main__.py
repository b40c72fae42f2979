"""`python -m tests.simulation`: run seeds, print one line of figures, stop at the first finding."""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator

from tests.simulation.runner import Report, run


def main() -> int:
    """0 if nothing was found; otherwise the finding and the command that shows it again."""
    options = _options()
    logging.disable(logging.CRITICAL)
    started = time.monotonic()
    counts: Counter[str] = Counter()
    seeds = events = 0
    for seed in _seeds(options, started):
        report = run(seed)
        seeds += 1
        events += report.events
        counts.update(report.counts)
        if options.seeds == 1:
            sys.stdout.write(f"seed {seed}: digest {report.digest}, {report.swarm}\n")
        if report.finding:
            _tell(report)
            return 1
    seconds = time.monotonic() - started
    figures = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    sys.stdout.write(
        f"{seeds} seeds, {events} events, {events / seconds:.0f} events/s: no finding; {figures}\n"
    )
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, help="how many seeds to run (20)")
    parser.add_argument("--seed", type=int, help="run this one; with others: begin here")
    parser.add_argument("--minutes", type=float, help="run seeds for so long instead")
    options = parser.parse_args()
    if options.seeds is None:
        options.seeds = 20 if options.seed is None else 1
    if options.minutes is not None:
        options.seeds = 0
    return options


def _seeds(options: argparse.Namespace, started: float) -> Iterator[int]:
    first = options.seed or 0
    if options.minutes is None:
        yield from range(first, first + options.seeds)
        return
    for seed in itertools.count(first):
        if time.monotonic() - started >= options.minutes * 60:
            return
        yield seed


def _tell(report: Report) -> None:
    sys.stdout.write(
        f"FINDING at seed {report.seed} after {report.events} events (digest {report.digest})\n"
        f"{report.finding}\n{report.swarm}\nto see it again: {report.command}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
