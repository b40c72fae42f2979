"""The compact copy of a store's file: how it learns what is committed while it is being made.

A copy has the state of one commit. The store's owner notes every later commit here. The copier's
thread repeats them in the copy, and the owner itself the last few. Then copy and store hold the
same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from actors.language.errors import StorageError
from actors.store.deletion import bytes_of
from actors.store.disk.copier import WhenDone
from actors.store.storage import Batch
from cluster.private import sync_directory

SUFFIX: Final = ".compact"

NOTED_BYTES_MAX: Final = 256 * 1024 * 1024
"""A copy that lags behind by more than 256 MiB of keys and values is given up: they are kept in
memory for it."""

LEFT_COMMITS: Final = 2
"""The copier's thread leaves 2 commits to the owner, which repeats them when it changes over: the
store waits meanwhile."""

NOTED_EVENT_BYTES: Final = 200
"""About what a change takes in memory in addition to its key and value."""


class Writable(Protocol):
    """What the copy needs of a backend."""

    def remove(self, positions: list[int]) -> None:
        """Remove the changes at these positions with the next commit."""

    def commit(self, batch: Batch) -> None:
        """Make the changes durable."""

    def close(self) -> None:
        """Close the file and free its memory."""


class CompactCopy:
    """A compact copy of the file at `path`.

    The owner's thread notes commits. The copier's thread repeats them, and after its end the
    owner's: never both at once.
    """

    def __init__(self, path: Path, open_file: Callable[[Path], Writable], done: WhenDone) -> None:
        self.path = _beside(path, SUFFIX)
        self._target = path
        self._open = open_file
        self._done = done
        self._error: StorageError | None = None
        self._noted: deque[tuple[list[int], Batch]] = deque()
        self._bytes = 0

    def note(self, removed: list[int], batch: Batch) -> None:
        """The store has committed these removals and changes."""
        self._bytes += bytes_of(batch.events) + NOTED_EVENT_BYTES * len(batch.events)
        if self._bytes <= NOTED_BYTES_MAX:
            self._noted.append((removed, batch))

    def catch_up(self, left: int = LEFT_COMMITS) -> None:
        """Repeat noted commits in the copy until only `left` remain.

        Raises StorageError if more was noted than is kept.
        """
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
            raise StorageError(f"{self.path}: writes come faster than the copy can follow them")

    def done(self, error: StorageError | None) -> None:
        """The copier's thread has made the copy, or failed."""
        self._error = error
        self._done(error)

    def finish(self) -> StorageError | None:
        """Repeat all commits that are left; after an error the copy is removed, and it returned."""
        try:
            if self._error is None:
                self.catch_up(0)
        except StorageError as error:
            self._error = error
        if self._error is not None:
            remove_leftovers(self._target)
        return self._error

    def replace(self) -> None:
        """Give the copy the store's name, durably.

        A crash at any point leaves one of the two files under that name, and either has all
        commits.
        """
        self.path.rename(self._target)
        sync_directory(self._target.parent)
        remove_leftovers(self._target)


def remove_leftovers(path: Path) -> None:
    """Remove what a crash or a failure has left of a compact copy of the file at `path`."""
    for suffix in (SUFFIX, f"{SUFFIX}.part", f"{SUFFIX}-lock"):
        _beside(path, suffix).unlink(missing_ok=True)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
