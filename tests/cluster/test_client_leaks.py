"""What is left of clients of both shells when they are closed: nothing, of whatever is counted.

`python -m tests.chaos leaks` does the same with very many clients, and kills some.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cluster import Client
from cluster.launcher.local import LocalCluster
from tests.chaos.leak_counts import OF_NODES, Observer
from tests.chaos.lives import LIVES, Shell, full_pool
from tests.cluster.shells import SHELLS
from tests.limits import HANG_SECONDS, PATIENT

pytestmark = pytest.mark.process


@contextmanager
def observed(node: LocalCluster, name: str) -> Iterator[tuple[Observer, Shell]]:
    """Counts, and a shell whose leases would outlast the test."""
    with full_pool() as pool, Client(node.endpoints, **PATIENT) as client:
        observer = Observer(client, lambda: [each.pid for each in node.running])
        yield observer, Shell(name, node.endpoints, {}, pool, 2 * HANG_SECONDS)


@pytest.mark.parametrize("name", SHELLS)
def test_clients_that_are_closed_leave_nothing_behind(node: LocalCluster, name: str) -> None:
    async def test() -> None:
        with observed(node, name) as (observer, shell):
            empty = observer.counts()
            await shell.lives(len(LIVES))
            before = await observer.settled(empty, len(LIVES), OF_NODES)
            await shell.lives(2 * len(LIVES))
            after = await observer.settled(before, 2 * len(LIVES))
            assert not after.beyond(before, 2 * len(LIVES))

    asyncio.run(test())


@pytest.mark.parametrize("name", SHELLS)
def test_a_client_that_is_not_closed_is_counted(node: LocalCluster, name: str) -> None:
    async def test() -> None:
        with observed(node, name) as (observer, shell):
            before = observer.counts()
            client = shell.client()
            await client.put("a", lease=await client.session(2 * HANG_SECONDS))
            await client.watch("b")
            seen = set(observer.counts().beyond(before))
            assert seen >= {"threads", "descriptors", "sockets", "objects", "sessions", *OF_NODES}
            await client.close()
            del client
            assert not (await observer.settled(before, 1)).beyond(before, 1)

    asyncio.run(test())


@pytest.mark.parametrize("name", SHELLS)
def test_a_lease_that_is_renewed_no_more_outlives_its_client(
    node: LocalCluster, client: Client, name: str
) -> None:
    async def test() -> None:
        with full_pool() as pool:
            own = Shell(name, node.endpoints, {}, pool, HANG_SECONDS).client()
            leases = [await own.session(HANG_SECONDS) for _ in range(2)]
            leases[1].stop()
            await own.close()
            assert leases[0].lost.is_set() and not leases[1].lost.is_set()
            assert client.lease.list().ids == (leases[1].id,)
            client.lease.revoke(leases[1].id)

    asyncio.run(test())
