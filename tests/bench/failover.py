"""`python -m tests.bench failover DIR`: for how long faults of nodes make writes impossible.

The same faults on this project, on etcd with its defaults, and on etcd with short timeouts, while a
client puts through etcd's gRPC at every node (tests/bench/writer.py). DIR holds etcd.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from cluster.launcher.local import LocalCluster
from cluster.launcher.report.quantiles import FIGURES, percentile
from cluster.processes import descendants
from tests.bench.etcd import EtcdCluster
from tests.bench.writer import SteadyWriter

NODES: Final = 3
PUTS_AFTER: Final = 150
"""Puts that are waited for after a fault, before it is mended: 0.75 s of a cluster that serves."""

BEFORE_SECONDS: Final = 0.05
"""The last put before the fault may lie a little before it."""

TUNED: Final = {"heartbeat-interval": "10", "election-timeout": "100"}
"""Short timeouts, in ms. The defaults are 50 and 300 of ours, 100 and 1,000 of etcd."""

STOP_SECONDS: Final = 30.0

Outages = dict[str, dict[str, list[float]]]
"""System -> fault -> the write outage of each, in ms."""


class Target(Protocol):
    """A cluster whose nodes can be harmed; a node is a number."""

    addresses: Sequence[str]

    def leader(self) -> int:
        """The node that leads; waits while there is none."""

    def pids(self, node: int) -> Sequence[int]:
        """The processes of a node, its own first."""

    def start(self, node: int) -> None:
        """Start a node that has ended, or is about to end."""


class Etcd:
    """A real etcd."""

    def __init__(self, cluster: EtcdCluster) -> None:
        self._cluster = cluster
        self.addresses: Sequence[str] = cluster.endpoints.split(",")

    def leader(self) -> int:
        """The node that leads."""
        return self._cluster.leader()

    def pids(self, node: int) -> Sequence[int]:
        """The one process of a node."""
        return (self._cluster.pids[node],)

    def start(self, node: int) -> None:
        """Start it as soon as it has ended."""
        self._cluster.start(node)


class Leasehold:
    """Nodes of ours, each with its front."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster
        self._nodes = list(cluster.nodes.values())
        self.addresses: Sequence[str] = [node.endpoint for node in self._nodes]

    def leader(self) -> int:
        """The node that leads."""
        return list(self._cluster.nodes).index(self._cluster.leader())

    def pids(self, node: int) -> Sequence[int]:
        """The node's process and those of its front."""
        pid = self._nodes[node].pid
        return (pid, *descendants(pid))

    def start(self, node: int) -> None:
        """Start it as soon as it has ended."""
        self._nodes[node].wait(STOP_SECONDS)
        self._cluster.launch_node(self._nodes[node].name)


class Fault(NamedTuple):
    """A fault: what is done to which node, and how it is mended once writes go on."""

    name: str
    of_the_leader: bool
    harm: Callable[[Target, int], None]
    mend: Callable[[Target, int], None]


def _send(number: int) -> Callable[[Target, int], None]:
    """Send a signal to a node; a node that is frozen is frozen with all its processes."""

    def send(target: Target, node: int) -> None:
        pids = target.pids(node)
        frozen = number in {signal.SIGSTOP, signal.SIGCONT}
        for pid in pids if frozen else pids[:1]:
            os.kill(pid, number)

    return send


def _start(target: Target, node: int) -> None:
    target.start(node)


def _restart(target: Target, node: int) -> None:
    _send(signal.SIGTERM)(target, node)
    target.start(node)


def _nothing(target: Target, node: int) -> None:
    """There is nothing to do: it has mended itself, or was not harmed."""


FAULTS: Final = (
    Fault("no fault", False, _nothing, _nothing),
    Fault("kill -9 of the leader", True, _send(signal.SIGKILL), _start),
    Fault("graceful stop of the leader", True, _send(signal.SIGTERM), _start),
    Fault("SIGSTOP of the leader", True, _send(signal.SIGSTOP), _send(signal.SIGCONT)),
    Fault("restart of a follower", False, _restart, _nothing),
)


@contextmanager
def _leasehold(directory: Path, flags: Mapping[str, str]) -> Iterator[Target]:
    given = tuple(f"--{name}={value}" for name, value in flags.items())
    with LocalCluster(NODES, front=True, node_flags=given) as cluster:
        yield Leasehold(cluster)


@contextmanager
def _etcd(directory: Path, flags: Mapping[str, str]) -> Iterator[Target]:
    with EtcdCluster(directory, NODES, flags) as cluster:
        yield Etcd(cluster)


SYSTEMS: Final = {
    "leasehold": partial(_leasehold, flags={}),
    "leasehold, tuned": partial(_leasehold, flags=TUNED),
    "etcd, tuned": partial(_etcd, flags=TUNED),
    "etcd": partial(_etcd, flags={}),
}
"""Each with its defaults and with TUNED, by name."""


def run(
    directory: Path, kills: int, say: Callable[[str], None], keep: Callable[[Outages], None]
) -> None:
    """Do each fault this often on each system, tell the figures, and keep what is known so far."""
    found: Outages = {}
    for name, start in SYSTEMS.items():
        with start(directory) as target, SteadyWriter(target.addresses) as writer:
            found[name] = {}
            for fault in FAULTS:
                outages = [_outage(target, writer, fault) for _ in range(kills)]
                found[name][fault.name] = outages
                say(line(name, fault.name, outages))
                keep(found)


def save(path: Path, outages: Outages) -> None:
    """Write the outages, from which the plot can be drawn again."""
    path.write_text(json.dumps(outages, indent=1) + "\n")


def line(system: str, fault: str, outages: Sequence[float]) -> str:
    """The figures of one fault on one system."""
    figures = "  ".join(
        f"{name} {percentile(outages, percent):8,.1f}" for name, percent in FIGURES.items()
    )
    return f"{system:16} {fault:28} {len(outages):4} times, ms: {figures}"


def _outage(target: Target, writer: SteadyWriter, fault: Fault) -> float:
    """One fault: for how many ms no write was acknowledged."""
    writer.wait_for_all(time.monotonic())
    leader = target.leader()
    node = leader if fault.of_the_leader else (leader + 1) % NODES
    at = time.monotonic()
    fault.harm(target, node)
    writer.wait_for(PUTS_AFTER, at)
    outage = writer.gap_ms(at - BEFORE_SECONDS)
    fault.mend(target, node)
    return outage
