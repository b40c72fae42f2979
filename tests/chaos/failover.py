"""Kills the leader again and again and measures for how long writes were unavailable.

The measure is the longest time between two acknowledged writes around each kill, as seen by two
clients that write all the time.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final, NamedTuple

from cluster.launcher.local import LocalCluster
from tests.chaos.writers import Acknowledged, ClientWriter, RawWriter, Writer
from tests.limits import HANG_SECONDS

WRITES_AFTER: Final = 100
"""So many writes are waited for after each kill, before the dead node is started again."""

EXPLAINED_MS: Final = 100.0
"""A gap longer than this is explained from the nodes' logs."""

EXPLAINED_AFTER_MS: Final = 50.0

_LOGGED: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) \w+ +(.*)")


class Kill(NamedTuple):
    """One kill of a leader: the longest time without an acknowledgement, for each writer."""

    leader: str
    raw_gap_ms: float
    client_gap_ms: float
    explanation: tuple[str, ...]


def run(kills: int) -> list[Kill]:
    """Kill the leader so many times; prints each kill and the summary, returns the kills."""
    results = []
    with LocalCluster() as cluster:
        endpoints = cluster.endpoints
        with RawWriter(endpoints, "raw/") as raw, ClientWriter(endpoints, "client/") as client:
            for number in range(1, kills + 1):
                kill = _kill_leader(cluster, raw, client)
                results.append(kill)
                _say(f"{number:3d}. {kill.leader}: {_describe(kill)}", *kill.explanation)
                cluster.restart(kill.leader)
                cluster.wait_until_ready()
            writers: tuple[Writer, ...] = (raw, client)
            counts = [f"{len(w.stop()):,} of {w.sent:,} ({w.prefix})" for w in writers]
        _say(f"acknowledged: {', '.join(counts)}")
    _say(*summary(results))
    return results


def longest_gap_ms(acknowledged: Sequence[Acknowledged], since: float) -> float:
    """The longest time between two acknowledgements that follow each other, from `since` on."""
    times = [write.at for write in acknowledged if write.at >= since]
    gaps = [after - before for before, after in pairwise(times)]
    return 1000 * max(gaps, default=0.0)


def summary(kills: Sequence[Kill]) -> list[str]:
    """Median, p90 and maximum for each of the two writers."""
    return [
        _quantiles("bare socket", sorted(kill.raw_gap_ms for kill in kills)),
        _quantiles("cluster.Client", sorted(kill.client_gap_ms for kill in kills)),
    ]


def _kill_leader(cluster: LocalCluster, raw: Writer, client: Writer) -> Kill:
    leader = cluster.leader()
    for writer in (raw, client):
        writer.wait_for_more(WRITES_AFTER // 2, HANG_SECONDS)
    # The last write before the kill may lie a little before it.
    since = time.monotonic() - 0.05
    clock_offset = time.time() - time.monotonic()
    killed_at = time.monotonic()
    cluster.kill(leader)
    for writer in (raw, client):
        writer.wait_for_more(WRITES_AFTER, HANG_SECONDS)
    raw_gap_ms = longest_gap_ms(raw.acknowledged, since)
    client_gap_ms = longest_gap_ms(client.acknowledged, since)
    explanation: list[str] = []
    if max(raw_gap_ms, client_gap_ms) > EXPLAINED_MS:
        until_ms = max(raw_gap_ms, client_gap_ms) + EXPLAINED_AFTER_MS
        explanation = logged_since(cluster, killed_at + clock_offset, until_ms)
    return Kill(leader, raw_gap_ms, client_gap_ms, tuple(explanation))


def logged_since(cluster: LocalCluster, epoch_seconds: float, until_ms: float) -> list[str]:
    """What the surviving nodes logged since then, each line with the milliseconds since then."""
    found = []
    for node in cluster.running:
        for line in node.log_path.read_text(errors="replace").splitlines():
            match = _LOGGED.match(line)
            if match is None:
                continue
            delay_ms = 1000 * (datetime.fromisoformat(match[1]).timestamp() - epoch_seconds)
            if -1 <= delay_ms <= until_ms:
                found.append((delay_ms, f"       +{delay_ms:.0f} ms {match[2]}"))
    return [text for _, text in sorted(found)]


def _describe(kill: Kill) -> str:
    return (
        f"no write acknowledged for {kill.raw_gap_ms:.1f} ms (bare socket),"
        f" {kill.client_gap_ms:.1f} ms (cluster.Client)"
    )


def _quantiles(name: str, gaps_ms: Sequence[float]) -> str:
    at = {percent: gaps_ms[(len(gaps_ms) - 1) * percent // 100] for percent in (50, 90, 100)}
    return (
        f"{name}: {len(gaps_ms)} kills, writes unavailable for"
        f" median {at[50]:.1f} ms, p90 {at[90]:.1f} ms, max {at[100]:.1f} ms"
    )


def _say(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()
