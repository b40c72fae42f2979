"""The snapshots that clients are fetching: files of a directory, for a while.

They begin to be kept when they are whole, and end when nobody has read them for some minutes, or
with the process. Who makes them, and who asks, is not its business.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from actors.store.storage import Part

PART_BYTES_MAX: Final = 1024 * 1024
FILES_MAX: Final = 4
IDLE_MS: Final = 5 * 60 * 1_000


class _Kept(NamedTuple):
    path: Path
    total_bytes: int
    sha256: bytes
    used_ms: int
    was_read: bool


class SpoolDirectory:
    """One node's. The directory is there, and what an earlier run left in it is gone."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._kept: dict[str, _Kept] = {}
        self._made = 0

    def make_room(self) -> Path | None:
        """Where the next file may be made; None as long as too many are being read."""
        if len(self._kept) >= FILES_MAX:
            done = [name for name, kept in self._kept.items() if kept.was_read]
            if not done:
                return None
            self._drop(min(done, key=lambda name: self._kept[name].used_ms))
        self._made += 1
        return self._directory / f"{self._made:08x}.snapshot"

    def keep(self, path: Path, total_bytes: int, sha256: bytes, now_ms: int) -> str:
        """A file is whole; the name that clients ask for it by."""
        # An earlier run's name must not stand for another file.
        name = f"{path.stem}-{sha256[:8].hex()}"
        self._kept[name] = _Kept(path, total_bytes, sha256, now_ms, was_read=False)
        return name

    def discard(self, path: Path) -> None:
        """A file has not become whole."""
        path.unlink(missing_ok=True)

    def read(self, name: str, offset: int, now_ms: int) -> Part | None:
        """A part of a file from an offset on; None if no such file is kept, or not any more."""
        kept = self._kept.get(name)
        if kept is None or not 0 <= offset <= kept.total_bytes:
            return None
        total = kept.total_bytes
        try:
            with kept.path.open("rb") as file:
                blob = os.pread(file.fileno(), min(PART_BYTES_MAX, total - offset), offset)
        except OSError:
            # It is only a copy: the client has another one made.
            self._drop(name)
            return None
        remaining = total - offset - len(blob)
        was_read = kept.was_read or not remaining
        self._kept[name] = kept._replace(used_ms=now_ms, was_read=was_read)
        return Part(name, blob, remaining, kept.sha256)

    def end_idle(self, now_ms: int) -> None:
        """Let go of what nobody reads any more."""
        for name, kept in list(self._kept.items()):
            if now_ms - kept.used_ms >= IDLE_MS:
                self._drop(name)

    def next_end_ms(self) -> int | None:
        """When the next one may end."""
        return min((kept.used_ms + IDLE_MS for kept in self._kept.values()), default=None)

    def _drop(self, name: str) -> None:
        self._kept.pop(name).path.unlink(missing_ok=True)
