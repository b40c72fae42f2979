"""Watches that hear nothing, on real processes: compactions, deaths, and clusters made anew."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from cluster import Client, CompactedError, HistoryLostError
from cluster.client.engine.core import Core
from cluster.launcher.local import LocalCluster
from tests.cluster.inner import connection_of
from tests.system.conditions import client_of, events_until, name_of_member, revisions

WAIT = 30.0


def _fill(client: Client, count: int = 50) -> int:
    """Put keys that nobody watches; the revision of the last."""
    for number in range(count):
        last = client.put(f"other/{number % 5}", "x").header.revision
    return last


def test_a_quiet_watch_outlives_a_compaction_and_the_death_of_its_node(
    cluster: LocalCluster,
) -> None:
    with client_of(cluster) as client, client.watch("quiet/", prefix=True) as watch:
        serving = name_of_member(cluster, watch.header.member_id)
        others = [name for name in cluster.nodes if name != serving]
        with client_of(cluster, serving) as there:
            there.compact(_fill(there))
            # Answered after all that the node had to say of the compaction was sent.
            assert there.get("other/0") is not None
        cluster.kill(serving)
        with client_of(cluster, *others) as writer:
            last = writer.put("quiet/1", "x").header.revision
        assert revisions(events_until(watch, last, WAIT)) == [last]


def test_a_watch_that_missed_something_for_good_is_told(cluster: LocalCluster) -> None:
    with client_of(cluster) as client, client.watch("missed/", prefix=True) as watch:
        serving = name_of_member(cluster, watch.header.member_id)
        others = [name for name in cluster.nodes if name != serving]
        gate = threading.Event()

        def stand_still(core: Core, now: float) -> None:
            gate.wait(4 * WAIT)

        # Its client hears of nothing until the gate opens.
        connection_of(client).run(stand_still)
        try:
            cluster.kill(serving)
            with client_of(cluster, *others) as writer:
                writer.put("missed/1", "x")
                compacted = _fill(writer)
                writer.compact(compacted)
            for name in others:  # wherever the watch goes on, it is compacted there
                with client_of(cluster, name) as there:
                    assert there.get("missed/1") is not None
        finally:
            gate.set()
        with pytest.raises(CompactedError) as raised:
            watch.get(WAIT)
        assert raised.value.compact_revision == compacted


def test_a_watch_ends_when_its_cluster_was_made_anew(tmp_path: Path) -> None:
    with LocalCluster(size=1, data_dir=tmp_path) as cluster:
        (name,) = cluster.nodes
        with client_of(cluster) as client, client.watch("k") as watch:
            seen = _fill(client)
            watch.progress()
            assert watch.batch(WAIT).header.revision >= seen
            cluster.kill(name)
            shutil.rmtree(cluster.directory.node_directory(name))
            cluster.restart(name)
            with pytest.raises(HistoryLostError, match=f"seen revision {seen}, and the cluster is"):
                watch.get(WAIT)
