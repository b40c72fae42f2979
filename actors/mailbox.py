"""Mailbox: one door for in-process messages, ZeroMQ frames and the actor's timer (DESIGN 4).

It is Pykka's inbox, and the only place where an actor's thread sleeps. It refuses to know what a
message means: sources turn their frames into messages, and the actor handles them.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

import zmq
from pykka._envelope import Envelope

from actors.messages import Drained, Tick

ENVELOPES_PER_LOOK: Final = 64
"""After so many queued messages the sockets get a look even if the queue never empties."""

FRAMES_PER_LOOK_MAX: Final = 256
"""At most so many frames are taken from one source at a look, so that no source starves another."""

_DRAINED: Final = Envelope(Drained())


class Source(Protocol):
    """A socket, or several, whose input belongs to the owning actor (see cluster.links)."""

    def sockets(self) -> list[zmq.Socket[bytes]]:
        """The sockets to poll for input."""

    def drain(self, items_max: int) -> list[Any]:
        """Take up to `items_max` items without waiting, in the order of arrival."""


class Mailbox:
    """Pykka's ActorInbox protocol (`put`, `get`, `empty`), with sockets and one timer.

    `put` may be called from any thread; everything else belongs to the actor's own.
    """

    def __init__(self) -> None:
        self._queue: deque[Envelope[Any]] = deque()
        self._sources: list[tuple[Source, Callable[[tuple[Any, ...]], Any]]] = []
        self._poller = zmq.Poller()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poller.register(self._wake_fd, zmq.POLLIN)
        self._asleep = False
        self._undrained = False
        self._handled_since_look = 0
        self._wake_at_ms: int | None = None

    # --- any thread ---

    def put(self, envelope: Envelope[Any]) -> None:
        """Queue a message; wake the owner only if it sleeps (a wake-up costs a system call)."""
        self._queue.append(envelope)
        if self._asleep:
            os.eventfd_write(self._wake_fd, 1)

    def empty(self) -> bool:
        """Whether no message is queued; frames still in a socket do not count."""
        return not self._queue

    # --- the actor's thread ---

    def attach(self, source: Source, wrap: Callable[[tuple[Any, ...]], Any]) -> None:
        """Poll a source's sockets from now on; `wrap` makes one message of what a look finds."""
        self._sources.append((source, wrap))
        for socket in source.sockets():
            self._poller.register(socket, zmq.POLLIN)

    def wake_at(self, monotonic_ms: int) -> None:
        """Deliver one Tick at this time, unless an earlier one is pending already."""
        if self._wake_at_ms is None or monotonic_ms < self._wake_at_ms:
            self._wake_at_ms = monotonic_ms

    def get(self) -> Envelope[Any]:
        """The next message; sleeps until there is one. Drained comes before each sleep."""
        while True:
            if self._queue and self._handled_since_look < ENVELOPES_PER_LOOK:
                self._handled_since_look += 1
                self._undrained = True
                return self._queue.popleft()
            self._handled_since_look = 0
            busy = bool(self._queue) or self._undrained
            self._look(0 if busy else None)
            if not self._queue and self._undrained:
                self._undrained = False
                return _DRAINED

    def pop(self) -> Any | None:
        """For an actor that was never started: the oldest queued message, or None."""
        return self._queue.popleft().message if self._queue else None

    def pop_tick(self, now_ms: int) -> Tick | None:
        """The Tick that is due at `now_ms`, or None."""
        if self._wake_at_ms is None or now_ms < self._wake_at_ms:
            return None
        self._wake_at_ms = None
        return Tick(now_ms)

    @property
    def next_wake_ms(self) -> int | None:
        """When the pending Tick is due, if there is one."""
        return self._wake_at_ms

    def close(self) -> None:
        """Give the wake-up descriptor back; the mailbox is unusable afterwards."""
        if self._wake_fd >= 0:
            self._poller.unregister(self._wake_fd)
            os.close(self._wake_fd)
            self._wake_fd = -1

    def _look(self, timeout_ms: int | None) -> None:
        """Move what is ready - frames, a due timer - into the queue; None waits for something."""
        if timeout_ms is None:
            ready = self._sleep()
        else:
            ready = bool(self._sources) and bool(self._poller.poll(0))
        # A stalled process that wakes hears its peers before its timers (reference: stalled node).
        if ready:
            for source, wrap in self._sources:
                items = source.drain(FRAMES_PER_LOOK_MAX)
                if items:
                    self._queue.append(Envelope(wrap(tuple(items))))
        tick = self.pop_tick(monotonic_ms())
        if tick is not None:
            self._queue.append(Envelope(tick))

    def _sleep(self) -> bool:
        wait_ms = None
        if self._wake_at_ms is not None:
            wait_ms = max(0, self._wake_at_ms - monotonic_ms())
        self._asleep = True
        # A put that came before the flag was seen wrote no wake-up: look once more.
        ready = self._poller.poll(0 if self._queue else wait_ms)
        self._asleep = False
        for fd, _ in ready:
            if fd == self._wake_fd:
                os.eventfd_read(self._wake_fd)
        return bool(ready)


def monotonic_ms() -> int:
    """The clock of timers, in milliseconds; comparable only within one machine's boot."""
    return time.monotonic_ns() // 1_000_000
