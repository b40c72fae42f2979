"""A disk that fails, is full, is slow, or tears a write, as a test has planned it.

Knows nothing of what files mean.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from pathlib import Path
from typing import Final, NoReturn

from actors.raft.disk.files import Disk
from tests.chaos.controlled import FaultControl

SECTOR_BYTES: Final = 512
"""What a disk writes whole or not at all."""


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
