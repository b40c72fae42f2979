"""A leader that dies or freezes: who goes on, and what the old one may still say.

How soon is measured by `python -m tests.chaos failover` and `leader-kills`.
"""

from __future__ import annotations

from cluster.launcher.local import LocalCluster
from tests.chaos.writers import ClientWriter, RawWriter
from tests.limits import HANG_SECONDS
from tests.system.conditions import (
    client_of,
    followers,
    wait_for_other_leader,
    wait_for_revision,
    wait_until,
)


def test_writes_go_on_after_each_of_three_kills_of_the_leader(cluster: LocalCluster) -> None:
    with RawWriter(cluster.endpoints, "raw/") as raw, ClientWriter(cluster.endpoints, "c/") as own:
        for _ in range(3):
            leader = cluster.leader()
            cluster.kill(leader)
            raw.wait_for_more(50, HANG_SECONDS)
            own.wait_for_more(50, HANG_SECONDS)
            assert wait_for_other_leader(cluster, leader) != leader
            cluster.restart(leader)
        acknowledged = [*raw.stop(), *own.stop()]
    with client_of(cluster) as client:
        kvs = [*client.range("raw/", prefix=True), *client.range("c/", prefix=True)]
    found = {kv.key: (kv.mod_revision, kv.version) for kv in kvs}
    assert all(found.get(write.key) == (write.revision, 1) for write in acknowledged)
    # The client retried what the kills interrupted, and nothing was applied twice or left out.
    assert own.sent == len(own.acknowledged)


def test_writes_are_not_disturbed_by_the_death_of_a_follower(cluster: LocalCluster) -> None:
    leader = cluster.leader()
    term = cluster.status()[leader].term
    with client_of(cluster, leader) as client:
        cluster.kill(followers(cluster)[0])
        for number in range(20):
            client.put(f"undisturbed/{number}", "x")
    status = cluster.status()[leader]
    assert status.leads and status.term == term


def test_follower_that_was_down_catches_up(cluster: LocalCluster) -> None:
    down = followers(cluster)[0]
    cluster.kill(down)
    with client_of(cluster) as client:
        futures = [client.put_async(f"missed/{number}", b"x" * 1000) for number in range(2000)]
        last = max(future.result(HANG_SECONDS).header.revision for future in futures)
        cluster.restart(down)
        wait_for_revision(cluster, down, last)
        with client_of(cluster, down) as there:
            found = there.range("missed/", prefix=True, serializable=True)
        assert found.kvs == client.range("missed/", prefix=True).kvs
        assert len(found) == 2000


def test_frozen_leader_is_replaced_and_reads_nothing_stale_when_it_wakes(
    cluster: LocalCluster,
) -> None:
    frozen = cluster.leader()
    others = followers(cluster)
    with client_of(cluster, frozen) as there, client_of(cluster, *others) as here:
        there.put("frozen", "before")
        cluster.pause(frozen)
        here.put("frozen", "after")
        assert wait_for_other_leader(cluster, frozen) in others
        cluster.resume(frozen)
        # Asked at once: it may still take itself for the leader, and must find out first.
        read = there.get("frozen")
        assert read is not None and read.value == b"after"
    wait_until(cluster, "it follows", lambda: not cluster.status()[frozen].leads)


def test_client_of_all_nodes_leaves_a_frozen_leader_by_itself(cluster: LocalCluster) -> None:
    with client_of(cluster) as client:
        frozen = cluster.leader()
        client.put("patient", "1")
        cluster.pause(frozen)
        client.put("patient", "2")
        found = client.get("patient")
        assert found is not None and (found.value, found.version) == (b"2", 2)


def test_frozen_follower_catches_up_when_it_wakes(cluster: LocalCluster) -> None:
    frozen, other = followers(cluster)
    cluster.pause(frozen)
    with client_of(cluster, cluster.leader(), other) as client:
        for number in range(200):
            last = client.put(f"asleep/{number}", "x")
        cluster.resume(frozen)
    wait_for_revision(cluster, frozen, last.header.revision)
    with client_of(cluster, frozen) as there:
        assert there.range("asleep/", prefix=True, serializable=True).count == 200


def test_writes_go_on_after_a_leader_has_stopped_gracefully(cluster: LocalCluster) -> None:
    leader = cluster.leader()
    with RawWriter(cluster.endpoints, "handover/") as writer:
        writer.wait_for_more(20, HANG_SECONDS)
        cluster.stop(leader, timeout_seconds=HANG_SECONDS)
        writer.wait_for_more(50, HANG_SECONDS)
        writer.stop()
    assert cluster.node(leader).exit_status == 0
