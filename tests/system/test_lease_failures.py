"""Leases on real processes and clocks: never early, at most a fail-over late, in one revision."""

from __future__ import annotations

import time

from cluster import Client, Event, LeaseNotFoundError
from cluster.launcher.local import LocalCluster
from tests.chaos import crash
from tests.system.conditions import client_of, events_until

TTL_SECONDS = 2.0
SLACK_SECONDS = 1.5
"""A lease may end this much late on a busy machine, beside the time without a leader."""


def _put_keys(client: Client, prefix: str, lease_id: int, count: int) -> int:
    """Attach keys to a lease; the revision of the last."""
    for number in range(count):
        last = client.put(f"{prefix}{number}", "x", lease=lease_id)
    return last.header.revision


def _check_one_revision(events: list[Event], revision: int, count: int, reason: str) -> None:
    assert len(events) == count
    assert {event.revision for event in events} == {revision}
    assert {(event.type, event.reason) for event in events} == {("DELETE", reason)}


def test_lease_ends_on_time_across_a_kill_of_the_leader(cluster: LocalCluster) -> None:
    with client_of(cluster) as client, client.watch("timed/", prefix=True) as watch:
        asked = time.monotonic()
        lease = client.lease.grant(TTL_SECONDS)
        granted = time.monotonic()
        kept = client.lease.grant(TTL_SECONDS)
        kept.keep_alive()
        client.put("kept", "x", lease=kept)
        last = _put_keys(client, "timed/", lease.id, 3)
        began = time.monotonic()
        cluster.kill(cluster.leader())
        last = client.put("untimed", "x").header.revision
        outage = time.monotonic() - began
        events = events_until(watch, last + 1)
        ended = time.monotonic()
        # A millisecond for the clocks' rounding.
        assert ended - asked >= TTL_SECONDS - 0.001, "the lease ended early"
        assert ended - granted <= TTL_SECONDS + outage + SLACK_SECONDS, "the lease ended late"
        _check_one_revision(events[3:], last + 1, 3, "lease expired")
        assert not client.range("timed/", prefix=True)
        # The other one was renewed meanwhile, through whichever node.
        assert client.get("kept") is not None
        kept.revoke()


def test_keys_of_a_revoked_lease_are_gone_in_one_revision(cluster: LocalCluster) -> None:
    with client_of(cluster) as client:
        lease = client.lease.grant(60)
        last = _put_keys(client, "revoked/", lease.id, 5)
        with client.watch("revoked/", prefix=True) as watch:
            lease.revoke()
            _check_one_revision(events_until(watch, last + 1), last + 1, 5, "lease revoked")
        assert client.get("revoked/0") is None
        assert client.lease.time_to_live(lease.id).ttl == -1


def test_key_put_again_without_its_lease_outlives_it(cluster: LocalCluster) -> None:
    with client_of(cluster) as client:
        lease = client.lease.grant(60)
        _put_keys(client, "detached/", lease.id, 2)
        client.put("detached/0", "free")
        assert client.lease.time_to_live(lease.id, keys=True).keys == (b"detached/1",)
        lease.revoke()
        assert [kv.key for kv in client.range("detached/", prefix=True)] == [b"detached/0"]


def test_lease_stands_still_while_all_nodes_are_down(cluster: LocalCluster) -> None:
    with client_of(cluster, timeout=20) as client:
        lease = client.lease.grant(30)
        began = time.monotonic()
        before_ms = client.lease.time_to_live(lease.id).remaining_ms
        crash.kill_all(cluster)
        killed = time.monotonic()
        crash.start_all(cluster)
        started = time.monotonic()
        after_ms = client.lease.time_to_live(lease.id).remaining_ms
        up_seconds = killed - began + time.monotonic() - started
        assert before_ms - after_ms <= 1000 * (up_seconds + SLACK_SECONDS)
        assert after_ms <= 30_000, "a change of leader is no renewal"
        assert after_ms <= before_ms
        lease.revoke()


def test_renewal_through_any_node_moves_the_deadline_everywhere(cluster: LocalCluster) -> None:
    with client_of(cluster) as client:
        lease = client.lease.grant(30)
        for name in cluster.nodes:
            with client_of(cluster, name) as there:
                there.lease.keep_alive_once(lease.id)
                remaining = client.lease.time_to_live(lease.id)
                assert remaining.remaining_ms > 30_000 - 1000 * SLACK_SECONDS
        lease.revoke()
        with client_of(cluster, name) as there:
            try:
                there.lease.keep_alive_once(lease.id)
            except LeaseNotFoundError:
                return
        raise AssertionError("a revoked lease was renewed")
