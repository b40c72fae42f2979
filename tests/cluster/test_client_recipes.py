"""Locks and elections against a real cluster: their order, their guards, and what is lost when."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from cluster import (
    Client,
    DeadlineExceededError,
    KeyValue,
    LeaseLostError,
    Lock,
    LockTimeoutError,
    NotElectedError,
    UnavailableError,
    WatchCanceledError,
    ops,
)
from cluster.launcher.local import LocalCluster
from tests.cluster.probe import ProbeCluster
from tests.limits import HANG_SECONDS, PATIENT

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    folder: Path = tmp_path_factory.mktemp("nodes")
    with LocalCluster(size=3, data_dir=folder) as cluster:
        yield cluster


@pytest.fixture
def client(nodes: LocalCluster) -> Iterator[Client]:
    """A client of a cluster that holds no key."""
    with Client(nodes.endpoints, **PATIENT) as connected:
        connected.delete(b"\0", from_key=True)
        yield connected


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as executor:
        yield executor


def wait_for_keys(client: Client, prefix: str, count: int) -> None:
    """Wait until there are so many keys that begin with the prefix."""
    deadline = time.monotonic() + HANG_SECONDS
    start = client.range(prefix, prefix=True, count_only=True)
    with client.watch(prefix, prefix=True, start_revision=start.header.revision + 1) as watch:
        found = start.count
        while found != count:
            watch.get(deadline - time.monotonic())
            found = client.range(prefix, prefix=True, count_only=True).count


def joins(client: Client, pool: ThreadPoolExecutor, lock: Lock, place: int) -> Future[None]:
    """Begin to acquire a lock in another thread, and wait until it stands in the queue."""
    begun = pool.submit(lock.acquire, HANG_SECONDS)
    wait_for_keys(client, "job/", place)
    return begun


# --- locks ---


def test_a_lock_is_a_key_of_its_lease_as_in_etcd(client: Client) -> None:
    with client.lock("job", ttl=30) as lock:
        (kv,) = client.get_prefix("job/")
        assert (lock.key, lock.revision) == (kv.key, kv.create_revision)
        assert kv.key == b"job/%x" % kv.lease
        assert lock.is_held and not lock.lost.is_set()
        assert client.lease.time_to_live(kv.lease).granted_ttl == 30
    assert not lock.is_held
    assert not client.get_prefix("job/")
    assert kv.lease not in client.lease.list().ids


def test_a_lock_goes_to_those_who_wait_in_their_order(
    client: Client, pool: ThreadPoolExecutor
) -> None:
    locks = [client.lock("job") for _ in range(4)]
    begun = [joins(client, pool, lock, place + 1) for place, lock in enumerate(locks)]
    tokens = []
    for place, lock in enumerate(locks):
        begun[place].result(HANG_SECONDS)
        assert not any(future.done() for future in begun[place + 1 :])
        tokens.append(lock.revision)
        lock.release()
    assert tokens == sorted(tokens), "the fencing token grows from holder to holder"


def test_one_who_waits_and_goes_leaves_the_others_waiting(
    client: Client, pool: ThreadPoolExecutor
) -> None:
    first, second, third = (client.lock("job") for _ in range(3))
    first.acquire()
    middle = pool.submit(second.acquire, 1.0)
    wait_for_keys(client, "job/", 2)
    last = joins(client, pool, third, 3)
    with pytest.raises(LockTimeoutError):
        middle.result(HANG_SECONDS)
    wait_for_keys(client, "job/", 2)
    assert not last.done()
    first.release()
    last.result(HANG_SECONDS)
    third.release()


def test_a_lock_that_is_not_won_in_time_leaves_nothing_behind(client: Client) -> None:
    leases = client.lease.list().ids
    with client.lock("job"):
        other = client.lock("job")
        with pytest.raises(LockTimeoutError):
            other.acquire(0.05)
        with pytest.raises(TimeoutError):
            other.acquire(0)
        assert not other.is_held
    assert client.lease.list().ids == leases
    other.acquire(0)
    other.release()


def test_a_try_does_not_wait_and_leaves_nothing_behind(client: Client) -> None:
    leases = client.lease.list().ids
    lock, other = client.lock("job"), client.lock("job")
    assert lock.try_acquire()
    assert not other.try_acquire()
    assert len(client.get_prefix("job/")) == 1
    lock.release()
    assert other.try_acquire()
    other.release()
    assert client.lease.list().ids == leases


def test_threads_that_share_a_lock_exclude_each_other(
    client: Client, pool: ThreadPoolExecutor
) -> None:
    lock, inside, most = client.lock("job"), 0, 0

    def work() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
            client.increment("n")
            inside -= 1

    for future in [pool.submit(work) for _ in range(8)]:
        future.result(HANG_SECONDS)
    assert most == 1
    assert client.increment("n", 0) == 8


def test_a_holder_whose_lease_ends_is_told_and_cannot_pass_its_guard(client: Client) -> None:
    lock = client.lock("job", ttl=3)
    lock.acquire()
    write = client.txn().if_(lock.guard()).then(ops.put("guarded", "x"))
    assert write.commit().succeeded
    (kv,) = client.get_prefix("job/")
    client.lease.revoke(kv.lease)
    assert not write.commit().succeeded
    assert lock.lost.wait(HANG_SECONDS)
    assert not lock.is_held
    with pytest.raises(LeaseLostError, match="session is expired"):
        lock.release()
    lock.acquire()
    lock.release()


def test_a_lost_lock_is_an_error_at_the_end_of_the_block_unless_there_was_one(
    client: Client,
) -> None:
    lease = client.session(60)
    with pytest.raises(LeaseLostError), client.lock("job", lease=lease) as lock:
        client.delete(lock.key)
    with pytest.raises(KeyError, match="mine"), client.lock("job", lease=lease) as lock:
        client.delete(lock.key)
        raise KeyError("mine")
    lease.revoke()


def test_one_who_waits_without_a_lease_is_told(client: Client, pool: ThreadPoolExecutor) -> None:
    with client.lock("job") as lock:
        waiting = joins(client, pool, client.lock("job", ttl=3), 2)
        (kv,) = [kv for kv in client.get_prefix("job/") if kv.key != lock.key]
        client.lease.revoke(kv.lease)
        with pytest.raises(LeaseLostError):
            waiting.result(HANG_SECONDS)


def test_a_lock_is_not_won_with_a_lease_that_nobody_renews_any_more(client: Client) -> None:
    lease = client.session(60)
    lease._flow._abort(UnavailableError("no renewal was acknowledged in time"))
    lock = client.lock("job", lease=lease)
    for take in (lock.acquire, lock.try_acquire):
        with pytest.raises(LeaseLostError):
            take()
        assert not lock.is_held
        assert not client.get_prefix("job/")
    lease.revoke()


def test_a_try_leaves_the_place_in_the_queue_of_its_lease_alone(
    client: Client, pool: ThreadPoolExecutor
) -> None:
    lease = client.session(60)
    with client.lock("job"):
        waiting = joins(client, pool, client.lock("job", lease=lease), 2)
        assert not client.lock("job", lease=lease).try_acquire()
        assert len(client.get_prefix("job/")) == 2
    waiting.result(HANG_SECONDS)
    lease.revoke()


def test_one_whose_key_was_deleted_does_not_take_the_lock(
    client: Client, pool: ThreadPoolExecutor
) -> None:
    lock = client.lock("job")
    lock.acquire()
    waiting = joins(client, pool, client.lock("job"), 2)
    (kv,) = [kv for kv in client.get_prefix("job/") if kv.key != lock.key]
    client.delete(kv.key)
    lock.release()
    with pytest.raises(LeaseLostError):
        waiting.result(HANG_SECONDS)
    assert kv.lease not in client.lease.list().ids


def test_a_lease_that_holds_a_lock_holds_it_again_in_the_next_life(nodes: LocalCluster) -> None:
    with Client(nodes.endpoints) as former:
        lease = former.lease.grant(60)
        lock = former.lock("job", lease=lease)
        lock.acquire()
        token = lock.revision
    with Client(nodes.endpoints, **PATIENT) as present:
        again = present.lock("job", lease=present.lease.adopt(lease.id))
        again.acquire(0)
        assert again.revision == token
        assert not present.lock("job").try_acquire()
        again.release()
        assert lease.id in present.lease.list().ids, "a given lease is left to its owner"
        assert present.lock("job", lease=lease).try_acquire()
        present.lease.revoke(lease.id)


def test_a_lock_is_not_released_twice_nor_asked_for_its_token_when_free(client: Client) -> None:
    lock = client.lock("job")
    for use in (lock.release, lambda: lock.revision, lambda: lock.key, lock.guard):
        with pytest.raises(RuntimeError, match="not held"):
            use()


def test_a_client_that_is_closed_releases_those_who_wait(
    client: Client, nodes: LocalCluster, pool: ThreadPoolExecutor
) -> None:
    with client.lock("job"):
        other = Client(nodes.endpoints)
        waiting = joins(client, pool, other.lock("job"), 2)
        other.close()
        with pytest.raises((WatchCanceledError, LeaseLostError, UnavailableError)):
            waiting.result(HANG_SECONDS)


def test_locks_survive_the_death_of_the_leader(
    client: Client, nodes: LocalCluster, pool: ThreadPoolExecutor
) -> None:
    lock, other = client.lock("job"), client.lock("job")
    lock.acquire()
    waiting = joins(client, pool, other, 2)
    leader = nodes.leader()
    nodes.kill(leader)
    token = lock.revision
    assert client.txn().if_(lock.guard()).then(ops.put("guarded")).commit().succeeded
    assert not waiting.done()
    lock.release()
    waiting.result(HANG_SECONDS)
    assert other.revision > token
    other.release()
    nodes.restart(leader)


# --- elections ---


def test_candidates_lead_one_after_the_other(client: Client, pool: ThreadPoolExecutor) -> None:
    first, second = client.election("job"), client.election("job")
    first.campaign("one")
    waiting = pool.submit(second.campaign, "two", HANG_SECONDS)
    wait_for_keys(client, "job/", 2)
    leader = first.leader()
    assert leader is not None
    assert (leader.key, leader.value, leader.create_revision) == (first.key, b"one", first.revision)
    assert first.is_leader and not second.is_leader and not waiting.done()
    first.resign()
    waiting.result(HANG_SECONDS)
    leader = first.leader()
    assert leader is not None and leader.value == b"two"
    second.resign()
    assert first.leader() is None


def test_a_leader_proclaims_and_whoever_does_not_lead_may_not(client: Client) -> None:
    with client.election("job") as election:
        for use in (lambda: election.proclaim("x"), election.resign, election.guard):
            with pytest.raises(NotElectedError, match="election: not leader"):
                use()
        election.campaign("one")
        election.proclaim("two")
        leader = election.leader()
        assert leader is not None and leader.value == b"two"
        client.delete(election.key)
        with pytest.raises(NotElectedError):
            election.proclaim("three")
        assert not election.is_leader
        election.campaign("four")
        assert client.txn().if_(election.guard()).commit().succeeded
    assert not client.get_prefix("job/")


def test_a_candidate_may_stand_again_when_its_lease_was_lost(client: Client) -> None:
    election = client.election("job", ttl=3)
    election.campaign("one")
    with pytest.raises(RuntimeError, match="candidate already"):
        election.campaign("two")
    (kv,) = client.get_prefix("job/")
    client.lease.revoke(kv.lease)
    assert election.lost.wait(HANG_SECONDS)
    assert not election.is_leader
    election.campaign("three")
    assert election.is_leader
    election.resign()


def test_a_lease_that_leads_goes_on_in_the_next_life_with_a_new_value(client: Client) -> None:
    lease = client.session(60)
    former = client.election("job", lease=lease)
    former.campaign("old")
    present = client.election("job", lease=client.lease.adopt(lease.id))
    present.campaign("new", timeout=0)
    assert present.revision == former.revision
    leader = present.leader()
    assert leader is not None and leader.value == b"new"
    present.resign()
    lease.revoke()


def test_a_candidate_that_is_not_elected_in_time_stands_no_more(client: Client) -> None:
    with client.election("job") as leader:
        leader.campaign("one")
        other = client.election("job")
        with pytest.raises(LockTimeoutError):
            other.campaign("two", timeout=0.05)
        assert [kv.value for kv in client.get_prefix("job/")] == [b"one"]


def test_observers_see_each_leader_and_what_it_proclaims(
    client: Client, pool: ThreadPoolExecutor
) -> None:
    first, second = client.election("job"), client.election("job")
    first.campaign("one")
    with first.observe() as seen:
        assert seen.get(HANG_SECONDS).value == b"one"
        waiting = pool.submit(second.campaign, "two", HANG_SECONDS)
        wait_for_keys(client, "job/", 2)
        first.proclaim("uno")
        assert seen.get(HANG_SECONDS).value == b"uno"
        with pytest.raises(DeadlineExceededError):
            seen.get(0.02)
        first.resign()
        assert seen.get(HANG_SECONDS).value == b"two"
        waiting.result(HANG_SECONDS)
        second.resign()
        first.campaign("three")
        leader = next(seen)
        assert (leader.value, leader.key) == (b"three", first.key)
        first.resign()
    assert list(seen) == []
    with pytest.raises(WatchCanceledError):
        seen.get(HANG_SECONDS)


def test_an_observation_outlives_a_compaction() -> None:
    with ProbeCluster(size=1) as probes, Client(probes.endpoints) as client:
        client.put("job/x", "one")
        with client.election("job").observe() as seen:
            assert seen.get(HANG_SECONDS).value == b"one"
            for node in probes.nodes:
                node.cancel_watches("", compact_revision=9)
            client.put("job/x", "two")
            assert seen.get(HANG_SECONDS).value == b"two"


def test_cancelling_an_observation_releases_whoever_waits(client: Client) -> None:
    seen = client.election("job").observe()
    taken: list[KeyValue] = []
    thread = threading.Thread(target=lambda: taken.extend(seen))
    thread.start()
    seen.cancel()
    thread.join(HANG_SECONDS)
    assert not thread.is_alive() and taken == []
