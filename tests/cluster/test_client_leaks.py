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
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.process

LEASES_LEFT = 4
"""Of each client that is closed in the middle of things."""


@contextmanager
def observed(node: LocalCluster, name: str) -> Iterator[tuple[Observer, Shell, Client]]:
    """Counts, a shell whose leases last, and the client that counts."""
    with full_pool() as pool, Client(node.endpoints, timeout=HANG_SECONDS) as client:
        observer = Observer(client, lambda: [each.pid for each in node.running])
        yield observer, Shell(name, node.endpoints, {}, pool, HANG_SECONDS), client


def end_leases(client: Client) -> int:
    """End the leases that clients have left, as their TTL would; how many there were."""
    ids = client.lease.list().ids
    for lease_id in ids:
        client.lease.revoke(lease_id)
    return len(ids)


@pytest.mark.parametrize("name", SHELLS)
def test_clients_that_are_closed_leave_nothing_but_the_leases_that_they_held(
    node: LocalCluster, name: str
) -> None:
    async def test() -> None:
        with observed(node, name) as (observer, shell, client):
            empty = observer.counts()
            await shell.lives(len(LIVES))
            assert end_leases(client) == LEASES_LEFT
            before = await observer.settled(empty, len(LIVES), OF_NODES)
            await shell.lives(2 * len(LIVES))
            assert end_leases(client) == 2 * LEASES_LEFT
            after = await observer.settled(before, 2 * len(LIVES))
            assert not after.beyond(before, 2 * len(LIVES))

    asyncio.run(test())


@pytest.mark.parametrize("name", SHELLS)
def test_a_client_that_is_not_closed_is_counted(node: LocalCluster, name: str) -> None:
    async def test() -> None:
        with observed(node, name) as (observer, shell, own):
            before = observer.counts()
            client = shell.client()
            await client.put("a", lease=await client.session(HANG_SECONDS))
            await client.watch("b")
            seen = set(observer.counts().beyond(before))
            assert seen >= {"threads", "descriptors", "sockets", "objects", "sessions", *OF_NODES}
            await client.close()
            end_leases(own)

    asyncio.run(test())
