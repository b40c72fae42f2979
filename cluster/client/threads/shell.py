"""The threaded shell: each wait of a flow blocks the thread that runs it, so no flow suspends.

What may take long is waited for in slices: a program's main thread must hear Ctrl-C meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from itertools import repeat
from queue import Empty, SimpleQueue
from typing import Any, ClassVar, Final, Generic, Self, TypeVar

from cluster.client.engine.calling import CallOptions
from cluster.client.flows.shell import Changed
from cluster.client.heartbeats import Heartbeats
from cluster.client.identity import ClientIdentity
from cluster.client.threads.connection import ThreadedConnection

T = TypeVar("T")
Item = TypeVar("Item")

SLICE_SECONDS: Final = 0.25


def slices(timeout: float | None) -> Iterator[float]:
    """The lengths (seconds) of waits which, one after the other, last `timeout` seconds.

    A thread that waits in slices hears Ctrl-C. Python handles a signal between two instructions:
    one that comes after the last of them, and before the system puts the thread to sleep, would be
    heard when the whole wait ends. There is at least one slice, of 0 seconds if need be; None is a
    wait without an end.
    """
    if timeout is None:
        yield from repeat(SLICE_SECONDS)
        return
    end = time.monotonic() + timeout
    left = timeout
    while left > SLICE_SECONDS:
        yield SLICE_SECONDS
        left = end - time.monotonic()
    yield max(0.0, left)


def sleep(seconds: float) -> None:
    """Block the thread for a time, in slices; not at all if it is below 0."""
    for part in slices(seconds):
        time.sleep(part)


class ThreadArrivals(Generic[Item]):
    """A queue between threads."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Item] = SimpleQueue()

    def put(self, item: Item) -> None:
        """Add an item; in any thread."""
        self._queue.put(item)

    async def get(self, timeout: float | None) -> Item:
        """Take an item; TimeoutError after `timeout` seconds."""
        for seconds in slices(timeout):
            with suppress(Empty):
                return self._queue.get(timeout=seconds)
        raise TimeoutError


class ThreadTurnstile:
    """A lock between threads, which knows who has it."""

    kind: ClassVar = "thread"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taker: int | None = None

    async def enter(self, timeout: float | None = None) -> bool:
        """Wait to be let in, for at most `timeout` seconds; whether that happened."""
        if not any(self._lock.acquire(timeout=seconds) for seconds in slices(timeout)):
            return False
        self._taker = threading.get_ident()
        return True

    def leave(self) -> None:
        """Let the next thread in."""
        self._taker = None
        self._lock.release()

    @property
    def is_taken(self) -> bool:
        """Whether a thread is inside."""
        return self._lock.locked()

    @property
    def is_own(self) -> bool:
        """Whether the thread that asks is inside."""
        return self._taker == threading.get_ident()

    async def __aenter__(self) -> Self:
        await self.enter()
        return self

    async def __aexit__(self, *error: object) -> None:
        self.leave()


class ThreadSignal:
    """An event between threads."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Set it, and wake all who wait; in any thread."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._event.is_set()

    async def wait(self, timeout: float) -> bool:
        """Wait until it is set, for at most `timeout` seconds; whether it is set."""
        return any(self._event.wait(seconds) for seconds in slices(timeout))


class ThreadShell:
    """What the flows of one threaded client are carried by."""

    def __init__(self) -> None:
        self.starting: AbstractContextManager[Any] = threading.Lock()

    def connect(
        self,
        addresses: Mapping[str, str],
        options: CallOptions,
        direct: Mapping[str, str],
        changed: Changed,
        identity: ClientIdentity,
        heartbeats: Heartbeats,
    ) -> ThreadedConnection:
        """Start an I/O thread."""
        return ThreadedConnection(addresses, options, direct, changed, identity, heartbeats)

    def arrivals(self) -> ThreadArrivals[Any]:
        """A new, empty queue."""
        return ThreadArrivals()

    def turnstile(self) -> ThreadTurnstile:
        """A new turnstile, with nobody inside."""
        return ThreadTurnstile()

    def signal(self) -> ThreadSignal:
        """A new signal, which is not set."""
        return ThreadSignal()

    def guard(self) -> AbstractContextManager[Any]:
        """A new lock."""
        return threading.Lock()

    async def sleep(self, seconds: float) -> None:
        """Block the thread for a time."""
        sleep(seconds)

    async def see_through(self, flow: Coroutine[Any, Any, T]) -> T:
        """Run a flow: nothing cancels a thread."""
        return await flow

    async def at_rest(self) -> None:
        """No flow outlives its caller."""

    def forked(self) -> None:
        """In a forked child: a thread of the parent may have held the lock at the fork."""
        self.starting = threading.Lock()
