"""`python -m tests.etcd failover DIR`: how long writes fail when a leader is killed, as Go sees it.

DIR holds etcd and `etcd_failover`, which puts through etcd's Go client at every node at once, and
tells the longest gap between two writes that were acknowledged. Both sides have their defaults.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from statistics import median
from typing import Final, Protocol

from cluster.launcher.local import LocalCluster
from tests.bench.etcd import EtcdCluster
from tests.limits import HANG_SECONDS

NODES: Final = 3
LOAD_SECONDS: Final = 6
KILLED_AFTER_SECONDS: Final = 1.5
KEY: Final = b"probe"
"""What the program puts."""

GAP: Final = re.compile(r"n=(\d+) maxgap=([\d.]+)(ms|s|µs)")
MS: Final = {"s": 1_000.0, "ms": 1.0, "µs": 0.001}


class Target(Protocol):
    """A cluster whose leader can be killed and started again."""

    addresses: str

    def kill_leader(self) -> None:
        """End the leader at once."""

    def mend(self) -> None:
        """Start the killed node again, and wait until it serves."""


class Etcd:
    """A real etcd."""

    def __init__(self, cluster: EtcdCluster) -> None:
        self._cluster = cluster
        self._killed = 0
        self.addresses = cluster.endpoints

    def kill_leader(self) -> None:
        """End the leader at once."""
        self._killed = self._cluster.leader()
        self._cluster.kill(self._killed)

    def mend(self) -> None:
        """Start the killed node again, and wait until it serves."""
        self._cluster.restart(self._killed, KEY)


class Leasehold:
    """Nodes of ours, each with its front."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster
        self._killed = ""
        self.addresses = ",".join(node.endpoint for node in cluster.nodes.values())

    def kill_leader(self) -> None:
        """End the leader at once."""
        self._killed = self._cluster.leader()
        self._cluster.kill(self._killed)

    def mend(self) -> None:
        """Start the killed node again, and wait until it serves."""
        self._cluster.restart(self._killed)


def run(directory: Path, kills: int, say: Callable[[str], None]) -> bool:
    """Kill leaders of both sides, and tell the gaps; whether ours are shorter in the middle."""
    gaps: dict[str, list[float]] = {}
    clusters: tuple[AbstractContextManager[EtcdCluster | LocalCluster], ...] = (
        EtcdCluster(directory, NODES),
        LocalCluster(NODES, front=True),
    )
    for cluster in clusters:
        with cluster as running:
            target: Target
            if isinstance(running, LocalCluster):
                name, target = "leasehold", Leasehold(running)
            else:
                name, target = "etcd", Etcd(running)
            gaps[name] = sorted(_gap(directory, target) for _ in range(kills))
        say(
            f"{name:10} longest gap of writes over {kills} kills of the leader: "
            f"median {median(gaps[name]):,.0f} ms, worst {gaps[name][-1]:,.0f} ms"
        )
    return median(gaps["leasehold"]) <= median(gaps["etcd"])


def _gap(directory: Path, target: Target) -> float:
    """Milliseconds between two acknowledged writes, around one kill."""
    flags = [f"-endpoints={target.addresses}", f"-d={LOAD_SECONDS}s"]
    program = subprocess.Popen(
        [str(directory / "etcd_failover"), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with suppress(subprocess.TimeoutExpired):
        program.wait(KILLED_AFTER_SECONDS)
    target.kill_leader()
    said, _ = program.communicate(timeout=HANG_SECONDS)
    target.mend()
    return gap_ms(said)


def gap_ms(said: str) -> float:
    """The longest gap that the program told, in milliseconds."""
    found = GAP.search(said)
    assert found is not None, f"the program failed: {said}"
    return float(found[2]) * MS[found[3]]
