"""One suite for both shells of the client, against a real node."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cluster import (
    DeadlineExceededError,
    InvalidArgumentError,
    LeaseLostError,
    LockTimeoutError,
    NotElectedError,
    UnavailableError,
    WatchCanceledError,
    ops,
)
from tests.cluster.shells import Played, plain, until_keys, until_true
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.process


# --- keys ---


def test_keys_are_put_read_and_deleted(played: Played) -> None:
    async def test(client: Any) -> None:
        await client.put("a", "1")
        await client.put("b", "2")
        assert (await client.get("a")).value == b"1"
        assert [kv.key for kv in await client.get_prefix("")] == [b"a", b"b"]
        assert await client.increment("n", 5) == 5
        assert (await client.delete("a")).deleted == 1
        assert await client.get("a") is None
        with pytest.raises(InvalidArgumentError, match="key is not provided"):
            await client.put("", "x")

    played(test)


def test_pipelined_requests_are_futures(played: Played) -> None:
    async def test(client: Any) -> None:
        puts = [client.put_async(f"k{number}", "v") for number in range(100)]
        assert {type(one.prev_kv) for one in await asyncio.gather(*puts)} == {type(None)}
        with pytest.raises(InvalidArgumentError):
            await client.put_async("", "v")
        assert (await client.delete_async("k0")).deleted == 1
        assert await client.get_async("k0") is None

    played(test)


def test_a_scan_goes_through_its_pages(played: Played) -> None:
    async def test(client: Any) -> None:
        await asyncio.gather(*[client.put_async(f"s{number:03}", "v") for number in range(150)])
        found = [kv.key async for kv in client.scan("s", prefix=True, page_size=50)]
        assert found == [b"s%03d" % number for number in range(150)]
        scan = await client.scan("s", prefix=True)
        assert (scan.count, scan.revision) == (150, scan.header.revision)

    played(test)


def test_a_transaction_takes_the_branch_that_its_compares_say(played: Played) -> None:
    async def test(client: Any) -> None:
        txn = client.txn().if_(ops.version("t") == 0).then(ops.put("t", "1")).else_(ops.get("t"))
        assert (await txn.commit()).succeeded
        done = await txn.commit()
        assert not done.succeeded and done.responses[0][0].value == b"1"
        assert not (await txn.commit_async()).succeeded

    played(test)


def test_functions_that_run_as_one_lose_no_update(played: Played) -> None:
    async def test(client: Any) -> None:
        async def more(attempt: Any) -> int:
            value = int(await attempt.get("n") or 0) + 1
            attempt["n"] = str(value)
            return value

        sums = await asyncio.gather(*[client.stm(more) for _ in range(8)])
        assert sorted(sums) == list(range(1, 9))

        async def forget(attempt: Any) -> None:
            assert await attempt["n"] == b"8"
            del attempt["n"]

        await client.stm(forget)
        assert await client.get("n") is None

    played(test)


# --- watches ---


def test_a_watch_gives_events_and_batches_of_whole_revisions(played: Played) -> None:
    async def test(client: Any) -> None:
        async with client.watch("w", prefix=True) as watch:
            await client.txn().then(ops.put("w1", "a"), ops.put("w2", "b")).commit()
            await client.delete("w1")
            batch = await watch.batch(HANG_SECONDS)
            assert [event.kv.key for event in batch.events[:2]] == [b"w1", b"w2"]
            assert batch.events[0].revision == batch.events[1].revision > watch.header.revision
            last = batch.events[-1] if len(batch.events) == 3 else await watch.get(HANG_SECONDS)
            assert (last.type, last.kv.key) == ("DELETE", b"w1")
            with pytest.raises(DeadlineExceededError):
                await watch.get(0.01)
            watch.progress()
            assert (await watch.batch(HANG_SECONDS)).events == ()
        with pytest.raises(WatchCanceledError):
            await watch.get(HANG_SECONDS)

    played(test)


def test_a_watch_gives_the_events_of_each_revision_alone(played: Played) -> None:
    async def test(client: Any) -> None:
        start = (await client.put("w0")).header.revision
        await client.txn().then(ops.put("w1", "a"), ops.put("w2", "b")).commit()
        last = (await client.delete("w1")).header.revision
        watch = plain(await client.watch("w", prefix=True, start_revision=start))
        sizes: list[int] = []
        revisions: list[int] = []
        seen = watch.revisions()
        while not revisions or revisions[-1] < last:
            batch = await anext(seen) if hasattr(seen, "__anext__") else next(seen)
            assert {event.revision for event in batch.events} <= {batch.header.revision, last}
            sizes.append(len(batch.events))
            revisions.append(batch.events[0].revision)
        assert (sizes, revisions) == ([1, 2, 1], [start, start + 1, last])
        watch.cancel()

    played(test)


def test_a_watch_calls_back_in_order_and_tells_its_end(played: Played) -> None:
    async def test(client: Any) -> None:
        told: list[Any] = []

        def callback(batch: Any) -> None:
            told.append(batch)
            if len(told) == 1:
                raise KeyError("what the program's function raises ends nothing")

        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)
        await client.watch("w", callback=callback)
        for number in range(50):
            await client.put("w", str(number))
        await until_true(lambda: sum(len(batch.events) for batch in told) == 50)
        values = [event.kv.value for batch in told for event in batch.events]
        assert values == [b"%d" % number for number in range(50)]
        await client.close()
        await until_true(lambda: isinstance(told[-1], WatchCanceledError))

    played(test)


def test_an_iteration_over_a_watch_ends_when_it_is_cancelled(played: Played) -> None:
    async def test(client: Any) -> None:
        watch = await client.watch("w")
        seen: list[bytes] = []

        async def follow() -> None:
            async for event in watch:
                seen.append(event.kv.value)
                if event.kv.value == b"last":
                    watch.cancel()

        following = asyncio.ensure_future(follow())
        for value in ("first", "last"):
            await client.put("w", value)
        await asyncio.wait_for(following, HANG_SECONDS)
        assert seen == [b"first", b"last"]

    played(test)


# --- leases ---


def test_a_lease_is_kept_alive_in_its_block_and_revoked_at_its_end(played: Played) -> None:
    async def test(client: Any) -> None:
        async with client.session(60) as lease:
            await client.put("l", "v", lease=lease)
            assert (await lease.time_to_live(keys=True)).keys == (b"l",)
            assert not lease.lost.is_set() and lease.error is None
            assert (await lease.keep_alive_once()).ttl == 60
        assert lease.lost.is_set() and await lease.lost.wait(0)
        assert await client.get("l") is None
        assert lease.id not in (await client.lease.list()).ids

    played(test)


def test_the_loss_of_a_lease_wakes_those_who_wait_for_it(played: Played) -> None:
    async def test(client: Any) -> None:
        lease = (await client.lease.grant(3)).keep_alive()
        assert not await lease.lost.wait(0.01)
        waiting = asyncio.ensure_future(lease.lost.wait())
        told: list[str] = []
        with lease.when_lost(lambda: told.append("lost")):
            await client.lease.revoke(lease.id)
            assert await asyncio.wait_for(waiting, HANG_SECONDS)
            assert told
        with pytest.raises(LeaseLostError):
            lease.keep_alive()

    played(test)


def test_a_lease_is_adopted_by_its_id(played: Played) -> None:
    async def test(client: Any) -> None:
        granted = await client.put("l", "v", ttl=60)
        lease = await client.lease.adopt(granted.lease)
        assert 0 < lease.seconds_left() <= 60
        await lease.revoke()
        assert await client.get("l") is None

    played(test)


# --- locks and elections ---


def test_a_lock_excludes_others_and_goes_on_in_order(played: Played) -> None:
    async def test(client: Any) -> None:
        first, second = client.lock("job"), client.lock("job")
        async with first:
            assert first.is_held and not await second.try_acquire()
            with pytest.raises(LockTimeoutError):
                await second.acquire(0.05)
            waiting = asyncio.ensure_future(second.acquire(HANG_SECONDS))
            await until_keys(client, "job/", 2)
            token = first.revision
            assert (await client.txn().if_(first.guard()).commit()).succeeded
            assert not waiting.done()
        await waiting
        assert second.revision > token and second.key.startswith(b"job/")
        await second.release()
        assert not await client.get_prefix("job/")
        assert not (await client.lease.list()).ids

    played(test)


def test_those_who_share_a_lock_object_exclude_each_other(played: Played) -> None:
    async def test(client: Any) -> None:
        lock, inside, most = client.lock("job"), 0, 0

        async def work() -> None:
            nonlocal inside, most
            async with lock:
                inside += 1
                most = max(most, inside)
                await client.increment("n")
                inside -= 1

        await asyncio.gather(*[work() for _ in range(5)])
        assert most == 1 and await client.increment("n", 0) == 5

    played(test)


def test_a_lock_is_held_by_a_given_lease_and_lost_with_it(played: Played) -> None:
    async def test(client: Any) -> None:
        lease = await client.session(60)
        lock = client.lock("job", lease=lease)
        await lock.acquire()
        await client.lease.revoke(lease.id)
        assert await lock.lost.wait(HANG_SECONDS)
        assert not lock.is_held and isinstance(lock.error, LeaseLostError)
        with pytest.raises(LeaseLostError, match="session is expired"):
            await lock.release()
        with pytest.raises(TypeError, match="must be a Lease of this client"):
            client.lock("job", lease=7)

    played(test)


def test_candidates_lead_one_after_the_other_and_are_observed(played: Played) -> None:
    async def test(client: Any) -> None:
        first, second = client.election("job"), client.election("job")
        with pytest.raises(NotElectedError):
            await first.resign()
        await first.campaign("one")
        async with first.observe() as seen:
            assert (await seen.get(HANG_SECONDS)).value == b"one"
            waiting = asyncio.ensure_future(second.campaign("two", HANG_SECONDS))
            await until_keys(client, "job/", 2)
            await first.proclaim("uno")
            assert (await seen.get(HANG_SECONDS)).value == b"uno"
            await first.resign()
            await waiting
            assert (await seen.get(HANG_SECONDS)).value == b"two"
        assert (await first.leader()).key == second.key and second.is_leader
        await second.resign()
        assert await first.leader() is None

    played(test)


# --- the cluster, and the end ---


def test_the_cluster_is_asked_for_itself(played: Played) -> None:
    async def test(client: Any) -> None:
        (member,) = (await client.member_list()).members
        (endpoint,) = client.endpoints
        assert (await client.status(endpoint)).leader == member.id
        assert (await client.move_leader(member.id)).target == member.id
        assert (await client.hash_kv()).hash and not (await client.alarm_list()).alarms

    played(test)


def test_a_closed_client_ends_what_waits_and_refuses_what_comes(played: Played) -> None:
    async def test(client: Any) -> None:
        watch = await client.watch("w")
        waiting = asyncio.ensure_future(watch.get())
        lease = await client.session(60)
        await client.close()
        with pytest.raises(WatchCanceledError):
            await asyncio.wait_for(waiting, HANG_SECONDS)
        assert lease.lost.is_set()
        with pytest.raises(UnavailableError, match="closed"):
            await client.put("a", "b")

    played(test)
