"""The table of planted bugs: how many seeds, and how long, until each is found, and by what.

A harness that was never shown to catch planted bugs proves nothing (reference 6.6).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from tests.simulation import lives, rights, rollback
from tests.simulation.campaign import each_result
from tests.simulation.mutants.planting import (
    OF_LIVES,
    OF_RIGHTS,
    OF_ROLLBACKS,
    OF_WORLDS,
    PLANTED,
)
from tests.simulation.runner import Report, run
from tests.spec.explore import Explorer
from tests.spec.of_cores import Cores
from tests.spec.worlds import WORLDS

SEEDS_MAX: Final = 1_000
SECONDS_OF_A_WORLD: Final = 600.0


class Catch(NamedTuple):
    """What became of one mutant; an empty `finding` says that it survived."""

    name: str
    seeds: int
    events: int
    seconds: float
    finding: str


def hunt(task: tuple[str, int]) -> Catch:
    """Plant one mutant, and run seeds until it is found, or explore its world."""
    name, seeds_max = task
    if name in OF_WORLDS:
        with PLANTED[name]():
            found = Explorer(Cores(WORLDS[OF_WORLDS[name]])).run(SECONDS_OF_A_WORLD)
        return Catch(name, 0, found.steps, found.seconds, found.broken)
    look: Callable[[int], lives.Report | rights.Report | rollback.Report | Report] = run
    if name in OF_LIVES:
        look = lives.run
    elif name in OF_RIGHTS:
        look = rights.run
    elif name in OF_ROLLBACKS:
        look = rollback.run
    started = time.process_time()
    events = 0
    with PLANTED[name]():
        for seed in range(seeds_max):
            report = look(seed)
            events += report.events
            if report.finding:
                seconds = time.process_time() - started
                return Catch(name, seed + 1, events, seconds, last_line(report.finding))
    return Catch(name, seeds_max, events, time.process_time() - started, "")


def last_line(finding: str) -> str:
    """The sentence of a finding: the last line if it is a traceback."""
    lines = finding.strip().splitlines()
    return lines[-1] if lines[0].startswith("Traceback") else lines[0]


def table(seeds_max: int, names: list[str], jobs: int) -> int:
    """Print a line for each mutant; 1 if one survives."""
    chosen = names or list(PLANTED)
    tasks = [(name, seeds_max) for name in chosen]
    caught: list[Catch] = []
    _row("mutant", "seeds", "seconds", "caught by")
    _row("---", "---:", "---:", "---")
    started = time.monotonic()
    for catch in each_result(hunt, tasks, jobs):
        caught.append(catch)
        _row(
            catch.name.replace("_", " "),
            str(catch.seeds),
            f"{catch.seconds:.1f}",
            catch.finding[:100].replace("|", "/") or "**survived**",
        )
    survivors = [catch.name for catch in caught if not catch.finding]
    seeds = sum(catch.seeds for catch in caught)
    worst = max((catch.seeds for catch in caught if catch.finding), default=0)
    sys.stdout.write(
        f"\n{len(caught)} mutants, {len(caught) - len(survivors)} caught, at most {worst} seeds; "
        f"{seeds} seeds in {time.monotonic() - started:.0f} s"
        + (f"; SURVIVED: {', '.join(survivors)}" if survivors else "")
        + "\n"
    )
    return 1 if survivors else 0


def _row(*cells: str) -> None:
    sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.flush()
