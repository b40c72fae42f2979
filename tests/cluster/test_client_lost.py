"""Leases, locks and elections that are lost in each of the ways there are, against a real node."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cluster import Client, LeaseLostError, LeaseNotFoundError, Lock, NotElectedError
from cluster.client.flows.held_place import HeldPlace, QueuePlace
from cluster.client.threads.blocking import finish
from cluster.launcher.local import LocalCluster
from tests.cluster.inner import connection_of
from tests.cluster.probe import ProbeCluster, until

pytestmark = pytest.mark.process

WAIT = 20.0
SHORT_SECONDS = 0.5
KEPT_SECONDS = 4.0
"""Renewed every third of it: a machine that stands still for two seconds loses none."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """One node that grants short leases."""
    folder: Path = tmp_path_factory.mktemp("node")
    with LocalCluster(size=1, data_dir=folder, node_flags=["--min-lease-ttl=0.2"]) as cluster:
        yield cluster


@pytest.fixture
def other(node: LocalCluster) -> Iterator[Client]:
    """Another program."""
    with Client(node.endpoints) as connected:
        yield connected


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


# --- leases ---


def test_a_lease_that_this_client_revoked_is_lost(client: Client) -> None:
    lease = client.lease.grant(60)
    assert not lease.lost.is_set() and lease.error is None
    lease.revoke()
    assert lease.lost.is_set()
    assert "revoked by this client" in str(lease.error)
    with pytest.raises(LeaseLostError):
        lease.keep_alive()


def test_a_lease_that_nobody_renews_is_lost_when_its_ttl_has_passed(client: Client) -> None:
    lease = client.lease.grant(SHORT_SECONDS)
    assert lease.lost.wait(WAIT) and lease.lost.is_set()
    assert "no renewal" in str(lease.error)


def test_a_lease_that_is_renewed_no_longer_is_lost_when_its_ttl_has_passed(client: Client) -> None:
    lease = client.lease.grant(KEPT_SECONDS).keep_alive()
    granted_until = lease._flow._good_until
    until(lambda: lease._flow._good_until > granted_until)
    lease.stop()
    assert not lease.lost.is_set()
    assert lease.lost.wait(WAIT)


def test_a_lease_that_is_renewed_by_hand_is_not_lost(client: Client) -> None:
    lease = client.lease.grant(60)
    good_until = lease._flow._good_until
    assert 0 < lease.seconds_left() <= 60
    lease.keep_alive_once()
    assert lease._flow._good_until > good_until
    assert client.lease.adopt(lease.id).seconds_left() <= 60


def test_a_lease_that_was_lost_stays_lost(client: Client) -> None:
    lease = client.lease.grant(60)
    lease.revoke()
    again = client.lease.grant(60, id=lease.id)
    lease.keep_alive_once()
    assert lease.lost.is_set() and not again.lost.is_set()


@pytest.mark.parametrize("how", ["a renewal", "a question", "the background"])
def test_a_lease_that_another_revoked_is_lost_as_soon_as_that_is_heard(
    client: Client, other: Client, how: str
) -> None:
    lease = client.lease.grant(6)
    if how == "the background":
        lease.keep_alive()
    other.lease.revoke(lease.id)
    if how == "a renewal":
        with pytest.raises(LeaseNotFoundError):
            lease.keep_alive_once()
    elif how == "a question":
        assert lease.time_to_live().ttl == -1
    assert lease.lost.wait(WAIT if how == "the background" else 0)
    assert isinstance(lease.error, LeaseNotFoundError)


def test_who_waits_for_the_loss_waits_on_while_the_lease_is_renewed(client: Client) -> None:
    lease = client.lease.grant(KEPT_SECONDS).keep_alive()
    waiting = threading.Thread(target=lease.lost.wait)
    waiting.start()
    granted_until = lease._flow._good_until
    until(lambda: lease._flow._good_until > granted_until)
    assert waiting.is_alive()
    lease.revoke()
    waiting.join(WAIT)
    assert not waiting.is_alive()


def test_a_closed_client_keeps_no_lease_and_no_lock(node: LocalCluster) -> None:
    client = Client(node.endpoints)
    kept, given = client.session(60), client.lease.grant(60)
    mine, by_given = client.lock("mine"), client.lock("by_given", lease=given)
    mine.acquire()
    by_given.acquire()
    client.close()
    assert kept.lost.is_set()
    assert not mine.is_held and not by_given.is_held
    for lock in (mine, by_given):
        with pytest.raises(LeaseLostError):
            lock.release()


# --- locks and elections ---


def test_a_holder_whose_key_was_deleted_is_told(client: Client, other: Client) -> None:
    leases = client.lease.list().ids
    lock = client.lock("job", ttl=60)
    lock.acquire()
    other.delete(lock.key)
    assert lock.lost.wait(WAIT)
    assert not lock.is_held
    with pytest.raises(LeaseLostError, match=r"the key job/[0-9a-f]+ was deleted"):
        lock.release()
    assert client.lease.list().ids == leases
    lock.acquire()
    lock.release()


def test_a_leader_whose_key_was_deleted_is_told(client: Client, other: Client) -> None:
    leases = client.lease.list().ids
    election = client.election("job", ttl=60)
    election.campaign("one")
    other.delete(election.key)
    assert election.lost.wait(WAIT)
    assert not election.is_leader
    with pytest.raises(LeaseLostError, match="was deleted"):
        election.resign()
    with pytest.raises(NotElectedError):
        election.resign()
    assert client.lease.list().ids == leases


@pytest.mark.parametrize("given", [False, True])
def test_a_release_says_that_the_key_had_gone_though_nobody_told_before(
    client: Client, other: Client, given: bool
) -> None:
    lease = client.session(60) if given else None
    lock = client.lock("job", lease=lease)
    lock.acquire()
    # The watch of the key may not have spoken yet: this connection is not that of the deletion.
    other.delete(lock.key)
    with pytest.raises(LeaseLostError):
        lock.release()
    if lease is not None:
        lease.revoke()


def test_a_lock_goes_with_its_given_lease(client: Client, other: Client) -> None:
    for end in ("revoke", "foreign revoke", "expiry"):
        lease = client.lease.grant(SHORT_SECONDS if end == "expiry" else 60)
        lock = client.lock("job", lease=lease)
        lock.acquire()
        if end == "revoke":
            lease.revoke()
            assert not lock.is_held, "it is known here, without a word from anybody"
        elif end == "foreign revoke":
            other.lease.revoke(lease.id)
        assert lock.lost.wait(WAIT)
        assert not lock.is_held
        with pytest.raises(LeaseLostError, match="session is expired"):
            lock.release()


def test_one_who_waits_and_whose_key_is_deleted_ends_at_once(
    client: Client, other: Client, pool: ThreadPoolExecutor
) -> None:
    with client.lock("job") as held:
        for wait in (client.lock("job").acquire, client.election("job").campaign):
            waiting = pool.submit(wait)
            (key,) = _queue_behind(other, held)
            other.delete(key)
            with pytest.raises(LeaseLostError):
                waiting.result(WAIT)
            assert held.is_held
            assert len(client.get_prefix("job/")) == 1


def _queue_behind(client: Client, held: Lock) -> list[bytes]:
    """The keys that wait behind a holder's, once there is one."""
    start = held.revision + 1
    with client.watch("job/", prefix=True, start_revision=start) as watch:
        while True:
            keys = [kv.key for kv in client.get_prefix("job/") if kv.key != held.key]
            if keys:
                return keys
            watch.get(WAIT)


def test_a_lease_that_the_cluster_does_not_know_wins_no_lock(client: Client, other: Client) -> None:
    lease = client.lease.grant(60)
    other.lease.revoke(lease.id)
    with pytest.raises(LeaseLostError):
        client.lock("job", lease=lease).acquire()
    assert lease.lost.is_set()


def test_a_lock_that_is_released_is_watched_no_more(client: Client) -> None:
    with client.lock("job") as lock:
        lost = lock.lost
    client.put(b"job", "another connection's turn")
    assert not connection_of(client)._subscribers
    assert lost.is_set(), "its lease was revoked"


# --- a key whose history is compacted before it is watched ---


def _hold(client: Client) -> HeldPlace:
    client.put("place", "x")
    lease = client.lease.grant(60)
    kv = client.get("place")
    assert kv is not None
    return HeldPlace(client._flow._caller, QueuePlace(kv.key, kv.create_revision), lease._flow)


def _compact(probes: ProbeCluster) -> None:
    """End the watch of the key as a compaction does."""
    (node,) = probes.nodes
    until(lambda: node.watch_count == 1)
    node.requests.clear()
    node.cancel_watches("", compact_revision=9)
    until(lambda: any(request["op"] == "range" for request in node.requests))


def test_a_place_outlives_a_compaction_of_its_history() -> None:
    with ProbeCluster(size=1) as probes, Client(probes.endpoints) as client:
        held = _hold(client)
        client.put("other")
        _compact(probes)
        client.put("other")
        assert not held.lost.is_set()
        client.delete("place")
        assert finish(held.lost.wait(WAIT))
        assert "deleted" in str(held.why)
        held.end()


def test_a_place_that_went_in_a_compacted_history_is_lost() -> None:
    with ProbeCluster(size=1) as probes, Client(probes.endpoints) as client:
        held = _hold(client)
        (node,) = probes.nodes
        del probes.store.keys[b"place"]  # nobody is told
        _compact(probes)
        assert finish(held.lost.wait(WAIT))
        assert "the key place is gone" in str(held.why)
        assert node.watch_count == 0
