"""Kills all nodes at once under load and starts them again on the same data, round after round.

The clients are those of a campaign, and so is the judgement: nothing acknowledged is lost, nothing
is applied twice, the copies are equal and the histories linearizable.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from cluster.launcher.local import LocalCluster
from tests.chaos.campaign import Episode
from tests.chaos.checks import LEASE_LATE_SECONDS, quantile
from tests.limits import HANG_SECONDS

WRITES_PER_ROUND: Final = 100
ROUNDS_PER_CLUSTER: Final = 50


class Report(NamedTuple):
    """How often all were killed, what was acknowledged, and how long nobody was served, in ms."""

    rounds: int
    seconds: float
    acknowledged: int
    operations: int
    unavailable_ms: tuple[float, ...]

    def text(self) -> str:
        """All of it in one line."""
        gaps = self.unavailable_ms
        return (
            f"{self.rounds} times all nodes were killed at once under load, in {self.seconds:.0f} s"
            f" ({self.seconds / max(1, self.rounds):.2f} s a round): {self.acknowledged:,} probe"
            f" writes acknowledged, {self.operations:,} operations; unavailable for p50"
            f" {quantile(gaps, 50):.0f} ms, p99 {quantile(gaps, 99):.0f} ms,"
            f" max {quantile(gaps, 100):.0f} ms; nothing lost, nothing doubled, histories"
            " linearizable"
        )


def run(
    rounds: int,
    stopped: Callable[[], bool] = lambda: False,
    late_seconds: float = LEASE_LATE_SECONDS,
) -> Report:
    """So many rounds; AssertionError when anything was lost, doubled or seen out of order."""
    report = Report(0, 0.0, 0, 0, ())
    while report.rounds < rounds and not stopped():
        wanted = min(ROUNDS_PER_CLUSTER, rounds - report.rounds)
        with Episode(f"crash {report.rounds}", 3, late_seconds=late_seconds) as episode:
            began = time.monotonic()
            gaps: list[float] = []
            while len(gaps) < wanted and not stopped():
                gaps.append(_round(episode))
            seconds = time.monotonic() - began
            figures = episode.judge()
            report = Report(
                report.rounds + len(gaps),
                report.seconds + seconds,
                report.acknowledged + len(episode.clients.probe.acknowledged_at),
                report.operations + figures.operations.total(),
                (*report.unavailable_ms, *gaps),
            )
    return report


def _round(episode: Episode) -> float:
    """Kill all, start all, go on until enough was written; for how long nothing was, in ms."""
    cluster, probe = episode.cluster, episode.clients.probe
    kill_all(cluster)
    last = probe.acknowledged_at[-1] if probe.acknowledged_at else time.monotonic()
    count = len(probe.acknowledged_at)
    for node in cluster.members:
        cluster.launch_node(node.name)
    until = time.monotonic() + HANG_SECONDS
    while len(probe.acknowledged_at) < count + WRITES_PER_ROUND:
        assert time.monotonic() < until, f"no writes {HANG_SECONDS:g} s after all were started"
        episode.scene.turn()
    after = next(at for at in probe.acknowledged_at[count:] if at > last)
    return 1000 * (after - last)


def kill_all(cluster: LocalCluster) -> None:
    """kill -9 every node, none before the other can notice."""
    for node in cluster.running:
        node.signal(signal.SIGKILL)
    for node in cluster.running:
        assert node.wait(HANG_SECONDS), f"{node.name} survived SIGKILL"


def start_all(cluster: LocalCluster) -> None:
    """Start every node and wait until writes are acknowledged."""
    for node in cluster.members:
        cluster.launch_node(node.name)
    cluster.wait_until_ready()
