"""Watches on real processes: every event once and in order, whoever dies meanwhile."""

from __future__ import annotations

from cluster.launcher.local import LocalCluster
from tests.system.conditions import (
    client_of,
    events_until,
    followers,
    name_of_member,
    revisions,
)


def test_watch_goes_on_after_the_death_of_the_node_that_serves_it(cluster: LocalCluster) -> None:
    with client_of(cluster) as client, client.watch("w/", prefix=True) as watch:
        first = client.put("w/first", "x").header.revision
        cluster.kill(name_of_member(cluster, watch.header.member_id))
        for number in range(100):
            last = client.put(f"w/{number}", "x").header.revision
        events = events_until(watch, last)
    assert revisions(events) == list(range(first, last + 1))


def test_watch_of_a_revision_in_the_past_is_served_by_every_node(cluster: LocalCluster) -> None:
    with client_of(cluster) as client:
        first = client.put("past/0", "x").header.revision
        client.delete("past/0")
        last = client.put("past/0", "y").header.revision
    for name in cluster.nodes:
        with (
            client_of(cluster, name) as there,
            there.watch("past/", prefix=True, start_revision=first, prev_kv=True) as watch,
        ):
            events = events_until(watch, last)
        assert revisions(events) == [first, first + 1, last]
        assert [event.type for event in events] == ["PUT", "DELETE", "PUT"]
        assert events[1].prev_kv is not None and events[1].prev_kv.value == b"x"
        assert events[1].reason == "deleted"


def test_watches_on_all_nodes_see_the_same_across_a_kill_of_the_leader(
    cluster: LocalCluster,
) -> None:
    leader = cluster.leader()
    with (
        client_of(cluster, *followers(cluster)) as client,
        client_of(cluster, followers(cluster)[0]) as one,
        client_of(cluster, followers(cluster)[1]) as two,
        one.watch("same/", prefix=True) as first_watch,
        two.watch("same/", prefix=True) as second_watch,
    ):
        for number in range(100):
            if number == 50:
                cluster.kill(leader)
            last = client.put(f"same/{number % 7}", str(number)).header.revision
        events = events_until(first_watch, last)
        assert events == events_until(second_watch, last)
    assert [event.kv.value for event in events] == [str(n).encode() for n in range(100)]


def test_watch_leaves_a_frozen_node(cluster: LocalCluster) -> None:
    with client_of(cluster) as client, client.watch("cold/", prefix=True) as watch:
        frozen = name_of_member(cluster, watch.header.member_id)
        others = [name for name in cluster.nodes if name != frozen]
        cluster.pause(frozen)
        with client_of(cluster, *others) as writer:
            last = writer.put("cold/1", "x").header.revision
        assert revisions(events_until(watch, last)) == [last]


def test_cancelled_watch_says_no_more(cluster: LocalCluster) -> None:
    with client_of(cluster) as client:
        watch = client.watch("quiet/", prefix=True)
        last = client.put("quiet/1", "x").header.revision
        assert revisions(events_until(watch, last)) == [last]
        watch.cancel()
        client.put("quiet/2", "x")
        assert list(watch) == []
