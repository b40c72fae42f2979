"""What the flows of an asyncio client wait on: each wait suspends the task."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Generic, Self, TypeVar

from cluster.client.aio.connection import LoopConnection
from cluster.client.engine.calling import CallOptions
from cluster.client.flows.shell import Changed
from cluster.client.heartbeats import Heartbeats
from cluster.client.identity import ClientIdentity

T = TypeVar("T")
Item = TypeVar("Item")


class LoopSignal:
    """An event of one event loop."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Set it, and wake all who wait."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._event.is_set()

    async def wait(self, timeout: float) -> bool:
        """Wait until it is set, for at most `timeout` seconds; whether it is set."""
        try:
            async with asyncio.timeout(timeout):
                await self._event.wait()
        except TimeoutError:
            return False
        return True


class LoopArrivals(Generic[Item]):
    """A queue within one event loop."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._news = asyncio.Event()

    def put(self, item: Item) -> None:
        """Add an item."""
        self._items.append(item)
        self._news.set()

    async def get(self, timeout: float | None) -> Item:
        """Take an item; TimeoutError after `timeout` seconds."""
        if self._items:
            return self._items.popleft()
        async with asyncio.timeout(timeout):
            while not self._items:
                self._news.clear()
                await self._news.wait()
        return self._items.popleft()


class LoopTurnstile:
    """A lock between tasks, which knows who has it."""

    kind: ClassVar = "task"

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._taker: asyncio.Task[Any] | None = None

    async def enter(self, timeout: float | None = None) -> bool:
        """Wait to be let in, for at most `timeout` seconds; whether that happened."""
        if timeout == 0 and self._lock.locked():
            return False
        try:
            async with asyncio.timeout(timeout or None):
                await self._lock.acquire()
        except TimeoutError:
            return False
        self._taker = asyncio.current_task()
        return True

    def leave(self) -> None:
        """Let the next task in."""
        self._taker = None
        self._lock.release()

    @property
    def is_taken(self) -> bool:
        """Whether a task is inside."""
        return self._lock.locked()

    @property
    def is_own(self) -> bool:
        """Whether the task that asks is inside."""
        return self._taker is asyncio.current_task()

    async def __aenter__(self) -> Self:
        await self.enter()
        return self

    async def __aexit__(self, *error: object) -> None:
        self.leave()


class LoopShell:
    """What the flows of one asyncio client are carried by."""

    starting: AbstractContextManager[Any] = nullcontext()

    def __init__(self) -> None:
        self._outliving: set[asyncio.Task[Any]] = set()

    def connect(
        self,
        addresses: Mapping[str, str],
        options: CallOptions,
        direct: Mapping[str, str],
        changed: Changed,
        identity: ClientIdentity,
        heartbeats: Heartbeats,
    ) -> LoopConnection:
        """Open sockets in the running event loop."""
        return LoopConnection(addresses, options, direct, changed, identity, heartbeats)

    def arrivals(self) -> LoopArrivals[Any]:
        """A new, empty queue."""
        return LoopArrivals()

    def turnstile(self) -> LoopTurnstile:
        """A new turnstile, with nobody inside."""
        return LoopTurnstile()

    def signal(self) -> LoopSignal:
        """A new signal, which is not set."""
        return LoopSignal()

    def guard(self) -> AbstractContextManager[Any]:
        """Nothing: there is one thread."""
        return nullcontext()

    async def sleep(self, seconds: float) -> None:
        """Suspend the task for a time."""
        await asyncio.sleep(seconds)

    async def see_through(self, flow: Coroutine[Any, Any, T]) -> T:
        """Run a flow in a task of its own, which goes on if the caller's is cancelled."""
        task = asyncio.create_task(flow)
        self._outliving.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    async def at_rest(self) -> None:
        """Wait for the tasks that outlived their callers."""
        if self._outliving:
            await asyncio.wait(self._outliving)

    def forked(self) -> None:
        """In a forked child: the loop and its tasks are the parent's."""
        self._outliving = set()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._outliving.discard(task)
        # Its caller may be gone, so nobody else may ask for its error.
        if not task.cancelled():
            task.exception()
