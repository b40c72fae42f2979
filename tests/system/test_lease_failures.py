"""Leases on real processes and clocks: never early, never renewed by a fail-over, in one revision.

How late they end is measured by `python -m tests.bench` and by the campaigns of tests/chaos.
"""

from __future__ import annotations

import threading
import time

import pytest

from cluster import Client, Event, LeaseNotFoundError
from cluster.launcher.local import LocalCluster
from tests.chaos import crash
from tests.limits import HANG_SECONDS
from tests.system.conditions import client_of, events_until

TTLS_SECONDS = (2.0, 8.0, 32.0, 128.0)
"""On a slow machine the first are over before the leader is killed: then the next is tried."""

DOWN_SECONDS = 1.0
ROUNDING_MS = 2
"""Clocks of the cluster count whole milliseconds."""


def _put_keys(client: Client, prefix: str, lease_id: int, count: int) -> int:
    """Attach keys to a lease; the revision of the last."""
    for number in range(count):
        last = client.put(f"{prefix}{number}", "x", lease=lease_id)
    return last.header.revision


def _check_one_revision(events: list[Event], revision: int, count: int, reason: str) -> None:
    assert len(events) == count
    assert {event.revision for event in events} == {revision}
    assert {(event.type, event.reason) for event in events} == {("DELETE", reason)}


def test_lease_does_not_end_early_nor_live_anew_across_a_kill_of_the_leader(
    cluster: LocalCluster,
) -> None:
    with client_of(cluster) as client:
        assert any(_outlives_its_leader(cluster, client, ttl) for ttl in TTLS_SECONDS)


def _outlives_its_leader(cluster: LocalCluster, client: Client, ttl: float) -> bool:
    """Whether a lease was still there after the kill; then it ended as it must."""
    prefix = f"timed/{ttl:g}/"
    with client.watch(prefix, prefix=True) as watch, client.lease.grant(600) as kept:
        asked = time.monotonic()
        lease = client.lease.grant(ttl)
        try:
            _put_keys(client, prefix, lease.id, 3)
        except LeaseNotFoundError:
            return False
        left = client.lease.time_to_live(lease.id)
        client.put("kept", "x", lease=kept)
        cluster.kill(cluster.leader())
        client.put("untimed", "x")
        after = client.lease.time_to_live(lease.id)
        # It has no more to live than before: a new leader renews nothing.
        assert after.ttl < 0 or after.remaining_ms <= left.remaining_ms
        events = [watch.get(HANG_SECONDS) for _ in range(6)]
        # A millisecond for the clocks' rounding.
        assert time.monotonic() - asked >= ttl - 0.001, "the lease ended early"
        _check_one_revision(events[3:], events[3].revision, 3, "lease expired")
        assert not client.range(prefix, prefix=True)
        # The other one was renewed meanwhile, through whichever node.
        assert client.get("kept") is not None
    cluster.reap()
    for node in cluster.members:
        if not node.running:
            cluster.restart(node.name)
    return after.ttl >= 0


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
    with client_of(cluster) as client:
        lease = client.lease.grant(600)
        began = time.monotonic()
        before_ms = client.lease.time_to_live(lease.id).remaining_ms
        crash.kill_all(cluster)
        killed = time.monotonic()
        threading.Event().wait(DOWN_SECONDS)  # time itself is what must not count
        launched = time.monotonic()
        crash.start_all(cluster)
        after_ms = client.lease.time_to_live(lease.id).remaining_ms
        up_seconds = killed - began + time.monotonic() - launched
        assert before_ms - after_ms <= 1000 * up_seconds + ROUNDING_MS
        assert after_ms <= before_ms, "a change of leader is no renewal"
        lease.revoke()


def test_renewal_through_any_node_moves_the_deadline_everywhere(cluster: LocalCluster) -> None:
    with client_of(cluster) as client:
        lease = client.lease.grant(600)
        for name in cluster.nodes:
            with client_of(cluster, name) as there:
                asked = time.monotonic()
                there.lease.keep_alive_once(lease.id)
                remaining = client.lease.time_to_live(lease.id)
                spent_ms = 1000 * (time.monotonic() - asked)
                assert remaining.remaining_ms >= 600_000 - spent_ms - ROUNDING_MS
        lease.revoke()
        with client_of(cluster, name) as there, pytest.raises(LeaseNotFoundError):
            there.lease.keep_alive_once(lease.id)
