"""A disk in memory that loses what was not synced, sector by sector, when its machine loses power.

It stands in for `actors.raft.disk.files.Disk` under the log and the snapshots. Each operation may
be the last one, or fail: `before_effect` is called first and may raise. Knows nothing of what files
hold.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Final

SECTOR_BYTES: Final = 512


class _File:
    """What a reader sees now, what a power cut cannot take away, and the writes between them."""

    __slots__ = ("durable", "pending", "visible")

    def __init__(self, size: int) -> None:
        self.visible = bytearray(size)
        self.durable = bytearray(size)
        self.pending: list[tuple[int, bytes]] = []

    def sync(self) -> None:
        for offset, data in self.pending:
            self.durable[offset : offset + len(data)] = data
        self.pending.clear()


class SimulatedDisk:
    """One machine's files. Directories need not exist; renames and removals are durable.

    While it `is_full` no file can be made; what has been reserved can be written. `doing` names the
    operation that is about to happen.
    """

    def __init__(self, before_effect: Callable[[], None] = lambda: None) -> None:
        self._before_effect = before_effect
        self._files: dict[Path, _File] = {}
        self._open: dict[int, _File] = {}
        self._last_number = 0
        self.is_full = False
        self.doing = ""
        self.syncs = 0
        self.sectors_lost = 0

    # --- actors.raft.disk.files.Files ---

    def make_directory(self, path: Path) -> None:
        self._begin("directory")

    def names(self, directory: Path) -> list[str]:
        return [path.name for path in self._files if path.parent == directory]

    def read(self, path: Path) -> bytes:
        return bytes(self._files[path].visible)

    def read_part(self, path: Path, offset: int, size: int) -> bytes:
        return bytes(self._files[path].visible[offset : offset + size])

    def size(self, path: Path) -> int:
        return len(self._files[path].visible)

    def free_bytes(self, directory: Path) -> int:
        return 0 if self.is_full else 1 << 40

    def create(self, path: Path, size: int) -> int:
        self._begin("create")
        if self.is_full:
            raise OSError(errno.ENOSPC, "no space left on the simulated disk")
        self._files[path] = _File(size)
        return self.open(path)

    def open(self, path: Path) -> int:
        self._last_number += 1
        self._open[self._last_number] = self._files[path]
        return self._last_number

    def write(self, file: int, data: bytes, offset: int) -> None:
        self._begin("write")
        target = self._open[file]
        assert offset + len(data) <= len(target.visible), "a write beyond the reserved space"
        target.visible[offset : offset + len(data)] = data
        target.pending.append((offset, data))

    def sync(self, file: int) -> None:
        try:
            self._begin("sync")
        except OSError:
            # As Linux has it: what could not be written counts as clean, and is not tried again.
            self._open[file].pending.clear()
            raise
        self._open[file].sync()
        self.syncs += 1

    def close(self, file: int) -> None:
        del self._open[file]

    def resize(self, path: Path, size: int) -> None:
        """Cut a file, or add zeros to it, durably. Only planted bugs do that."""
        self._begin("resize")
        file = self._files[path]
        if size > len(file.visible) and self.is_full:
            raise OSError(errno.ENOSPC, "no space left on the simulated disk")
        for content in (file.visible, file.durable):
            content[size:] = bytes(max(0, size - len(content)))

    def rename(self, source: Path, target: Path) -> None:
        self._begin("rename")
        self._files[target] = self._files.pop(source)

    def remove(self, path: Path) -> None:
        self._begin("remove")
        del self._files[path]

    def discard(self, path: Path) -> None:
        self.remove(path)

    def _begin(self, doing: str) -> None:
        self.doing = doing
        self._before_effect()

    # --- what happens to it ---

    def stop(self) -> None:
        """The process is gone: files are closed, and what it wrote is on its way to the disk."""
        self._open.clear()

    def crash(self, chance: Callable[[int], int]) -> None:
        """Lose power: of each unsynced write any set of sectors is kept. All files are closed."""
        keep_one_in = chance(4) + 1
        for file in self._files.values():
            for offset, data in file.pending:
                for start, stop in sectors(offset, offset + len(data)):
                    if chance(keep_one_in) == 0:
                        file.durable[start:stop] = data[start - offset : stop - offset]
                    else:
                        self.sectors_lost += 1
            file.pending.clear()
            file.visible[:] = file.durable
        self._open.clear()

    def wipe(self) -> None:
        """Every file is gone."""
        self._files.clear()
        self._open.clear()

    def pending(self, path: Path) -> list[tuple[int, bytes]]:
        """What was written to a file and not synced: offsets and data."""
        return self._files[path].pending

    def content(self, path: Path) -> bytearray:
        """A file as it is on the platter, for tests that damage it."""
        return self._files[path].durable

    def damage(self, path: Path, content: bytes | bytearray) -> None:
        """Replace what a file holds."""
        file = self._files[path]
        file.visible = bytearray(content)
        file.durable = bytearray(content)

    def flip(self, path: Path, offset: int, bit: int) -> None:
        """Turn one bit of a file over."""
        file = self._files[path]
        for content in (file.visible, file.durable):
            content[offset] ^= 1 << bit

    def paths(self) -> list[Path]:
        """All files, in the order of their names."""
        return sorted(self._files)

    @property
    def total_bytes(self) -> int:
        """How much all files take up."""
        return sum(len(file.visible) for file in self._files.values())


def sectors(start: int, stop: int) -> list[tuple[int, int]]:
    """The parts of a range of bytes that lie in one sector each."""
    parts = []
    while start < stop:
        end = min(stop, (start // SECTOR_BYTES + 1) * SECTOR_BYTES)
        parts.append((start, end))
        start = end
    return parts
