"""Mailbox: where an actor gets its messages, the frames of its sockets, and its timer's ticks.

It is Pykka's inbox (DESIGN.md#the-ring), and the only place where an actor's thread sleeps. Refuses
to know what a message means: a source makes messages of its frames, and the actor handles them.
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
"""After this number of queued messages the sockets are looked at, even if more are queued."""

FRAMES_PER_LOOK_MAX: Final = 256
"""The frames taken from one source at one look: a busy source must not starve the others."""

_DRAINED: Final = Envelope(Drained())


class Source(Protocol):
    """A socket, or several, whose input is for the mailbox's actor (see cluster.links)."""

    def descriptors(self) -> list[int]:
        """The descriptors (ZMQ_FD) that become readable when there may be input."""

    def must_drain(self) -> bool:
        """Whether there may be input though no descriptor is readable: they are edge-triggered."""

    def drain(self, items_max: int) -> list[Any]:
        """Take up to `items_max` items without waiting, in the order of arrival."""


class _Attached(NamedTuple):
    source: Source
    wrap: Callable[[tuple[Any, ...]], Any]
    descriptors: frozenset[int]


class Mailbox:
    """Pykka's ActorInbox protocol (`put`, `get`, `empty`), with sockets and one timer.

    Any thread may call `put`; all other methods are for the actor's thread.
    """

    def __init__(self) -> None:
        self._queue: deque[Envelope[Any]] = deque()
        self._sources: list[_Attached] = []
        # Not zmq.Poller, which makes a system call for every socket at each look.
        self._poller = select.poll()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poller.register(self._wake_fd, select.POLLIN)
        self._asleep = False
        self._undrained = False
        self._handled_since_look = 0
        self._wake_at_ms: int | None = None

    # --- any thread ---

    def put(self, envelope: Envelope[Any]) -> None:
        """Queue a message, and wake the actor if it sleeps: a wake-up costs a system call."""
        self._queue.append(envelope)
        if self._asleep:
            os.eventfd_write(self._wake_fd, 1)

    def empty(self) -> bool:
        """Whether no message is queued; frames that are still in a socket do not count."""
        return not self._queue

    # --- the actor's thread ---

    def attach(self, source: Source, wrap: Callable[[tuple[Any, ...]], Any]) -> None:
        """Poll a source's sockets from now on; `wrap` makes one message of the input at a look."""
        self._sources.append(_Attached(source, wrap, frozenset()))
        self.refresh()

    def refresh(self) -> None:
        """Poll the sockets that the sources have now: a source has opened or closed some."""
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
        """The next message; sleeps until there is one. Drained comes before each sleep.

        So an actor may gather messages and work on all of them at Drained: none waits for long.
        """
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
        """The oldest queued message, or None; for an actor that was never started."""
        return self._queue.popleft().message if self._queue else None

    def pop_tick(self, now_ms: int) -> Tick | None:
        """The Tick that is due at `now_ms`, or None."""
        if self._wake_at_ms is None or now_ms < self._wake_at_ms:
            return None
        self._wake_at_ms = None
        return Tick(now_ms)

    @property
    def next_wake_ms(self) -> int | None:
        """When the pending Tick is due; None: none is pending."""
        return self._wake_at_ms

    def close(self) -> None:
        """Give the wake-up descriptor back; the mailbox is unusable afterwards."""
        if self._wake_fd >= 0:
            self._poller.unregister(self._wake_fd)
            os.close(self._wake_fd)
            self._wake_fd = -1

    def _look(self, may_sleep: bool) -> None:
        """Queue the frames and the tick that are ready; with `may_sleep`, wait until one is."""
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
        # A `put` before the flag was set has written no wake-up, so the queue is looked at again.
        # A `put` after it writes one.
        ready = self._poller.poll(0 if self._queue else wait_ms)
        self._asleep = False
        if any(descriptor == self._wake_fd for descriptor, _ in ready):
            os.eventfd_read(self._wake_fd)
        return ready


def monotonic_ms() -> int:
    """The clock of timers, in milliseconds; times of two boots of a machine do not compare."""
    return time.monotonic_ns() // 1_000_000
