"""Mailbox: one door for in-process messages, ZeroMQ frames and the actor's timer.

It is Pykka's inbox (DESIGN.md#the-ring), and the only place where an actor's thread sleeps. It
refuses to know what a message means: sources turn their frames into messages, and the actor handles
them.
"""

from __future__ import annotations

import os
import select
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from pykka._envelope import Envelope

from actors.language.messages import Drained, Tick

ENVELOPES_PER_LOOK: Final = 64
"""After so many queued messages the sockets get a look even if the queue never empties."""

FRAMES_PER_LOOK_MAX: Final = 256
"""At most so many frames are taken from one source at a look, so that no source starves another."""

_DRAINED: Final = Envelope(Drained())


class Source(Protocol):
    """A socket, or several, whose input belongs to the owning actor (see cluster.links)."""

    def descriptors(self) -> list[int]:
        """The descriptors (ZMQ_FD) that become readable when there may be something to drain."""

    def must_drain(self) -> bool:
        """Whether there may be something though no descriptor says so: they are edge-triggered."""

    def drain(self, items_max: int) -> list[Any]:
        """Take up to `items_max` items without waiting, in the order of arrival."""


class _Attached(NamedTuple):
    source: Source
    wrap: Callable[[tuple[Any, ...]], Any]
    descriptors: frozenset[int]


class Mailbox:
    """Pykka's ActorInbox protocol (`put`, `get`, `empty`), with sockets and one timer.

    `put` may be called from any thread; everything else belongs to the actor's own.
    """

    def __init__(self) -> None:
        self._queue: deque[Envelope[Any]] = deque()
        self._sources: list[_Attached] = []
        # Not zmq.Poller: that asks every socket with a system call of its own, at each look.
        self._poller = select.poll()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poller.register(self._wake_fd, select.POLLIN)
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
        self._sources.append(_Attached(source, wrap, frozenset()))
        self.refresh()

    def refresh(self) -> None:
        """Some source has other sockets than before: poll those it has now."""
        self._poller = select.poll()
        self._poller.register(self._wake_fd, select.POLLIN)
        self._sources = [
            attached._replace(descriptors=frozenset(attached.source.descriptors()))
            for attached in self._sources
        ]
        for attached in self._sources:
            for descriptor in attached.descriptors:
                self._poller.register(descriptor, select.POLLIN)

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
            self._look(may_sleep=not busy)
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

    def _look(self, may_sleep: bool) -> None:
        """Move what is ready - frames, a due timer - into the queue; sleep until there is some."""
        unsure = [attached for attached in self._sources if attached.source.must_drain()]
        if may_sleep and not unsure:
            ready = self._sleep()
        else:
            ready = self._poller.poll(0) if self._sources else []
        # Frames before the timer: a process that was frozen must hear its peers before it decides
        # that they are gone.
        if ready or unsure:
            self._drain({descriptor for descriptor, _ in ready})
        if self._wake_at_ms is not None:
            tick = self.pop_tick(monotonic_ms())
            if tick is not None:
                self._queue.append(Envelope(tick))

    def _drain(self, ready: set[int]) -> None:
        for source, wrap, descriptors in self._sources:
            if source.must_drain() or not ready.isdisjoint(descriptors):
                items = source.drain(FRAMES_PER_LOOK_MAX)
                if items:
                    self._queue.append(Envelope(wrap(tuple(items))))

    def _sleep(self) -> list[tuple[int, int]]:
        wait_ms = None
        if self._wake_at_ms is not None:
            wait_ms = max(0, self._wake_at_ms - monotonic_ms())
        self._asleep = True
        # A put that came before the flag was seen wrote no wake-up: look once more.
        ready = self._poller.poll(0 if self._queue else wait_ms)
        self._asleep = False
        if any(descriptor == self._wake_fd for descriptor, _ in ready):
            os.eventfd_read(self._wake_fd)
        return ready


def monotonic_ms() -> int:
    """The clock of timers, in milliseconds; comparable only within one machine's boot."""
    return time.monotonic_ns() // 1_000_000
