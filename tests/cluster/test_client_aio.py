"""What only the asyncio client has: cancellation, and a life within one event loop."""

from __future__ import annotations

import asyncio
import gc
import threading
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from itertools import count
from typing import Any

import pytest

from cluster import UnavailableError, aio
from cluster.client.aio.connection import LoopConnection
from cluster.client.engine.call import Call
from cluster.launcher.local import LocalCluster
from tests.cluster.probe import ProbeCluster
from tests.limits import HANG_SECONDS, PATIENT

pytestmark = pytest.mark.process

SUSPENSIONS_MAX = 200
"""A flow of these tests is done long before it has been suspended for so many times."""


@types.coroutine
def cancelled_at(place: int, flow: Coroutine[Any, Any, object]) -> Generator[Any, Any, None]:
    """Run a flow in the present task, and cancel the task at the flow's suspension number `place`.

    Returns if the flow ends before.
    """
    task = asyncio.current_task()
    assert task is not None
    step: Callable[[], Any] = partial(flow.send, None)
    for suspension in count():
        try:
            waits = step()
        except StopIteration:
            return
        if suspension == place:
            task.cancel()
        try:
            yield waits
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the flow's to handle
            step = partial(flow.throw, error)
        else:
            step = partial(flow.send, None)


async def started(flow: Awaitable[None]) -> None:
    """A coroutine of anything that can be awaited."""
    await flow


def connection_of(client: aio.Client) -> LoopConnection:
    """The running connection of a client."""
    connection = client._caller.connection()
    assert isinstance(connection, LoopConnection)
    return connection


async def nothing_held(client: aio.Client) -> None:
    """Wait until no key and no lease is left."""
    async with asyncio.timeout(HANG_SECONDS):
        while await client.get_prefix("job") or (await client.lease.list()).ids:
            pass


async def _lock(client: aio.Client) -> None:
    async with client.lock("job"):
        await client.put("other")


async def _lock_after_another(client: aio.Client) -> None:
    async with client.write_lock("job") as held:
        waits = asyncio.ensure_future(client.read_lock("job").acquire())
        try:
            await client.put("other")
        finally:
            waits.cancel()
        assert held.is_held


async def _semaphore(client: aio.Client) -> None:
    semaphore = client.semaphore("job", 2)
    if await semaphore.try_acquire():
        await semaphore.release()


async def _election(client: aio.Client) -> None:
    async with client.election("job") as election:
        await election.campaign("me")
        await election.proclaim("still")


async def _lease(client: aio.Client) -> None:
    async with client.session(60) as lease:
        await client.put("job", lease=lease)


async def _watch(client: aio.Client) -> None:
    async with client.watch("other") as watch:
        await client.put("other")
        await watch.get()


async def _double_barrier(client: aio.Client) -> None:
    async with client.double_barrier("job", 1):
        await client.put("other")


async def _party(client: aio.Client) -> None:
    async with client.party("job", "me") as party:
        assert [name async for name in party] == [b"me"]


async def _locking_queue(client: aio.Client) -> None:
    try:
        await client.put("job/items/00100/1", "v")
        async with client.locking_queue("job") as queue:
            await queue.get()
    finally:
        await client.delete("job/items/00100/1")


async def _partitioner(client: aio.Client) -> None:
    async with client.partitioner("job", ["a", "b"]) as share:
        await share.wait_for_acquire()


HOLDING = [
    _lock,
    _lock_after_another,
    _semaphore,
    _election,
    _lease,
    _watch,
    _double_barrier,
    _party,
    _locking_queue,
    _partitioner,
]


@pytest.mark.parametrize("hold", HOLDING, ids=lambda hold: hold.__name__[1:])
def test_a_task_that_is_cancelled_at_any_await_leaves_nothing_held(
    node: LocalCluster, hold: Callable[[aio.Client], Coroutine[Any, Any, None]]
) -> None:
    async def test() -> None:
        async with aio.Client(node.endpoints, **PATIENT) as client:
            await client.put("other")  # connected, and with a session: the next request is sent
            for place in range(SUSPENSIONS_MAX):
                task = asyncio.ensure_future(started(cancelled_at(place, hold(client))))
                await asyncio.wait([task])
                await nothing_held(client)
                if not task.cancelled():
                    await task
                    assert place > 1, "it was suspended before"
                    return
        raise AssertionError(f"still suspended after {SUSPENSIONS_MAX} times")

    asyncio.run(test())


@pytest.mark.parametrize("kind", ["queue", "priority_queue"])
def test_a_value_is_not_lost_with_the_task_that_would_have_got_it(
    node: LocalCluster, kind: str
) -> None:
    async def test() -> None:
        async with aio.Client(node.endpoints, **PATIENT) as client:
            queue = getattr(client, kind)("line")
            await queue.put("v")
            for place in range(SUSPENSIONS_MAX):
                task = asyncio.ensure_future(started(cancelled_at(place, queue.get())))
                await asyncio.wait([task])
                if not task.cancelled():
                    assert place > 1 and await queue.size() == 0
                    return
                assert await queue.get(HANG_SECONDS) == b"v"
                await queue.put("v")
        raise AssertionError(f"still suspended after {SUSPENSIONS_MAX} times")

    asyncio.run(test())


def test_a_cancelled_read_is_forgotten_and_a_cancelled_write_may_be_applied() -> None:
    async def test() -> None:
        with ProbeCluster(size=1) as probes:
            async with aio.Client(probes.endpoints) as client:
                await client.put("a", "old")
                for flow in (client.get("a"), client.put("a", "new")):
                    task = asyncio.ensure_future(started(cancelled_at(0, flow)))
                    await asyncio.wait([task])
                    assert task.cancelled()
                await client.put("b")
                found = await client.get("a")
                assert found is not None and found.value == b"new"
                assert connection_of(client)._core.calls.outstanding == 0

    asyncio.run(test())


def test_a_client_has_no_thread(node: LocalCluster) -> None:
    async def test() -> None:
        async with aio.Client(node.endpoints, **PATIENT) as client:
            await client.put("a")
            async with client.watch("a"), client.lock("b"):
                assert not [one for one in threading.enumerate() if "leasehold" in one.name]

    asyncio.run(test())


def test_thousands_of_calls_go_over_one_socket(node: LocalCluster) -> None:
    async def test() -> None:
        async with aio.Client(node.endpoints, **PATIENT) as client:
            await asyncio.gather(*[client.increment("n") for _ in range(3_000)])
            assert await client.increment("n", 0) == 3_000

    asyncio.run(test())


def test_a_client_belongs_to_the_loop_in_which_it_was_first_used(node: LocalCluster) -> None:
    client = aio.Client(node.endpoints)

    async def use() -> None:
        await client.put("a")

    asyncio.run(use())
    with pytest.raises(RuntimeError, match="another event loop"):
        asyncio.run(use())


def test_a_forgotten_client_closes_its_sockets(node: LocalCluster) -> None:
    async def test() -> None:
        client = aio.Client(node.endpoints)
        await client.put("a")
        connection = connection_of(client)
        del client
        gc.collect()
        with pytest.raises(UnavailableError, match="closed"):
            await connection.ask(Call({"op": "status"}, HANG_SECONDS))

    asyncio.run(test())
