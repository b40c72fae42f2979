"""All nodes killed at once, and graceful stops: what was acknowledged is there afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster import Client, LeaseholdError
from cluster.launcher.local import LocalCluster
from tests.chaos import crash
from tests.limits import HANG_SECONDS
from tests.system.conditions import client_of, wait_for_revision


@pytest.mark.campaign
def test_nothing_acknowledged_is_missing_after_all_nodes_were_killed_under_load() -> None:
    report = crash.run(3, late_seconds=HANG_SECONDS)
    assert report.acknowledged >= 3 * crash.WRITES_PER_ROUND


def test_data_of_a_graceful_stop_is_there_after_the_next_start(tmp_path: Path) -> None:
    with LocalCluster(data_dir=tmp_path) as cluster, client_of(cluster) as client:
        client.put("kept", "1")
        client.put("kept", "2")
        client.delete("kept")
        last = client.put("kept", "3")
        lease = client.lease.grant(600)
        client.put("leased", "x", lease=lease)
    assert [node.exit_status for node in cluster.nodes.values()] == [0, 0, 0]
    with LocalCluster(data_dir=tmp_path) as cluster, client_of(cluster) as client:
        kv = client.get("kept")
        assert kv is not None
        assert (kv.value, kv.mod_revision, kv.version) == (b"3", last.header.revision, 1)
        old = client.get("kept", revision=last.header.revision - 2)
        assert old is not None and old.value == b"2"
        assert client.lease.time_to_live(lease.id, keys=True).keys == (b"leased",)


def test_each_node_alone_has_everything_after_a_restart_of_all(cluster: LocalCluster) -> None:
    with client_of(cluster) as client:
        for number in range(50):
            last = client.put(f"all/{number}", str(number))
    crash.kill_all(cluster)
    crash.start_all(cluster)
    for name, node in cluster.nodes.items():
        wait_for_revision(cluster, name, last.header.revision)
        with Client(node.endpoint) as client:
            found = client.range("all/", prefix=True, serializable=True)
            assert {kv.value for kv in found} == {str(number).encode() for number in range(50)}


def test_two_of_three_nodes_take_writes_and_one_alone_refuses_them(cluster: LocalCluster) -> None:
    first, second, last = cluster.nodes
    cluster.kill(first)
    with client_of(cluster, second, last) as client, client_of(cluster, last, timeout=1) as alone:
        wait_for_revision(cluster, last, client.put("majority", "two").header.revision)
        cluster.kill(second)
        local = alone.get("majority", serializable=True)
        assert local is not None and local.value == b"two"
        with pytest.raises(LeaseholdError):
            alone.get("majority")
        with pytest.raises(LeaseholdError):
            alone.put("majority", "one")
    with client_of(cluster, last) as client:
        cluster.launch_node(second)
        client.put("majority", "two again")
