"""The recipes of both shells of the client, against a real node."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from cluster import (
    DeadlineExceededError,
    FailedPreconditionError,
    LeaseLostError,
    LockTimeoutError,
    ops,
)
from tests.cluster.shells import Played, plain, until_keys, until_true
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.process


def begun(waits: Awaitable[Any]) -> asyncio.Future[Any]:
    """Begin to wait, and go on."""
    return asyncio.ensure_future(waits)


async def done(waits: asyncio.Future[Any]) -> Any:
    """The result, within a generous time."""
    return await asyncio.wait_for(waits, HANG_SECONDS)


# --- locks that several hold ---


def test_readers_share_and_a_writer_excludes_all(played: Played) -> None:
    async def test(client: Any) -> None:
        first, second = client.read_lock("rw"), client.read_lock("rw")
        writer, late = client.write_lock("rw"), client.read_lock("rw")
        async with first, second:
            assert first.is_held and second.is_held
            assert not await writer.try_acquire()
            writing = begun(writer.acquire())
            await until_keys(client, "rw/", 3)
            reading = begun(late.acquire())
            await until_keys(client, "rw/", 4)
            assert not await client.read_lock("rw").try_acquire(), "a writer waits before it"
            assert not writing.done() and not reading.done()
        await done(writing)
        assert not reading.done() and writer.is_held
        await writer.release()
        await done(reading)
        assert await client.read_lock("rw").try_acquire()
        with pytest.raises(LockTimeoutError):
            await client.write_lock("rw").acquire(0.05)
        await late.release()

    played(test)


def test_a_read_lock_is_taken_again_by_the_lease_that_has_it(played: Played) -> None:
    async def test(client: Any) -> None:
        lease = await client.session(60)
        lock = client.read_lock("rw", lease=lease)
        assert await lock.try_acquire()
        again = client.read_lock("rw", lease=lease)
        assert await again.try_acquire() and again.revision == lock.revision
        guarded = client.txn().if_(again.guard()).then(ops.put("x"))
        assert (await guarded.commit()).succeeded
        await lease.revoke()

    played(test)


def test_a_semaphore_lets_so_many_in_and_then_the_one_who_waits_longest(played: Played) -> None:
    async def test(client: Any) -> None:
        # The keys of later ones come first in the order of keys.
        leases = [await client.lease.grant(60, id=9 - n) for n in range(4)]
        holders = [
            client.semaphore("s", 2, identifier=f"h{n}", lease=lease)
            for n, lease in enumerate(leases)
        ]
        await holders[0].acquire()
        assert await holders[1].try_acquire()
        assert not await client.semaphore("s", 2).try_acquire()
        waiting = []
        for place, holder in enumerate(holders[2:]):
            waiting.append(begun(holder.acquire()))
            await until_keys(client, "s/", 3 + place)
        named = [kv.value for kv in await holders[0].lease_holders()]
        assert named == [b"h0", b"h1"] and holders[0].max_leases == 2
        assert [kv.value for kv in await holders[0].contenders()] == [b"h0", b"h1", b"h2", b"h3"]
        await holders[1].release()
        await done(waiting[0])
        assert not waiting[1].done()
        await holders[0].release()
        await done(waiting[1])
        assert holders[3].revision > holders[2].revision
        with pytest.raises(LockTimeoutError):
            await client.semaphore("s", 2).acquire(0.05)
        for holder in holders[2:]:
            await holder.release()
        assert not await client.get_prefix("s/")
        for lease in leases:
            await lease.revoke()
        with pytest.raises(ValueError, match="max_leases must be 1 or more"):
            client.semaphore("s", 0)

    played(test)


def test_an_election_runs_a_function_while_it_leads(played: Played) -> None:
    async def test(client: Any) -> None:
        election = client.election("e")

        async def work(left: int, *, right: int) -> int:
            leader = await election.leader()
            assert leader.key == election.key and election.is_leader
            return left + right

        assert await election.run(work, 2, right=3) == 5
        assert await election.leader() is None

        async def fails() -> None:
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            await election.run(fails)
        assert await election.contenders() == ()

    played(test)


# --- barriers ---


def test_those_who_wait_at_a_barrier_go_on_when_it_is_removed(played: Played) -> None:
    async def test(client: Any) -> None:
        barrier = client.barrier("b")
        assert await barrier.wait(), "there is none"
        assert await barrier.create() and not await barrier.create()
        assert not await barrier.wait(0.02)
        waiting = begun(barrier.wait())
        await client.put("bb", "another name")
        assert not waiting.done()
        assert await barrier.remove() and not await barrier.remove()
        assert await done(waiting)

    played(test)


def test_all_participants_of_a_double_barrier_begin_and_end_together(played: Played) -> None:
    async def test(client: Any) -> None:
        barriers = [client.double_barrier("d", 3) for _ in range(3)]
        for _ in range(2):
            entering = [begun(barrier.enter()) for barrier in barriers[:2]]
            await until_keys(client, "d/waiters/", 2)
            assert not any(one.done() for one in entering)
            await done(begun(barriers[2].enter()))
            for one in entering:
                await done(one)
            assert all(barrier.participating for barrier in barriers)
            further = begun(client.double_barrier("d", 3).enter(0.05))
            with pytest.raises(LockTimeoutError, match="not all have entered"):
                await done(further)
            leaving = [begun(barrier.leave()) for barrier in barriers[:2]]
            await until_keys(client, "d/waiters/", 1)
            assert not any(one.done() for one in leaving)
            await done(begun(barriers[2].leave()))
            for one in leaving:
                await done(one)
        assert not await client.get_prefix("d/")
        with pytest.raises(RuntimeError, match="has not entered"):
            await barriers[0].leave()

    played(test)


def test_a_participant_that_dies_has_left(played: Played) -> None:
    async def test(client: Any) -> None:
        lease = await client.session(60)
        living, dying = client.double_barrier("d", 2), client.double_barrier("d", 2, lease=lease)
        entering = begun(living.enter())
        await dying.enter()
        await done(entering)
        leaving = begun(living.leave())
        await until_keys(client, "d/waiters/", 1)
        await client.lease.revoke(lease.id)
        await done(leaving)
        # Nobody has ended the round, and there is nobody left who could.
        again = [begun(client.double_barrier("d", 2).enter()) for _ in range(2)]
        for one in again:
            await done(one)

    played(test)


# --- counting ---


def test_a_counter_counts_from_its_default(played: Played) -> None:
    async def test(client: Any) -> None:
        counter, same = client.counter("c", default=10), client.counter("c", default=10)
        assert await client.counter("none").value == 0
        assert await counter.add(5) == 15
        await asyncio.gather(*[one.add(-1) for one in (counter, same) * 5])
        assert await same.value == 5
        await client.put("c", "no number")
        with pytest.raises(FailedPreconditionError):
            await counter.add()

    played(test)


# --- queues ---


def test_a_queue_gives_each_value_once_and_in_order(played: Played) -> None:
    async def test(client: Any) -> None:
        queue = client.queue("q")
        assert await queue.try_get() is None
        with pytest.raises(DeadlineExceededError):
            await queue.get(0.02)
        for value in ("one", "two", "three"):
            await queue.put(value)
        assert await queue.size() == 3
        assert await queue.get() == b"one" and await queue.try_get() == b"two"
        assert await queue.get() == b"three"
        waiting = [begun(client.queue("q").get()) for _ in range(3)]
        for value in ("four", "five", "six"):
            await queue.put(value)
        assert sorted([await done(one) for one in waiting]) == [b"five", b"four", b"six"]
        assert await queue.size() == 0

    played(test)


def test_a_priority_queue_gives_the_lowest_number_first(played: Played) -> None:
    async def test(client: Any) -> None:
        queue = client.priority_queue("q")
        await queue.put("late", 200)
        await queue.put_all([f"v{number:03}" for number in range(120)])
        await queue.put("early", 3)
        assert await queue.get() == b"early"
        assert [await queue.get() for _ in range(120)] == [b"v%03d" % n for n in range(120)]
        assert await queue.get() == b"late"
        for wrong in (-1, 100_000):
            with pytest.raises(ValueError, match="priority must be from 0 to 99999"):
                await queue.put("x", wrong)

    played(test)


def test_a_locking_queue_gives_a_value_back_unless_it_is_consumed(played: Played) -> None:
    async def test(client: Any) -> None:
        async with client.locking_queue("q") as first, client.locking_queue("q") as second:
            await first.put("b")
            await first.put_all(["a1", "a2"], priority=1)
            assert await first.get() == b"a1" and await first.get() == b"a1"
            assert first.holds_lock() and not second.holds_lock()
            assert await second.get() == b"a2"
            await first.consume()
            with pytest.raises(RuntimeError, match="no value is held"):
                await first.consume()
            assert await first.get() == b"b"
            waiting = begun(client.locking_queue("q").get())
            await second.release()
            assert await done(waiting) == b"a2"
            assert await first.size() == 2
        assert await client.locking_queue("q").get() == b"b"

    played(test)


def test_a_value_whose_holder_dies_comes_back(played: Played) -> None:
    async def test(client: Any) -> None:
        lease = await client.session(60)
        holder, other = client.locking_queue("q", lease=lease), client.locking_queue("q")
        await holder.put("v")
        await holder.get()
        waiting = begun(other.get())
        with pytest.raises(DeadlineExceededError):
            await client.locking_queue("q").get(0.02)
        await client.lease.revoke(lease.id)
        assert await done(waiting) == b"v"
        with pytest.raises(LeaseLostError):
            await holder.consume()
        await other.consume()
        assert await other.size() == 0

    played(test)


# --- groups ---


def test_a_party_has_those_who_joined_and_have_not_died(played: Played) -> None:
    async def test(client: Any) -> None:
        lease = await client.session(60)
        first, second = client.party("p", "one"), client.party("p", "two", lease=lease)
        await first.join()
        await first.join()
        await second.join()
        assert [name async for name in first] == [b"one", b"two"]
        assert first.participating and [kv.lease for kv in await first.members()][1] == lease.id
        await client.lease.revoke(lease.id)
        await until_true(lambda: not second.participating)
        with pytest.raises(LeaseLostError):
            await second.leave()
        await first.leave()
        assert [name async for name in second] == []

    played(test)


def test_a_set_is_divided_among_the_workers_and_anew_when_they_change(played: Played) -> None:
    async def test(client: Any) -> None:
        items = [f"i{number}" for number in range(5)]
        async with client.partitioner("w", items) as first:
            assert first.allocating
            assert await first.wait_for_acquire() and first.acquired
            assert sorted(await every(first)) == [b"i0", b"i1", b"i2", b"i3", b"i4"]
            async with client.partitioner("w", items) as second:
                joining = begun(second.wait_for_acquire(HANG_SECONDS))
                await until_true(lambda: first.release)
                assert not joining.done() and await every(first) == []
                await first.release_set()
                assert await first.wait_for_acquire(HANG_SECONDS) and await done(joining)
                mine, theirs = await every(first), await every(second)
                assert (mine, theirs) == ([b"i0", b"i2", b"i4"], [b"i1", b"i3"])
            await until_true(lambda: first.release)
            await first.release_set()
            assert await first.wait_for_acquire(HANG_SECONDS)
            assert len(await every(first)) == 5
        assert not await client.get_prefix("w/")

    played(test)


def test_a_worker_that_dies_leaves_its_items_to_the_others(played: Played) -> None:
    async def test(client: Any) -> None:
        lease = await client.session(60)
        dying = client.partitioner("w", ["a", "b"], lease=lease)
        living = client.partitioner("w", ["a", "b"])
        assert await dying.wait_for_acquire()
        assert not await living.wait_for_acquire(0.05)
        await client.lease.revoke(lease.id)
        assert await living.wait_for_acquire(HANG_SECONDS)
        assert await every(living) == [b"a", b"b"]
        assert dying.failed and not dying.acquired and await every(dying) == []
        with pytest.raises(LeaseLostError):
            await dying.wait_for_acquire()
        await living.finish()

    played(test)


async def every(partitioner: Any) -> list[bytes]:
    """The items of a worker's share."""
    return list(plain(partitioner))
