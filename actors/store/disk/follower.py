"""The compact copy of a store's file: how it learns what is committed while it is being made.

A copy shows one commit. The store's owner notes every later one here; the copier's thread, and for
the last few the owner itself, repeat them in the copy. Then copy and store hold the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from actors.language.errors import StorageError
from actors.store.disk.copier import Done
from actors.store.disk.lmdb_files import sync_directory
from actors.store.storage import Changes

SUFFIX: Final = ".compact"

NOTED_BYTES_MAX: Final = 256 * 1024 * 1024
"""More than so many bytes of keys and values are not kept for a copy that does not keep up."""

LEFT_COMMITS: Final = 2
"""The owner has to wait for so many commits at most, when it changes over."""

EVENT_BYTES: Final = 200
"""What a change takes in memory beside its key and value, about."""


class Writable(Protocol):
    """A store's file as a backend writes it."""

    def remove(self, positions: list[int]) -> None:
        """Let the changes at these positions go with the next commit."""

    def commit(self, changes: Changes) -> None:
        """Make the changes durable."""

    def close(self) -> None:
        """Give files and memory back."""


class Follower:
    """A compact copy of the file at `path`. One thread notes commits, one at a time repeats."""

    def __init__(self, path: Path, open_file: Callable[[Path], Writable], done: Done) -> None:
        self.path = _beside(path, SUFFIX)
        self._target = path
        self._open = open_file
        self._done = done
        self._error: StorageError | None = None
        self._noted: deque[tuple[list[int], Changes]] = deque()
        self._bytes = 0

    def note(self, removed: list[int], changes: Changes) -> None:
        """The store has committed this."""
        for event in changes.events.values():
            self._bytes += len(event.kv.key) + len(event.kv.value) + EVENT_BYTES
        if self._bytes <= NOTED_BYTES_MAX:
            self._noted.append((removed, changes))

    def catch_up(self, left: int = LEFT_COMMITS) -> None:
        """Repeat what was noted, until no more than so many commits are left."""
        if len(self._noted) > left:
            file = self._open(self.path)
            try:
                while len(self._noted) > left:
                    removed, changes = self._noted.popleft()
                    file.remove(removed)
                    file.commit(changes)
            finally:
                file.close()
        if self._bytes > NOTED_BYTES_MAX:
            raise StorageError(f"{self.path}: more is written meanwhile than the copy can follow")

    def done(self, error: StorageError | None) -> None:
        """The copier's thread has made the copy, or not."""
        self._error = error
        self._done(error)

    def finish(self) -> StorageError | None:
        """Repeat all that is left; or, with what went wrong, nothing is left of the copy."""
        try:
            if self._error is None:
                self.catch_up(0)
        except StorageError as error:
            self._error = error
        if self._error is not None:
            remove_leftovers(self._target)
        return self._error

    def replace(self) -> None:
        """Give the copy the store's name, durably; either file is whole and has all commits."""
        self.path.rename(self._target)
        sync_directory(self._target.parent)
        remove_leftovers(self._target)


def remove_leftovers(path: Path) -> None:
    """Remove what is left of a compact copy of the file at `path`, after a crash perhaps."""
    for suffix in (SUFFIX, f"{SUFFIX}.part", f"{SUFFIX}-lock"):
        _beside(path, suffix).unlink(missing_ok=True)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
