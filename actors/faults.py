"""Faults of this process's disk and peer links, for tests: a node has them with --fault-control.

Without that flag nobody imports this module. With it the node connects to the Unix socket that a
test listens on, says its name, and lives under the plan it is told: one line of JSON each, the
whole plan every time. It reports, once per plan and kind, that a fault took effect - before it
does, for some are the end of the process. Knows nothing of what files and frames mean, but where a
frame names its source.
"""

from __future__ import annotations

import errno
import heapq
import json
import logging
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import zmq

from actors.raft.disk.files import Disk
from actors.runtime.mailbox import monotonic_ms
from cluster.links import PeerDoor, PeerLinks
from cluster.wire import WireError, unpack

SECTOR_BYTES: Final = 512
"""What a disk writes whole or not at all."""

LINE_BYTES_MAX: Final = 64 * 1024
HELD_FRAMES_MAX: Final = 10_000
"""A link that delays more frames than this loses them, as a full router does."""

SOURCE_FIELD: Final = 2
"""A peers' frame is (cluster id, kind, source, ...)."""

log = logging.getLogger("leasehold.faults")

Context = zmq.Context[zmq.Socket[bytes]]


class LinkFault(NamedTuple):
    """What befalls frames of one direction of one link; `loss` and `duplicate` are chances.

    Frames of one delay stay in order unless `reorder` is set.
    """

    cut: bool = False
    delay_ms: int = 0
    jitter_ms: int = 0
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: bool = False


class DiskFault(NamedTuple):
    """What befalls files: `write` and `sync` name the errno that each write or fsync fails with.

    `full`: there is no room for a new file. `torn`: of the next write that spans sectors, only some
    arrive, and the process is killed.
    """

    full: bool = False
    write: str = ""
    sync: str = ""
    sync_delay_ms: int = 0
    torn: bool = False


class Plan(NamedTuple):
    """Everything that is wrong from now on; links by member id, 0 for all that are not named."""

    number: int = 0
    disk: DiskFault = DiskFault()
    outgoing: Mapping[int, LinkFault] = {}
    incoming: Mapping[int, LinkFault] = {}


class FaultControl:
    """The connection to the test, and the present plan. `plan` may be read by any thread."""

    def __init__(self, path: str, name: str) -> None:
        self.plan = Plan()
        self.chance = random.Random(f"{path} {name} {os.getpid()}")
        self._reporting = threading.Lock()
        self._reported: set[str] = set()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(path)
        self._tell({"hello": name, "pid": os.getpid()})
        self._lines = self._socket.makefile("rb")
        # The first plan holds from the first effect on: a cut is not healed by a restart.
        self._read_plan()
        threading.Thread(target=self._follow, name="faults", daemon=True).start()

    def took_effect(self, kind: str) -> None:
        """Report that a fault of this kind is taking effect, once per plan."""
        with self._reporting:
            if kind not in self._reported:
                self._reported.add(kind)
                log.warning("planned fault: %s", kind)
                self._tell({"effect": kind, "plan": self.plan.number})

    def _follow(self) -> None:
        while self._read_plan():
            pass
        self.plan = Plan()

    def _read_plan(self) -> bool:
        line = self._lines.readline(LINE_BYTES_MAX)
        if not line:
            return False
        with self._reporting:
            self.plan = plan_of(json.loads(line))
            self._reported.clear()
            self._tell({"plan": self.plan.number})
        return True

    def _tell(self, report: dict[str, Any]) -> None:
        with suppress(OSError):  # the test is gone, and this process soon will be
            self._socket.sendall(json.dumps(report).encode() + b"\n")


def plan_of(document: Mapping[str, Any]) -> Plan:
    """A plan from its JSON; what is left out is in order."""
    links = {
        direction: {int(m): LinkFault(**f) for m, f in document.get(direction, {}).items()}
        for direction in ("outgoing", "incoming")
    }
    return Plan(document.get("number", 0), DiskFault(**document.get("disk", {})), **links)


def outside(
    path: str, name: str
) -> tuple[
    Disk,
    Callable[[Context, tuple[str, ...]], PeerDoor],
    Callable[[Context, Callable[[], None]], PeerLinks],
]:
    """What a node reaches its disk and its peers through, under the control of a test."""
    control = FaultControl(path, name)
    return (
        FaultyDisk(control),
        lambda context, urls: FaultyDoor(control, context, urls),
        lambda context, on_change: FaultyLinks(control, context, on_change),
    )


# --- the disk ---------------------------------------------------------------------------------


class FaultyDisk(Disk):
    """The operating system's files, on a bad day."""

    def __init__(self, control: FaultControl) -> None:
        self._control = control

    def free_bytes(self, directory: Path) -> int:
        if self._control.plan.disk.full:
            self._control.took_effect("full")
            return 0
        return super().free_bytes(directory)

    def create(self, path: Path, size: int) -> int:
        if self._control.plan.disk.full:
            self._fail("full", "ENOSPC")
        return super().create(path, size)

    def write(self, file: int, data: bytes, offset: int) -> None:
        fault = self._control.plan.disk
        self._maybe_fail("write", fault.write)
        if not data.strip(b"\0"):
            # The log writes nothing but zeros over a torn write; no fault, but worth a note.
            self._control.took_effect("torn end repaired")
        if fault.torn:
            sectors = sectors_of(offset, len(data))
            if len(sectors) > 1:
                self._tear(file, data, offset, sectors)
        super().write(file, data, offset)

    def sync(self, file: int) -> None:
        fault = self._control.plan.disk
        self._maybe_fail("sync", fault.sync)
        if fault.sync_delay_ms:
            self._control.took_effect("slow sync")
            time.sleep(fault.sync_delay_ms / 1_000)
        super().sync(file)

    def _maybe_fail(self, what: str, name: str) -> None:
        if name:
            self._fail(f"{what} {name}", name)

    def _fail(self, kind: str, name: str) -> NoReturn:
        self._control.took_effect(kind)
        number = getattr(errno, name)
        raise OSError(number, os.strerror(number))

    def _tear(self, file: int, data: bytes, offset: int, sectors: list[tuple[int, int]]) -> None:
        """Write some sectors but not all, in no order, and die: nobody was told of this write."""
        lost = self._control.chance.randint(1, len(sectors))
        kept = self._control.chance.sample(sectors, len(sectors) - lost)
        for start, end in kept:
            super().write(file, data[start - offset : end - offset], start)
        self._control.took_effect("torn write")
        os.kill(os.getpid(), signal.SIGKILL)


def sectors_of(offset: int, size: int) -> list[tuple[int, int]]:
    """A write of so many bytes cut at the sectors of its file: the start and end of each piece."""
    end = offset + size
    cuts = range(offset - offset % SECTOR_BYTES + SECTOR_BYTES, end, SECTOR_BYTES)
    starts = [offset, *cuts]
    return list(zip(starts, [*cuts, end], strict=True))


# --- the links --------------------------------------------------------------------------------


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
