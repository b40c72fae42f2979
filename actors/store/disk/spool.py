"""The snapshots that clients are fetching: files in a directory of their own.

A file is kept from when it is whole until nobody has read it for five minutes, or the process ends.
Who makes a file, and who asks for it, is not known here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from actors.store.storage import SpoolPart
from cluster.private import read

PART_BYTES_MAX: Final = 1024 * 1024
"""A client fetches a file in parts of at most this size."""

FILES_MAX: Final = 4
"""How many files are kept at once: each takes as much of the disk as the store uses."""

IDLE_MS: Final = 5 * 60 * 1_000
"""A file that was not read for this time is removed."""


class _Kept(NamedTuple):
    path: Path
    total_bytes: int
    sha256: bytes
    used_ms: int
    was_read: bool


class SpoolDirectory:
    """The spool of one node; its directory must exist and be empty."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._kept: dict[str, _Kept] = {}
        self._made = 0

    def make_room(self) -> Path | None:
        """The path for the next file; None if FILES_MAX files are still being read.

        If there are too many, the one goes that was read to its end and then not used longest.
        """
        if len(self._kept) >= FILES_MAX:
            done = [name for name, kept in self._kept.items() if kept.was_read]
            if not done:
                return None
            self._drop(min(done, key=lambda name: self._kept[name].used_ms))
        self._made += 1
        return self._directory / f"{self._made:08x}.snapshot"

    def keep(self, path: Path, total_bytes: int, sha256: bytes, now_ms: int) -> str:
        """Keep a file that is whole; returns the name by which clients ask for it."""
        # With the hash in it: after a restart the numbers begin anew, and a client that goes on
        # with a name of an earlier run must not get parts of another file.
        name = f"{path.stem}-{sha256[:8].hex()}"
        self._kept[name] = _Kept(path, total_bytes, sha256, now_ms, was_read=False)
        return name

    def discard(self, path: Path) -> None:
        """Remove a file that has not become whole."""
        path.unlink(missing_ok=True)

    def read(self, name: str, offset: int, now_ms: int) -> SpoolPart | None:
        """A part of a file from an offset on; None if no file of that name is kept (any more)."""
        kept = self._kept.get(name)
        if kept is None or not 0 <= offset <= kept.total_bytes:
            return None
        total = kept.total_bytes
        try:
            with read(kept.path) as file:
                blob = os.pread(file.fileno(), min(PART_BYTES_MAX, total - offset), offset)
        except OSError:
            # It is only a copy: the client can ask for another one.
            self._drop(name)
            return None
        remaining = total - offset - len(blob)
        was_read = kept.was_read or not remaining
        self._kept[name] = kept._replace(used_ms=now_ms, was_read=was_read)
        return SpoolPart(name, blob, remaining, kept.sha256)

    def end_idle(self, now_ms: int) -> None:
        """Remove the files that were not read for IDLE_MS."""
        for name, kept in list(self._kept.items()):
            if now_ms - kept.used_ms >= IDLE_MS:
                self._drop(name)

    def next_end_ms(self) -> int | None:
        """When the next file may be idle for too long; None without files."""
        return min((kept.used_ms + IDLE_MS for kept in self._kept.values()), default=None)

    def _drop(self, name: str) -> None:
        self._kept.pop(name).path.unlink(missing_ok=True)
