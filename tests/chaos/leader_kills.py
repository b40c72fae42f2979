"""Kills the leader, again and again, each time as soon as the cluster has recovered.

Like `failover`, but with the clients of a campaign and its judgement at the end; what is printed is
the distribution of the times in which no write was acknowledged.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Final, NamedTuple

from tests.chaos.campaign import Episode
from tests.chaos.checks import LEASE_LATE_SECONDS, quantile
from tests.chaos.failover import EXPLAINED_AFTER_MS, logged_since
from tests.limits import HANG_SECONDS

KILLS_PER_CLUSTER: Final = 100
WRITES_AFTER: Final = 20
"""So many writes are acknowledged after a kill before the dead node is started again."""

POLL_MS: Final = 5
EXPLAINED_MS: Final = 1_000.0
"""A longer time without an acknowledged write is explained from the nodes' logs."""

BEFORE_SECONDS: Final = 0.05
PROGRESS_KILLS: Final = 50


class Report(NamedTuple):
    """The kills, and for how long no write was acknowledged after each, in milliseconds."""

    seconds: float
    operations: int
    unavailable_ms: tuple[float, ...]

    def text(self) -> str:
        """All of it in one line."""
        gaps, kills = self.unavailable_ms, len(self.unavailable_ms)
        return (
            f"{kills} kills of the leader in {self.seconds:.0f} s"
            f" ({self.seconds / max(1, kills):.2f} s a kill), {self.operations:,} operations:"
            f" writes unavailable for p50 {quantile(gaps, 50):.0f} ms,"
            f" p90 {quantile(gaps, 90):.0f} ms, p99 {quantile(gaps, 99):.0f} ms,"
            f" max {quantile(gaps, 100):.0f} ms; nothing lost, nothing doubled, histories"
            " linearizable"
        )


def run(
    kills: int,
    seed: int,
    stopped: Callable[[], bool] = lambda: False,
    late_seconds: float = LEASE_LATE_SECONDS,
) -> Report:
    """So many kills; AssertionError when anything was lost, doubled or seen out of order."""
    report = Report(0.0, 0, ())
    while len(report.unavailable_ms) < kills and not stopped():
        wanted = min(KILLS_PER_CLUSTER, kills - len(report.unavailable_ms))
        with Episode(
            f"{seed} {len(report.unavailable_ms)}", 3, late_seconds=late_seconds
        ) as episode:
            began = time.monotonic()
            gaps: list[float] = []
            while len(gaps) < wanted and not stopped():
                gaps.append(_kill_leader(episode))
            seconds = time.monotonic() - began
            figures = episode.judge()
            report = Report(
                report.seconds + seconds,
                report.operations + figures.operations.total(),
                (*report.unavailable_ms, *gaps),
            )
        _say(f"so far: {report.text()}")
    return report


def _kill_leader(episode: Episode) -> float:
    """Kill it, wait for writes, start it again; for how long no write was acknowledged, in ms."""
    cluster, times = episode.cluster, episode.clients.probe.acknowledged_at
    leader = cluster.leader()
    first = max(0, len(times) - 1)
    killed_at = time.monotonic()
    clock_offset = time.time() - killed_at
    cluster.kill(leader)
    _wait_for_writes(episode, len(times) + WRITES_AFTER)
    after = [at for at in times[first:] if at >= killed_at - BEFORE_SECONDS]
    gap_ms = 1000 * max(later - sooner for sooner, later in pairwise(after))
    if gap_ms > EXPLAINED_MS:
        _say(f"{leader} was killed: no write acknowledged for {gap_ms:.0f} ms")
        until_ms = gap_ms + EXPLAINED_AFTER_MS
        _say(*logged_since(cluster, killed_at + clock_offset, until_ms))
    cluster.launch_node(leader)
    _wait_until_all_follow(episode)
    return gap_ms


def _wait_for_writes(episode: Episode, count: int) -> None:
    until = time.monotonic() + HANG_SECONDS
    while len(episode.clients.probe.acknowledged_at) < count:
        assert time.monotonic() < until, f"no writes {HANG_SECONDS:g} s after a kill of the leader"
        episode.cluster.poll(POLL_MS)
        episode.clients.check()


def _wait_until_all_follow(episode: Episode) -> None:
    until = time.monotonic() + HANG_SECONDS
    members = episode.cluster.members
    while time.monotonic() < until:
        episode.scene.turn()
        statuses = episode.scene.statuses()
        if all(node.name in statuses and statuses[node.name].leader for node in members):
            return
    raise AssertionError(f"a node knows no leader {HANG_SECONDS:g} s after its start")


def _say(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()
