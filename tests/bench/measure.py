"""What is measured on either side of a comparison, and how rounds are made into one figure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple


class Measurement(NamedTuple):
    """Answered requests per second, and latencies in milliseconds."""

    rate: float
    p50_ms: float
    p99_ms: float
    max_ms: float


def median_of(rounds: Sequence[Measurement]) -> Measurement:
    """Each figure's median over the rounds."""
    return Measurement(*(median(values) for values in zip(*rounds, strict=True)))


def table(rows: Sequence[tuple[str, int, Measurement, Measurement]]) -> list[str]:
    """Lines for (operation, clients, etcd, leasehold): both sides and their ratio."""
    lines = [
        f"{'':13}{'etcd':>27}   {'leasehold':>27}   {'leasehold / etcd':>18}",
        f"{'':13}{'/s':>9}{'p50 ms':>9}{'p99 ms':>9}   {'/s':>9}{'p50 ms':>9}{'p99 ms':>9}"
        f"   {'rate':>9}{'p50':>9}",
    ]
    for operation, clients, etcd, own in rows:
        sides = "   ".join(
            f"{side.rate:9,.0f}{side.p50_ms:9.2f}{side.p99_ms:9.2f}" for side in (etcd, own)
        )
        ratios = f"{own.rate / etcd.rate:8.1f}x{own.p50_ms / etcd.p50_ms:8.2f}x"
        lines.append(f"{operation:6}{clients:6,} {sides}   {ratios}")
    return lines
