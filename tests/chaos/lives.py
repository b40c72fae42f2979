"""What clients do between their beginning and their end, to see afterwards what is left of them.

Each life is written once, for both shells: the client is one of `cluster.aio`, or a threaded one
behind `tests.cluster.shells.Awaited`. Most lives end in good order. Others end, with what they
hold and wait for, in the middle.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from cluster import Client, LeaseholdError, aio
from tests.cluster.shells import THREADS_MAX, Awaited, until_keys
from tests.limits import HANG_SECONDS

Waiting = Sequence[Awaitable[Any]]
"""What still waits when a client is closed; it must end with an error then."""

Life = Callable[["Shell", Any, str], Coroutine[Any, Any, Waiting]]
"""A life of a client, which keeps its keys below a name."""


async def unused(shell: Shell, client: Any, name: str) -> Waiting:
    """Nothing: such a client never connects."""
    return ()


async def keys(shell: Shell, client: Any, name: str) -> Waiting:
    """Some requests, several of them under way at a time."""
    await client.put(name, "1")
    await asyncio.gather(*[client.get_async(name) for _ in range(10)])
    await client.delete(name)
    return ()


async def lock(shell: Shell, client: Any, name: str) -> Waiting:
    """A lock, which is released."""
    async with client.lock(name):
        pass
    return ()


async def lease(shell: Shell, client: Any, name: str) -> Waiting:
    """A lease that is renewed, and revoked at the end."""
    async with client.session(60) as session:
        await client.put(name, lease=session)
    return ()


async def watch(shell: Shell, client: Any, name: str) -> Waiting:
    """A watch, and a mirror."""
    async with client.watch(name) as seen, client.mirror(name):
        await client.put(name, "1")
        await seen.get(HANG_SECONDS)
    await client.delete(name)
    return ()


async def election(shell: Shell, client: Any, name: str) -> Waiting:
    """An election that is won, watched and given up."""
    async with client.election(name) as won:
        await won.campaign("me")
        async with won.observe() as leaders:
            await leaders.get(HANG_SECONDS)
    return ()


async def listener(shell: Shell, client: Any, name: str) -> Waiting:
    """A listener, which hears of the connection and of its end."""
    client.add_listener(lambda state: None)
    await client.get(name)
    return ()


async def in_the_middle(shell: Shell, client: Any, name: str) -> Waiting:
    """A lease, a lock, an election and a watch that are left, and a lock that is waited for."""
    await client.lock(f"{name}/lock", shell.ttl).acquire()
    await client.election(f"{name}/chair", shell.ttl).campaign("me")
    await client.put(f"{name}/key", lease=await client.session(shell.ttl))
    seen = await client.watch(f"{name}/nothing")
    waits = client.lock(f"{name}/lock", shell.ttl).acquire()
    waiting = [asyncio.ensure_future(one) for one in (waits, seen.get())]
    await until_keys(client, f"{name}/lock/", 2)
    return waiting


async def forgotten(shell: Shell, client: Any, name: str) -> Waiting:
    """Some requests; then the program lets go of the client without closing it."""
    await client.get(name)
    return ()


LIVES: Final[tuple[Life, ...]] = (
    unused,
    keys,
    lock,
    lease,
    watch,
    election,
    listener,
    in_the_middle,
    forgotten,
)


class Shell(NamedTuple):
    """One of the two shells, for these addresses; `pool` has the threads for the threaded one.

    `ttl`: that of the leases which clients leave behind, in seconds.
    """

    name: str
    endpoints: Sequence[str]
    login: dict[str, Any]
    pool: ThreadPoolExecutor
    ttl: float

    def client(self) -> Any:
        """A new client, which is used as if by a task."""
        given = {"timeout": HANG_SECONDS, "dial_timeout": HANG_SECONDS, **self.login}
        if self.name == "asyncio":
            return aio.Client(self.endpoints, **given)
        return Awaited(Client(self.endpoints, **given), self.pool)

    async def live(self, life: Life, name: str) -> None:
        """Open a client, have it live this life, and close it."""
        client = self.client()
        waiting = await life(self, client, name)
        if life is forgotten:
            return
        await client.close()
        for ended in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(ended, LeaseholdError), f"after the client was closed: {ended!r}"

    async def lives(self, count: int) -> None:
        """All kinds of lives in turn, until there were so many."""
        for number in range(count):
            await self.live(LIVES[number % len(LIVES)], f"leaks/{self.name}/{number}")


@contextmanager
def full_pool() -> Iterator[ThreadPoolExecutor]:
    """A pool that has all its threads from the beginning, so that they are no leak later."""
    together = threading.Barrier(THREADS_MAX)
    with ThreadPoolExecutor(THREADS_MAX) as pool:
        list(pool.map(lambda _: together.wait(), range(THREADS_MAX)))
        yield pool
