"""Compaction on real processes: on all members alike, through kills, and unasked."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import wait

import pytest

from actors.store.retention import REVISIONS_MUCH
from cluster import Client, CompactedError, OutOfRangeError
from cluster.launcher.local import LocalCluster
from tests.system.conditions import client_of, wait_for_revision, wait_until

WRITES = 6_000
KEYS = 20
KEPT_MAX = 1_000 + REVISIONS_MUCH
"""Of the last 1,000 revisions and fewer than these more, none need go yet."""


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """Three nodes of its own for each test."""
    with LocalCluster() as made:
        yield made


def overwrite(client: Client, writes: int = WRITES) -> int:
    """Put a few keys again and again; the last revision."""
    puts = [client.put_async(f"key{number % KEYS}", "v" * 200) for number in range(writes)]
    wait(puts)
    return max(put.result().header.revision for put in puts)


def knows(cluster: LocalCluster, name: str, revision: int) -> bool | None:
    """Whether a node can still read a revision; None when it has not come so far yet."""
    with client_of(cluster, name) as there:
        try:
            return there.range(revision=revision, serializable=True).count >= KEYS
        except CompactedError:
            return False
        except OutOfRangeError:
            return None


def wait_until_gone(cluster: LocalCluster, name: str, revision: int) -> None:
    """Wait until a node has no history of this revision."""
    what = f"{name} has forgotten revision {revision}"
    wait_until(cluster, what, lambda: knows(cluster, name, revision) is False)


def wait_until_compacted(cluster: LocalCluster, name: str, revision: int) -> None:
    """Wait until a node reads this revision and none before it."""
    wait_until_gone(cluster, name, revision - 1)
    assert knows(cluster, name, revision)


def in_use(cluster: LocalCluster, name: str) -> int:
    with client_of(cluster, name) as there:
        return there.status().db_size_in_use


def test_history_ends_on_all_members_and_the_disk_is_free_for_more(cluster: LocalCluster) -> None:
    asked = next(iter(cluster.nodes))
    with client_of(cluster, asked) as client:
        last = overwrite(client)
        full = in_use(cluster, asked)
        client.compact(last - 1, physical=True)
        assert in_use(cluster, asked) < full / 3
        with pytest.raises(CompactedError):
            client.compact(last - 1)
        with pytest.raises(CompactedError) as caught:
            next(client.watch("key", prefix=True, start_revision=5))
        assert caught.value.compact_revision == last - 1
    for name in cluster.nodes:
        wait_until_compacted(cluster, name, last - 1)


def test_a_compaction_outlives_kills_of_all_nodes_and_is_finished_afterwards(
    cluster: LocalCluster,
) -> None:
    names = list(cluster.nodes)
    with client_of(cluster) as client:
        last = overwrite(client)
        client.compact(last)
    for name in names:
        wait_for_revision(cluster, name, last)
        cluster.kill(name)
    for name in names:
        cluster.launch_node(name)
    cluster.wait_until_ready()
    for name in names:
        wait_until_compacted(cluster, name, last)
    with client_of(cluster, names[0]) as client:
        last = overwrite(client, 100)
        client.compact(last, physical=True)
        assert in_use(cluster, names[0]) < 100_000


@pytest.mark.parametrize(
    ("mode", "retention"),
    [("revision", "1000"), ("periodic", "500ms")],
)
def test_a_cluster_compacts_unasked(mode: str, retention: str) -> None:
    flags = (f"--auto-compaction-mode={mode}", f"--auto-compaction-retention={retention}")
    with LocalCluster(node_flags=flags) as cluster, client_of(cluster) as client:
        last = overwrite(client)
        for name in cluster.nodes:
            wait_until_gone(cluster, name, last - KEPT_MAX)
        leader = cluster.leader()
        cluster.kill(leader)
        cluster.wait_for_leader()
        overwrite(client, 100)
        last = overwrite(client)
        others = [name for name in cluster.nodes if name != leader]
        for name in others:
            wait_until_gone(cluster, name, last - KEPT_MAX)
