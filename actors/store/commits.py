"""The commits of one store, one at a time: which part of one is done when, and in which thread.

On a fast disk a commit is written in the loop, a portion a turn. On a slow one all of it is done in
a thread, since LMDB binds a transaction to the thread that begins it. What a large commit has
written is freed in portions, too. Who hears of a commit's end is not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.store.deletion import tables_of
from actors.store.pace import COMMIT_CHANGES_MAX, CommitPace
from actors.store.steps import Steps, take_apart
from actors.store.storage import Backend, Batch, CommitWaits, Meta, OpenCommit

FREED_STEPS: Final = 16
"""A turn frees 4,096 changes of a large commit: that takes about half a millisecond."""


class Commits:
    """The commit under way, if there is one. `tell` is called at the end of one in a thread."""

    def __init__(self, pace: CommitPace, waits: CommitWaits, tell: Callable[[], None]) -> None:
        self._pace = pace
        self._waits = waits
        self._tell = tell
        self._under_way: tuple[Backend, OpenCommit, Batch] | None = None
        # The work of freeing what large commits have written.
        self._freeing: list[Steps[None]] = []
        # Whether no commit has failed. The machine gives changes to one commit only: after a
        # failure the process ends, and the log brings them back.
        self.is_sound = True

    @property
    def is_under_way(self) -> bool:
        """Whether a commit was begun and has not ended."""
        return self._under_way is not None

    def begin(self, backend: Backend, batch: Batch) -> None:
        """Begin a commit; `go_on` does it."""
        assert self._under_way is None, "one commit at a time"
        self._under_way = backend, backend.begin(batch), batch

    def go_on(self, *, until_end: bool = False) -> Meta | None:
        """Do this turn's part of the commit, or all; its meta record if it is durable with that.

        A failure is a StorageError. Nothing may be committed after it.
        """
        if self._under_way is None:
            self._free()
            return None
        self.is_sound = False
        meta = self._do(*self._under_way, until_end=until_end)
        self.is_sound = True
        return meta

    def _do(
        self, backend: Backend, commit: OpenCommit, batch: Batch, *, until_end: bool
    ) -> Meta | None:
        waits = self._waits
        if waits.is_busy:
            if not waits.is_over and not until_end:
                return None
            waits.end()
        elif not until_end and not waits.is_slow and commit.write():
            return None
        elif not waits.run(commit.sync, self._tell, commit.write_all):
            if not until_end:
                return None
            waits.end()
        self._under_way = None
        backend.end()
        self._pace.committed()
        # A copy that follows the commits may have to repeat this one later.
        if len(batch.events) > COMMIT_CHANGES_MAX and not backend.is_copying:
            self._freeing += [take_apart(table) for table in tables_of(batch.events)]
        return batch.meta

    def _free(self) -> None:
        """Free a portion: whoever reads these changes asks the backend now."""
        for _ in range(FREED_STEPS if self._freeing else 0):
            if next(self._freeing[-1], self) is self:
                self._freeing.pop()
                break

    def next_wake_ms(self, now_ms: int) -> int | None:
        """When to go on, or to begin; None if nothing is new, or if a thread will tell its end."""
        if self._under_way is None:
            return now_ms if self._freeing else self._pace.due_ms
        # The next portion comes after the others have had their turn.
        return None if self._waits.is_busy else now_ms

    def close(self) -> None:
        """Wait for what a thread is doing."""
        self._waits.close()
