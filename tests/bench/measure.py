"""What is measured on either side of a comparison, and how rounds are made into one figure."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from math import isnan, nan
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")


class Measurement(NamedTuple):
    """Answered requests per second, latencies in milliseconds, and the cores that were busy: with
    the nodes, and with the load. NaN stands for what was not measured."""

    rate: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    node_cores: float = nan
    load_cores: float = nan


NOT_MEASURED: Final = Measurement(nan, nan, nan, nan)


def median_of(rounds: Sequence[Measurement]) -> Measurement:
    """Each figure's median over the rounds."""
    return Measurement(*(median(values) for values in zip(*rounds, strict=True)))


def table(rows: Sequence[tuple[str, Measurement, Measurement]]) -> list[str]:
    """Lines for (row's name, etcd, leasehold): both sides and their ratio."""
    width = max(len(name) for name, _, _ in rows) + 1
    side = f"{'/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'nodes':>7}{'load':>6}"
    lines = [
        f"{'':{width}}{'etcd':>40}   {'leasehold':>40}   {'leasehold / etcd':>24}",
        f"{'':{width}}{side}   {side}   {'rate':>8}{'p50':>8}{'p99':>8}",
    ]
    for name, etcd, own in rows:
        sides = "   ".join(_side(each) for each in (etcd, own))
        ratios = zip(own[:3], etcd[:3], strict=True)
        lines.append(f"{name:{width}}{sides}   " + "".join(_ratio(a, b) for a, b in ratios))
    lines.append("nodes, load: the cores that were busy with the nodes, and with making the load")
    return lines


def _side(side: Measurement) -> str:
    figures = (
        (side.rate, 9, ",.0f"),
        (side.p50_ms, 9, ".2f"),
        (side.p99_ms, 9, ".2f"),
        (side.node_cores, 7, ".1f"),
        (side.load_cores, 6, ".2f"),
    )
    return "".join(shown(number, width, form) for number, width, form in figures)


def shown(number: float, width: int, form: str) -> str:
    """A number in a column, or a dash when it was not measured."""
    return f"{'-' if isnan(number) else format(number, form):>{width}}"


def _ratio(own: float, etcd: float) -> str:
    ratio = own / etcd if etcd else nan
    return f"{'-' if isnan(ratio) else f'{ratio:.2f}x':>8}"


def cpu_seconds(pids: Iterable[int]) -> float:
    """The processor time that these processes have taken up to now."""
    return sum(_cpu_ticks(pid) for pid in pids) / TICKS_PER_SECOND


def _cpu_ticks(pid: int) -> int:
    # The second field is the program's name in parentheses, with any character in it.
    after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    user, system = after_name[11:13]
    return int(user) + int(system)
