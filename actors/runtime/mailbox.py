"""Mailbox: where an actor gets its messages, the frames of its sockets, and its timer's ticks.

It is Pykka's inbox (DESIGN.md#the-ring). The actor's loop takes the messages out, one by one.
Refuses to know what a message means: a source makes messages of its frames, and the actor handles
them.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from pykka._envelope import Envelope

from actors.language.messages import Tick
from actors.runtime.overruns import Overruns

FRAMES_PER_LOOK_MAX: Final = 256
"""The frames taken from one source at one look: a busy source must not starve the others."""


class Source(Protocol):
    """A socket, or several, whose input is for the mailbox's actor (see cluster.links)."""

    def descriptors(self) -> list[int]:
        """The descriptors (ZMQ_FD) that become readable when there may be input."""

    def must_drain(self) -> bool:
        """Whether there may be input though no descriptor is readable: they are edge-triggered."""

    def drain(self, items_max: int) -> list[Any]:
        """Take up to `items_max` items without waiting, in the order of arrival."""


class Sleeper(Protocol):
    """The loop that takes a mailbox's messages, as the mailbox knows it.

    It counts its turns, and the messages that took longer than they may.
    """

    is_asleep: bool
    turns: int
    overruns: Overruns

    def wake(self) -> None:
        """End the sleep; any thread may call it."""

    def refresh(self) -> None:
        """Poll the sockets that the sources have now."""


class Attached(NamedTuple):
    """A source of a mailbox; `wrap` makes one message of the input at a look."""

    source: Source
    wrap: Callable[[tuple[Any, ...]], Any]


class _Awake:
    """What takes the messages of an actor that was never started: whoever calls `pop`."""

    is_asleep = False
    turns = 0

    def __init__(self) -> None:
        self.overruns = Overruns()

    def wake(self) -> None:
        """Nothing sleeps."""

    def refresh(self) -> None:
        """Nothing polls."""


class Mailbox:
    """Pykka's ActorInbox protocol (`put`, `get`, `empty`), with sockets and one timer.

    Any thread may call `tell` and `put`; all other methods are for the loop's thread. A message
    that comes by Pykka's ActorRef is in an envelope: its sender may wait for the answer.
    """

    def __init__(self) -> None:
        self.queue: deque[Any] = deque()
        self.sources: list[Attached] = []
        self.loop: Sleeper = _Awake()
        # When the pending Tick is due; None: none is pending.
        self.next_wake_ms: int | None = None

    # --- any thread ---

    def tell(self, message: Any) -> None:
        """Queue a message; the loop is woken if it sleeps, which costs a system call."""
        self.queue.append(message)
        if self.loop.is_asleep:
            self.loop.wake()

    def put(self, envelope: Envelope[Any]) -> None:
        """Queue what Pykka's ActorRef was told or asked."""
        self.tell(envelope)

    def empty(self) -> bool:
        """Whether no message is queued; frames that are still in a socket do not count."""
        return not self.queue

    # --- the loop's thread ---

    def attach(self, source: Source, wrap: Callable[[tuple[Any, ...]], Any]) -> None:
        """Poll a source's sockets from now on; `wrap` makes one message of the input at a look."""
        self.sources.append(Attached(source, wrap))
        self.refresh()

    def refresh(self) -> None:
        """Poll the sockets that the sources have now: a source has opened or closed some."""
        self.loop.refresh()

    def put_back(self, messages: Sequence[Any]) -> None:
        """Queue messages, in order, before all that is queued: the actor has let them wait."""
        self.queue.extendleft(reversed(messages))

    def wake_at(self, monotonic_ms: int) -> None:
        """Deliver one Tick at this time, unless an earlier one is pending already."""
        if self.next_wake_ms is None or monotonic_ms < self.next_wake_ms:
            self.next_wake_ms = monotonic_ms

    def get(self) -> Envelope[Any]:
        """The oldest message, in an envelope; IndexError if none is queued."""
        message = self.queue.popleft()
        return message if type(message) is Envelope else Envelope(message)

    def pop(self) -> Any | None:
        """The oldest message, or None; for an actor that was never started."""
        return self.get().message if self.queue else None

    def pop_tick(self, now_ms: int) -> Tick | None:
        """The Tick that is due at `now_ms`, or None."""
        if self.next_wake_ms is None or now_ms < self.next_wake_ms:
            return None
        self.next_wake_ms = None
        return Tick(now_ms)


def monotonic_ms() -> int:
    """The clock of timers, in milliseconds; times of two boots of a machine do not compare."""
    return time.monotonic_ns() // 1_000_000
