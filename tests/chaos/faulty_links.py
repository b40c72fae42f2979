"""Links to the other members that lose, delay, double or cut frames, as a test has planned it.

Knows nothing of what frames mean, but where one names its source.
"""

from __future__ import annotations

import heapq
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import zmq

from actors.runtime.mailbox import monotonic_ms
from cluster.links import PeerDoor, PeerLinks
from cluster.wire import WireError, unpack
from tests.chaos.controlled import FaultControl
from tests.chaos.plans import LinkFault

HELD_FRAMES_MAX: Final = 10_000
"""A link that delays more frames than this loses them, as a full router does."""

SOURCE_FIELD: Final = 2
"""A peers' frame is (cluster id, kind, source, ...)."""

Context = zmq.Context[zmq.Socket[bytes]]


class FaultyLinks(PeerLinks):
    """The links to the other members; faults by the member a frame is for."""

    def __init__(
        self, control: FaultControl, context: Context, on_change: Callable[[], None]
    ) -> None:
        super().__init__(context, on_change)
        self._control = control
        self._held = HeldFrames()

    def descriptors(self) -> list[int]:
        return [*super().descriptors(), self._held.descriptor]

    def drain(self, items_max: int) -> list[int]:
        for member_id, frame in self._held.due():
            super().send(member_id, frame)
        return super().drain(items_max)

    def send(self, member_id: int, frame: bytes) -> bool:
        outgoing = self._control.plan.outgoing
        if not outgoing and self._held.is_empty:
            return super().send(member_id, frame)
        fault = outgoing.get(member_id) or outgoing.get(0) or LinkFault()
        sent = True
        for now in pass_through(fault, "out", self._control, self._held, member_id, frame):
            sent = super().send(member_id, now)
        return sent

    def close(self) -> None:
        super().close()
        self._held.close()


class FaultyDoor(PeerDoor):
    """Where the other members' frames arrive; faults by the member a frame is from."""

    def __init__(self, control: FaultControl, context: Context, urls: tuple[str, ...]) -> None:
        super().__init__(context, urls)
        self._control = control
        self._held = HeldFrames()

    def descriptors(self) -> list[int]:
        return [*super().descriptors(), self._held.descriptor]

    def drain(self, items_max: int) -> list[bytes]:
        arrived = super().drain(items_max)
        incoming = self._control.plan.incoming
        if not incoming and self._held.is_empty:
            return arrived
        passed = [frame for _, frame in self._held.due()]
        for frame in arrived:
            source = source_of(frame)
            fault = incoming.get(source) or incoming.get(0) or LinkFault()
            passed += pass_through(fault, "in", self._control, self._held, source, frame)
        return passed

    def close(self) -> None:
        super().close()
        self._held.close()


def pass_through(
    fault: LinkFault,
    direction: str,
    control: FaultControl,
    held: HeldFrames,
    member_id: int,
    frame: bytes,
) -> list[bytes]:
    """The frames that go on at once: none, the frame, or the frame twice."""
    if fault.cut:
        control.took_effect(f"cut {direction}")
        return []
    if fault.loss and control.chance.random() < fault.loss:
        control.took_effect(f"loss {direction}")
        return []
    copies = 1
    if fault.duplicate and control.chance.random() < fault.duplicate:
        control.took_effect(f"duplicate {direction}")
        copies = 2
    if not fault.delay_ms and not fault.jitter_ms:
        return [frame] * copies
    control.took_effect(f"delay {direction}")
    for _ in range(copies):
        delay_ms = fault.delay_ms + control.chance.randint(0, fault.jitter_ms)
        held.hold(member_id, frame, delay_ms, fault.reorder)
    return []


def source_of(frame: bytes) -> int:
    """The member that a frame is from, 0 if it does not say."""
    try:
        source = unpack(frame)[SOURCE_FIELD]
    except (WireError, IndexError, TypeError, KeyError):
        return 0
    return source if isinstance(source, int) else 0


class HeldFrames:
    """Frames on their slow way. `descriptor` becomes readable when one is due.

    `hold` and `due` belong to the owner's thread; a thread of its own only watches the clock.
    """

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._heap: list[tuple[int, int, int, bytes]] = []
        self._last_due_ms: dict[int, int] = {}
        self._number = 0
        self._changed = threading.Condition()
        self._closed = False
        self._watch: threading.Thread | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no frame is on its way."""
        return not self._heap

    def hold(self, member_id: int, frame: bytes, delay_ms: int, reorder: bool) -> None:
        """Keep a frame for so long."""
        if len(self._heap) >= HELD_FRAMES_MAX:
            return
        due_ms = monotonic_ms() + delay_ms
        if not reorder:
            due_ms = max(due_ms, self._last_due_ms.get(member_id, 0))
            self._last_due_ms[member_id] = due_ms
        with self._changed:
            self._number += 1
            heapq.heappush(self._heap, (due_ms, self._number, member_id, frame))
            if self._watch is None:
                self._watch = threading.Thread(target=self._wait, name="held frames", daemon=True)
                self._watch.start()
            self._changed.notify()

    def due(self) -> list[tuple[int, bytes]]:
        """Member and frame, of every frame whose time has come."""
        found = []
        with self._changed:
            with suppress(BlockingIOError):
                os.eventfd_read(self.descriptor)
            while self._heap and self._heap[0][0] <= monotonic_ms():
                _, _, member_id, frame = heapq.heappop(self._heap)
                found.append((member_id, frame))
            self._changed.notify()
        return found

    def close(self) -> None:
        """Lose what is on its way."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            os.close(self.descriptor)

    def _wait(self) -> None:
        """Make the descriptor readable when the first frame is due, until the owner takes it."""
        with self._changed:
            while not self._closed:
                left_ms = self._heap[0][0] - monotonic_ms() if self._heap else None
                if left_ms is not None and left_ms <= 0:
                    os.eventfd_write(self.descriptor, 1)
                    left_ms = None
                self._changed.wait(None if left_ms is None else left_ms / 1_000)
