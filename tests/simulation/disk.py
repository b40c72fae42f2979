"""A disk in memory that loses what was not synced, sector by sector, when its machine crashes.

It stands in for `actors.raft.files.Disk` under the real write-ahead log. Each operation may be the
last one: `before_effect` is called first and may raise. Knows nothing of what a file holds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

SECTOR_BYTES: Final = 512


class _File:
    """What a reader sees now, what a crash cannot take away, and the writes between them."""

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
    """One machine's files. Directories need not exist; renames are atomic and durable."""

    def __init__(self, before_effect: Callable[[], None] = lambda: None) -> None:
        self._before_effect = before_effect
        self._files: dict[Path, _File] = {}
        self._open: dict[int, _File] = {}
        self._last_number = 0
        self.syncs = 0
        self.sectors_lost = 0

    # --- actors.raft.files.Files ---

    def make_directory(self, path: Path) -> None:
        self._before_effect()

    def names(self, directory: Path) -> list[str]:
        return [path.name for path in self._files if path.parent == directory]

    def read(self, path: Path) -> bytes:
        return bytes(self._files[path].visible)

    def create(self, path: Path, size: int) -> int:
        self._before_effect()
        self._files[path] = _File(size)
        return self.open(path)

    def open(self, path: Path) -> int:
        self._last_number += 1
        self._open[self._last_number] = self._files[path]
        return self._last_number

    def write(self, file: int, data: bytes, offset: int) -> None:
        self._before_effect()
        target = self._open[file]
        assert offset + len(data) <= len(target.visible), "a write beyond the reserved space"
        target.visible[offset : offset + len(data)] = data
        target.pending.append((offset, data))

    def sync(self, file: int) -> None:
        self._before_effect()
        self._open[file].sync()
        self.syncs += 1

    def close(self, file: int) -> None:
        del self._open[file]

    def erase(self, path: Path, offset: int) -> None:
        self._before_effect()
        file = self._files[path]
        for content in (file.visible, file.durable):
            content[offset:] = bytes(len(content) - offset)
        file.pending.clear()

    def rename(self, source: Path, target: Path) -> None:
        self._before_effect()
        self._files[target] = self._files.pop(source)

    def remove(self, path: Path) -> None:
        del self._files[path]

    # --- what happens to it ---

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

    def content(self, path: Path) -> bytearray:
        """A file as it is on the platter, for tests that damage it."""
        return self._files[path].durable

    def damage(self, path: Path, content: bytes | bytearray) -> None:
        """Replace what a file holds."""
        file = self._files[path]
        file.visible = bytearray(content)
        file.durable = bytearray(content)

    def paths(self) -> list[Path]:
        """All files, in the order of their names."""
        return sorted(self._files)


def sectors(start: int, stop: int) -> list[tuple[int, int]]:
    """The parts of a range of bytes that lie in one sector each."""
    parts = []
    while start < stop:
        end = min(stop, (start // SECTOR_BYTES + 1) * SECTOR_BYTES)
        parts.append((start, end))
        start = end
    return parts
