"""One run: a cluster under faults, then in peace; first safety, then liveness, then the verdict."""

from __future__ import annotations

import traceback
from typing import NamedTuple
from unittest.mock import patch

from actors.raft import leader
from actors.raft.leader import Leader
from tests.simulation.cluster import Cluster
from tests.simulation.faults import Faults
from tests.simulation.history import History
from tests.simulation.node import Node
from tests.simulation.swarm import Swarm, draw
from tests.simulation.timeline import FindingError, Timeline
from tests.store.driver import everything

FAULTY_MS = 1_500
FAULTY_ELECTIONS = 10
"""Faults go on for so long, and for so many election timeouts."""

RECOVERY_MS = 12_000
LEASE_MS = 2_500
"""After so long in peace every lease that nobody renews has ended."""


class Report(NamedTuple):
    """What a run came to. `finding` is empty when nothing was wrong."""

    seed: int
    swarm: Swarm
    digest: str
    events: int
    counts: dict[str, int]
    finding: str

    @property
    def command(self) -> str:
        """How to see it again."""
        return f"python -m tests.simulation --seed {self.seed}"


def run(seed: int) -> Report:
    """Run one seed to its end, or to its first finding."""
    timeline = Timeline(seed)
    swarm = draw(timeline.random)
    cluster: Cluster | None = None
    finding = ""
    counts: dict[str, int] = {}
    try:
        with patch.object(leader, "APPEND_BYTES_MAX", swarm.append_bytes_max):
            cluster = Cluster(timeline, swarm)
            _run(cluster)
    except FindingError as error:
        finding = str(error)
    except Exception:  # noqa: BLE001 - a node's own assertion or error is a finding too
        finding = traceback.format_exc()
    if cluster is not None:
        counts = dict(cluster.checker.counts)
        counts["messages lost"] = cluster.network.lost
        counts["messages repeated"] = cluster.network.repeated
        counts["sectors lost"] = sum(node.disk.sectors_lost for node in cluster.nodes.values())
        cluster.close()
    return Report(seed, swarm, timeline.digest, timeline.events, counts, finding)


def _run(cluster: Cluster) -> None:
    timeline = cluster.timeline
    faults = Faults(cluster)
    timeline.run_until(max(FAULTY_MS, FAULTY_ELECTIONS * cluster.swarm.election_ms))
    faults.stop()
    timeline.step()  # a fault that was due is let pass
    cluster.calm()
    _recover(cluster)
    timeline.run_until(timeline.now_ms + (LEASE_MS if cluster.swarm.leases else 300))
    _judge(cluster, cluster.history)


def _recover(cluster: Cluster) -> None:
    """In peace, every client gets its answers, and all nodes come to the same state."""
    timeline = cluster.timeline
    deadline_ms = timeline.now_ms + RECOVERY_MS
    for client in cluster.clients:
        client.stopping = True
    while not all(client.is_idle for client in cluster.clients):
        _advance(cluster, deadline_ms, "a client waits for an answer")
    for client in cluster.clients:
        client.last()
    while not all(client.is_idle for client in cluster.clients):
        _advance(cluster, deadline_ms, "a client waits for its last answer")
    while not _agree(cluster):
        _advance(cluster, deadline_ms, "the nodes do not agree")


def _advance(cluster: Cluster, deadline_ms: int, waiting_for: str) -> None:
    timeline = cluster.timeline
    if timeline.now_ms >= deadline_ms:
        roles = {
            member: (type(node.core.role).__name__, node.core.term, node.core.replica.commit)
            for member, node in cluster.nodes.items()
            if node.is_up
        }
        raise FindingError(f"after {RECOVERY_MS} ms without faults {waiting_for}: {roles}")
    timeline.run_until(timeline.now_ms + 20)
    for node in cluster.nodes.values():
        if not node.is_up:
            node.start()


def _agree(cluster: Cluster) -> bool:
    nodes = list(cluster.nodes.values())
    leaders = [node for node in nodes if isinstance(node.core.role, Leader)]
    last = max(node.core.replica.log.last_index for node in nodes)
    return len(leaders) == 1 and all(node.machine.applied_index == last for node in nodes)


def _judge(cluster: Cluster, history: History) -> None:
    nodes: list[Node] = list(cluster.nodes.values())
    states = [everything(node.machine) for node in nodes]
    for node, state in zip(nodes[1:], states[1:], strict=True):
        # Two nodes may just now differ by what is under way; a moment later they agree.
        same = state == states[0] or node.machine.applied_index != nodes[0].machine.applied_index
        if not same:
            raise FindingError(f"{nodes[0].member_id} and {node.member_id} differ")
    leases = set().union(*(node.machine.leases.table for node in nodes))
    if leases:
        raise FindingError(f"leases outlived their time: {sorted(leases)}")
    newest = max(nodes, key=lambda node: node.machine.applied_index)
    events = newest.machine.history(b"\0", b"\0", 1, False)
    history.judge(events, cluster.checker.lease_ends_ms)
    for watcher in cluster.watchers:
        if watcher.stream.last != newest.machine.revision:
            raise FindingError(f"watcher {watcher.number} stopped at {watcher.stream.last}")
