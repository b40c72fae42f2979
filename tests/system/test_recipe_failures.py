"""Recipes of both shells of the client while the leader is killed: what is held stays held."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cluster import ops
from cluster.launcher.local import LocalCluster
from tests.cluster.shells import SHELLS, run
from tests.limits import HANG_SECONDS


async def held_of(client: Any, name: str) -> list[Any]:
    """Objects that hold something, each by a lease of its own."""
    held = [
        client.lock(f"{name}/lock"),
        client.write_lock(f"{name}/rw"),
        client.semaphore(f"{name}/semaphore", 2),
    ]
    for one in held:
        await one.acquire()
    election = client.election(f"{name}/election")
    await election.campaign("me")
    return [*held, election]


@pytest.mark.parametrize("shell", SHELLS)
def test_what_is_held_stays_held_when_the_leader_is_killed(
    cluster: LocalCluster, shell: str
) -> None:
    async def test(client: Any) -> None:
        held = await held_of(client, shell)
        party, share = client.party(f"{shell}/party", "me"), client.partitioner(f"{shell}/w", "ab")
        queue, counter = client.locking_queue(f"{shell}/q"), client.counter(f"{shell}/c")
        barriers = [client.double_barrier(f"{shell}/d", 2) for _ in range(2)]
        await party.join()
        await queue.put("v")
        assert await queue.get() == b"v" and await share.wait_for_acquire()
        waiting = [asyncio.ensure_future(client.lock(f"{shell}/lock").acquire())]
        waiting.append(asyncio.ensure_future(barriers[0].enter()))
        counts = [asyncio.ensure_future(counter.add()) for _ in range(20)]

        leader = await asyncio.to_thread(cluster.leader)
        await asyncio.to_thread(cluster.kill, leader)

        assert sorted([await count for count in counts]) == list(range(1, 21)), "each counts once"
        for one in held:
            txn = client.txn().if_(one.guard()).then(ops.put(f"{shell}/guarded"))
            assert (await txn.commit()).succeeded and not one.lost.is_set()
        assert party.participating and share.acquired and queue.holds_lock()
        assert [name async for name in party] == [b"me"]
        await queue.consume()
        await barriers[1].enter()
        assert not waiting[0].done()
        for one in held[:3]:
            await one.release()
        await asyncio.wait_for(asyncio.gather(*waiting), HANG_SECONDS)
        await asyncio.gather(*[barrier.leave() for barrier in barriers])
        await asyncio.gather(held[3].resign(), share.finish(), party.leave())

        await asyncio.to_thread(cluster.restart, leader)

    run(shell, cluster.endpoints, test, timeout=HANG_SECONDS)
