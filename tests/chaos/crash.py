"""Kills all nodes at once under load and starts them again on the same data, round after round.

After each start, every write that was ever acknowledged is there, as it was written and once.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Final, NamedTuple

from cluster import Client, KeyValue
from cluster.launcher.local import LocalCluster
from tests.chaos.writers import RawWriter

WRITES_PER_ROUND: Final = 300
WAIT_SECONDS: Final = 30.0


class Report(NamedTuple):
    """What was acknowledged before the kills, and survived them."""

    rounds: int
    acknowledged: int
    sent: int

    def text(self) -> str:
        """All of it in one line."""
        return (
            f"{self.rounds} times all nodes were killed at once under load: {self.acknowledged:,}"
            f" of {self.sent:,} writes had been acknowledged, none of these is missing"
        )


def run(rounds: int) -> Report:
    """So many rounds; AssertionError when an acknowledged write is missing or was changed."""
    expected: dict[bytes, int] = {}
    sent = 0
    with LocalCluster() as cluster:
        for number in range(rounds):
            with RawWriter(cluster.endpoints, f"round-{number:03d}/") as writer:
                writer.wait_for_more(WRITES_PER_ROUND, WAIT_SECONDS)
                kill_all(cluster)
                acknowledged = writer.stop()
            expected.update({write.key: write.revision for write in acknowledged})
            sent += writer.sent
            start_all(cluster)
            with Client(cluster.endpoints) as client:
                found = {kv.key: kv for kv in client.range("round-", prefix=True)}
            check_keys(found, expected)
    return Report(rounds, len(expected), sent)


def kill_all(cluster: LocalCluster) -> None:
    """kill -9 every node, none before the other can notice."""
    for node in cluster.running:
        node.signal(signal.SIGKILL)
    for node in cluster.running:
        assert node.wait(WAIT_SECONDS), f"{node.name} survived SIGKILL"


def start_all(cluster: LocalCluster) -> None:
    """Start every node and wait until writes are acknowledged."""
    for name in cluster.nodes:
        cluster.launch_node(name)
    cluster.wait_until_ready()


def check_keys(found: Mapping[bytes, KeyValue], expected: Mapping[bytes, int]) -> None:
    """Every key expected is there, with itself as its value, written once at that revision."""
    for key, revision in expected.items():
        assert key in found, f"{key!r}, acknowledged at revision {revision}, is missing"
        kv = found[key]
        assert (kv.value, kv.mod_revision, kv.version) == (key, revision, 1), f"changed: {kv}"
