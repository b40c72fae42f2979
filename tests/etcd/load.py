"""`python -m tests.etcd load DIR`: puts and gets through etcd's own Go client, on etcd and on ours.

DIR holds etcd and `etcd_load` (see tests/bench/etcd.py). The two sides take turns, so that what the
machine does meanwhile meets both. The processor's time is that of all processes of a side, and that
of its fronts alone.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from tests.bench.etcd import LOADED
from tests.bench.measure import cpu_seconds
from tests.etcd.sides import Side, etcd, leasehold
from tests.limits import HANG_SECONDS

OPERATIONS: Final = ("put", "get")
NODES: Final = 3
US: Final = 1_000_000


class Level(NamedTuple):
    """Requests under way, over how many connections, and how many are made in a round.

    The bars: the rate beside etcd's, and microseconds of the fronts for a request (0: no bar).
    """

    clients: int
    connections: int
    requests: int
    rate_ratio_min: float = 0.0
    front_us_max: float = 0.0


LEVELS: Final = (
    Level(1, 1, 2_000),
    Level(64, 8, 15_000, rate_ratio_min=0.9),
    Level(1_000, 20, 40_000, rate_ratio_min=1.3, front_us_max=45.0),
)

FRONT_MB_MAX: Final = 60.0
"""A front's memory after the loads."""


class Round(NamedTuple):
    """What one side did: requests a second, milliseconds, and microseconds a request."""

    rate: float
    p50_ms: float
    p99_ms: float
    all_us: float
    front_us: float


def run(directory: Path, rounds: int, scale: float, say: Callable[[str], None]) -> bool:
    """Measure, and print a row for each load; whether every bar is met."""
    with ExitStack() as stack:
        theirs = stack.enter_context(etcd(directory, NODES))
        ours = stack.enter_context(leasehold(NODES))
        say(HEAD)
        rows = [
            _row(directory, operation, level, (theirs, ours), rounds, scale, say)
            for level in LEVELS
            for operation in OPERATIONS
        ]
        megabytes = max(_megabytes(pid) for pid in ours.fronts)
    say(f"a front has at most {megabytes:.0f} MB (bar {FRONT_MB_MAX:.0f})")
    return all(rows) and megabytes <= FRONT_MB_MAX


HEAD: Final = (
    f"{'':10}{'etcd /s':>9}{'p50 ms':>9}{'us':>6}   {'ours /s':>9}{'p50 ms':>9}{'us':>6}"
    f"{'front us':>10}{'rate':>8}"
)


def _row(
    directory: Path,
    operation: str,
    level: Level,
    sides: tuple[Side, Side],
    rounds: int,
    scale: float,
    say: Callable[[str], None],
) -> bool:
    """One load on both sides, in turns; whether it meets its bars."""
    done: tuple[list[Round], list[Round]] = ([], [])
    for _ in range(rounds):
        for side, measured in zip(sides, done, strict=True):
            measured.append(_round(directory, operation, level, side, scale))
    theirs, ours = (median_of(measured) for measured in done)
    is_met, verdict = judged(level, theirs, ours)
    say(
        f"{operation:4}{level.clients:>6}{theirs.rate:>9,.0f}{theirs.p50_ms:>9.2f}"
        f"{theirs.all_us:>6.0f}   {ours.rate:>9,.0f}{ours.p50_ms:>9.2f}{ours.all_us:>6.0f}"
        f"{ours.front_us:>10.1f}{ours.rate / theirs.rate:>7.2f}x{verdict}"
    )
    return is_met


def _round(directory: Path, operation: str, level: Level, side: Side, scale: float) -> Round:
    total = max(level.clients, int(level.requests * scale))
    flags = {
        "endpoints": ",".join(side.addresses),
        "op": operation,
        "clients": level.clients,
        "conns": level.connections,
        "total": total,
    }
    command = [str(directory / "etcd_load"), *(f"-{name}={value}" for name, value in flags.items())]
    before, fronts_before = cpu_seconds(side.pids), cpu_seconds(side.fronts)
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    found = LOADED.search(result.stdout)
    assert found is not None, f"the load failed: {result.stdout}{result.stderr}"
    rate, p50_ms, p99_ms, _ = map(float, found.groups())
    all_us = (cpu_seconds(side.pids) - before) / total * US
    front_us = (cpu_seconds(side.fronts) - fronts_before) / total * US
    return Round(rate, p50_ms, p99_ms, all_us, front_us)


def median_of(rounds: Sequence[Round]) -> Round:
    """Each figure's median over the rounds."""
    return Round(*(median(values) for values in zip(*rounds, strict=True)))


def judged(level: Level, theirs: Round, ours: Round) -> tuple[bool, str]:
    """Whether a load meets its bars, and what to say of those that it misses."""
    missed = []
    if ours.rate < level.rate_ratio_min * theirs.rate:
        missed.append(f"rate below {level.rate_ratio_min:g}x")
    if level.front_us_max and ours.front_us > level.front_us_max:
        missed.append(f"fronts above {level.front_us_max:g} us")
    return not missed, f"   {', '.join(missed)}" if missed else ""


def _megabytes(pid: int) -> float:
    """The memory of a process that no other process shares (proportional set size)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if line.startswith("Pss:")]
    return int(line.split()[1]) / 1024
