"""One suite for both shells of the client: an object of the threaded client, used as if by `await`.

A method that is a flow in the asyncio client runs in a thread here and is awaited. So a test that
is written for `cluster.aio` drives the threaded client by the same lines.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from cluster import Client as ThreadedClient
from cluster import aio
from cluster.client.threads.blocking import Blocking
from cluster.client.threads.objects import ClientTxn
from tests.limits import HANG_SECONDS

Played = Callable[[Callable[[Any], Coroutine[Any, Any, None]]], None]
"""Runs a test with a client."""

THREADS_MAX = 32
SHELLS = ("threads", "asyncio")


class Awaited:
    """An object of the threaded client: what its twin awaits is awaited here, too."""

    def __init__(self, front: Any, pool: ThreadPoolExecutor) -> None:
        self._front = front
        self._pool = pool

    def __getattr__(self, name: str) -> Any:
        twin = getattr(type(getattr(self._front, "_flow", None)), name, None)
        if isinstance(twin, property) and "Coroutine" in str(twin.fget.__annotations__):
            return self._wait(getattr, self._front, name)
        value = getattr(self._front, name)
        if not inspect.ismethod(value):
            return self._shown(value)
        flow = getattr(type(self._front._flow), name)

        def call(*arguments: Any, **options: Any) -> Any:
            plain = [self._plain(one) for one in arguments]
            named = {key: self._plain(one) for key, one in options.items()}
            if inspect.iscoroutinefunction(flow):
                return self._wait(value, *plain, **named)
            if "Openable" in str(flow.__annotations__.get("return")):
                return _Opening(self, lambda: value(*plain, **named))
            return self._shown(value(*plain, **named))

        return call

    async def __aenter__(self) -> Awaited:
        await self._wait(self._front.__enter__)
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._wait(self._front.__exit__, *error)

    async def __aiter__(self) -> AsyncIterator[Any]:
        items = iter(self._front)
        while (item := await self._wait(next, items, None)) is not None:
            yield item

    def __getitem__(self, key: Any) -> Any:
        return self._wait(self._front.__getitem__, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._front[key] = value

    def __delitem__(self, key: Any) -> None:
        del self._front[key]

    async def _wait(self, blocks: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        waits = self._pool.submit(blocks, *arguments, **options)
        return self._shown(await asyncio.wrap_future(waits))

    def _shown(self, value: Any) -> Any:
        if isinstance(value, Future):
            return asyncio.wrap_future(value)
        return Awaited(value, self._pool) if isinstance(value, Blocking | ClientTxn) else value

    def _plain(self, argument: Any) -> Any:
        if isinstance(argument, Awaited):
            return argument._front
        if inspect.iscoroutinefunction(argument):
            return self._blocking(argument)
        return argument

    def _blocking(self, function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        """A function of the test, as the threaded client calls it: in a thread that it blocks."""
        loop = asyncio.get_running_loop()

        def blocks(*arguments: Any, **options: Any) -> Any:
            shown = map(self._shown, arguments)
            return asyncio.run_coroutine_threadsafe(function(*shown, **options), loop).result()

        return blocks


class _Opening:
    """What the threaded client opens at once, as the asyncio client opens it."""

    def __init__(self, awaited: Awaited, opens: Callable[[], Any]) -> None:
        self._awaited = awaited
        self._opens = opens
        self._opened: Any = None

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._awaited._wait(self._opens).__await__()

    async def __aenter__(self) -> Any:
        self._opened = await self
        return await self._opened.__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        await self._opened.__aexit__(*error)

    async def __aiter__(self) -> AsyncIterator[Any]:
        async with self as opened:
            async for item in opened:
                yield item


def run(
    shell: str, endpoints: Any, test: Callable[[Any], Coroutine[Any, Any, None]], **options: Any
) -> None:
    """Run a test with a client of this shell, and close the client."""

    async def with_client() -> None:
        if shell == "asyncio":
            async with aio.Client(endpoints, **options) as client:
                await test(client)
            return
        with ThreadPoolExecutor(THREADS_MAX) as pool:
            async with Awaited(ThreadedClient(endpoints, **options), pool) as threaded:
                await test(threaded)

    asyncio.run(with_client())


async def until_keys(client: Any, prefix: str, count: int) -> None:
    """Wait until there are so many keys that begin with the prefix."""
    found = await client.range(prefix, prefix=True, count_only=True)
    start = found.header.revision + 1
    async with client.watch(prefix, prefix=True, start_revision=start) as watch:
        while found.count != count:
            await watch.get(HANG_SECONDS)
            found = await client.range(prefix, prefix=True, count_only=True)


async def until_true(condition: Callable[[], Any]) -> None:
    """Let others go on until a condition holds."""
    async with asyncio.timeout(HANG_SECONDS):
        while not condition():
            await asyncio.to_thread(lambda: None)


def plain(thing: Any) -> Any:
    """The client's own object, whose methods are plain ones in both shells."""
    return getattr(thing, "_front", thing)
