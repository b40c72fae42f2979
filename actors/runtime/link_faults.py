"""Links to the other members that lose, delay, double or cut frames, as somebody has planned it.

The launcher that has started the node plans it, or a test: without one of them a node has the plain
links. A cut link is silent, as a cut cable is: its connection stays, nothing comes through, and the
end of the other process is not seen. Refuses to know what frames mean, and which faults are wise.
"""

from __future__ import annotations

import heapq
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from random import Random
from typing import Final, Protocol

import zmq

from actors.runtime.mailbox import monotonic_ms
from cluster.link_plan import EVERYBODY, WHOLE, LinkFault, LinkPlan
from cluster.links import PeerDoor, PeerLock
from cluster.peer_links import PeerLinks

HELD_FRAMES_MAX: Final = 10_000
"""A link that delays more frames than this loses them, as a full router does."""

Context = zmq.Context[zmq.Socket[bytes]]


class Control(Protocol):
    """Where the plan comes from. `link_plan` and `is_recording` may change at any time."""

    link_plan: LinkPlan
    is_recording: bool
    chance: Random

    def took_effect(self, kind: str) -> None:
        """A planned fault of this kind is taking effect."""


class RecordFrame(Protocol):
    """What is called for each frame while the control is recording."""

    def __call__(self, member_id: int, frame: bytes, *, is_lost: bool) -> None:
        """A frame for this member was sent, or is lost on the way."""


class FaultyLinks(PeerLinks):
    """The links to the other members; faults by the member a frame is for."""

    def __init__(
        self,
        control: Control,
        context: Context,
        on_change: Callable[[], None] = lambda: None,
        record: RecordFrame | None = None,
    ) -> None:
        super().__init__(context, on_change)
        self._control = control
        self._record = record
        self._held = HeldFrames()

    def descriptors(self) -> list[int]:
        """Those of the links, and one for frames that are due."""
        return [*super().descriptors(), self._held.descriptor]

    def drain(self, items_max: int) -> list[int]:
        """The members whose connections broke; behind a cut nobody sees that."""
        for member_id, frame in self._held.due():
            if not fault_of(self._control.link_plan.outgoing, member_id).cut:
                super().send(member_id, frame)
        return [each for each in super().drain(items_max) if not self._is_cut(each)]

    def send(self, member_id: int, frame: bytes) -> bool:
        """Send without waiting, or let a planned fault befall the frame."""
        control, sent, is_lost = self._control, True, False
        outgoing = control.link_plan.outgoing
        if outgoing:
            fault = fault_of(outgoing, member_id)
            copies = copies_of(fault, "out", control)
            is_lost = copies == 0
            if fault.is_late:
                control.took_effect("delay out")
                self._held.hold(member_id, frame, fault, copies, control.chance)
                copies = 0
            for _ in range(copies):
                sent = super().send(member_id, frame)
        else:
            sent = super().send(member_id, frame)
        if control.is_recording and self._record is not None:
            self._record(member_id, frame, is_lost=is_lost or not sent)
        return sent

    def close(self) -> None:
        """Close every link; frames on their slow way are lost."""
        super().close()
        self._held.close()

    def _is_cut(self, member_id: int) -> bool:
        plan = self._control.link_plan
        return fault_of(plan.outgoing, member_id).cut or fault_of(plan.incoming, member_id).cut


class FaultyDoor(PeerDoor):
    """Where the other members' frames arrive; faults by the member a frame is from.

    `source_of` tells that member's id, EVERYBODY if the frame does not say.
    """

    def __init__(
        self,
        control: Control,
        source_of: Callable[[bytes], int],
        context: Context,
        urls: tuple[str, ...],
        lock: PeerLock | None = None,
    ) -> None:
        super().__init__(context, urls, lock)
        self._control = control
        self._source_of = source_of
        self._held = HeldFrames()

    def descriptors(self) -> list[int]:
        """The socket's, and one for frames that are due."""
        return [*super().descriptors(), self._held.descriptor]

    def drain(self, items_max: int) -> list[bytes]:
        """The frames that have arrived, but for those that a planned fault befalls."""
        arrived = super().drain(items_max)
        control, held = self._control, self._held
        incoming = control.link_plan.incoming
        if not incoming and held.is_empty:
            return arrived
        due = held.due()
        passed = [frame for source, frame in due if not fault_of(incoming, source).cut]
        for frame in arrived:
            source = self._source_of(frame)
            fault = fault_of(incoming, source)
            copies = copies_of(fault, "in", control)
            if fault.is_late:
                control.took_effect("delay in")
                held.hold(source, frame, fault, copies, control.chance)
            else:
                passed += [frame] * copies
        return passed

    def close(self) -> None:
        """Close the socket; frames on their slow way are lost."""
        super().close()
        self._held.close()


def fault_of(faults: Mapping[int, LinkFault], member_id: int) -> LinkFault:
    """What befalls frames to or from this member."""
    return faults.get(member_id) or faults.get(EVERYBODY) or WHOLE


def copies_of(fault: LinkFault, direction: str, control: Control) -> int:
    """How many times a frame goes on: 0 when it is lost, 2 when it is doubled."""
    if fault.cut:
        control.took_effect(f"cut {direction}")
        return 0
    if fault.loss and control.chance.random() < fault.loss:
        control.took_effect(f"loss {direction}")
        return 0
    if fault.duplicate and control.chance.random() < fault.duplicate:
        control.took_effect(f"duplicate {direction}")
        return 2
    return 1


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

    def hold(
        self, member_id: int, frame: bytes, fault: LinkFault, copies: int, chance: Random
    ) -> None:
        """Keep these copies of a frame for as long as the fault says."""
        for _ in range(copies):
            due_ms = monotonic_ms() + fault.delay_ms + chance.randint(0, fault.jitter_ms)
            if not fault.reorder:
                due_ms = max(due_ms, self._last_due_ms.get(member_id, 0))
                self._last_due_ms[member_id] = due_ms
            self._hold(due_ms, member_id, frame)

    def _hold(self, due_ms: int, member_id: int, frame: bytes) -> None:
        with self._changed:
            if len(self._heap) >= HELD_FRAMES_MAX:
                return
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
