"""What a compaction leaves to do: find what it has outdated, forget it, and have it removed.

All of it in portions, whenever the caller has time. Finding goes through what was written since the
last compaction, in order: a change outdates what its key was before, and an old tombstone itself.
So a compaction costs what was written, however much the store holds. Removing waits until much is
outdated: a page of the file that loses many records at once is written only once. Nobody can tell
how far it is; after a crash it finds again what was not removed.
"""

from __future__ import annotations

from typing import Final

from actors.store.index import KeyIndex
from actors.store.storage import SUB_BITS, Backend

OUTDATED_MIN: Final = 10_000
OUTDATED_SHARE: Final = 4
OUTDATED_MAX: Final = 500_000
"""Removing begins with so many, or with a quarter of the number of keys, but at most so many."""

_BATCH_BITS: Final = SUB_BITS + 13
"""What is outdated is kept apart by 8,192 revisions, so that little must be sorted at a time."""


class Sweeper:
    """The work left to do in one store. `removed` counts until the owner sets it to 0."""

    def __init__(
        self,
        index: KeyIndex,
        backend: Backend,
        compact_revision: int,
        swept_revision: int,
        committed_revision: int,
    ) -> None:
        self.removed = 0
        self._index = index
        self._backend = backend
        self._compact_revision = compact_revision
        self._committed_revision = committed_revision
        # Before the first position nothing is outdated; before the second all that is was found.
        self._swept = self._found = swept_revision << SUB_BITS
        # What the index has forgotten, and the backend has still.
        self._outdated: dict[int, list[int]] = {}
        self._batch: list[int] = []
        self._count = 0
        self._is_removing = False
        self._hurries = False

    @property
    def swept_revision(self) -> int:
        """Of the changes before this revision only those are left that somebody may still see."""
        return self._swept >> SUB_BITS

    @property
    def is_due(self) -> bool:
        """Whether `work` has something to do."""
        return self._is_removing or self._found < self._end()

    @property
    def lingers(self) -> bool:
        """Whether something is outdated that is too little to be removed."""
        return self._count > 0 and not self.is_due

    def compacted(self, revision: int) -> None:
        """History begins at this revision now."""
        # The tombstones of the last one were spared: whoever watched from there had to see them.
        spared = max(0, self._compact_revision) << SUB_BITS
        self._swept, self._found = min(self._swept, spared), min(self._found, spared)
        self._compact_revision = revision

    def committed(self, revision: int) -> None:
        """The backend has all up to this revision, and has lost what it was told to lose."""
        self._committed_revision = revision
        self.removed = 0

    def hurry(self) -> None:
        """Remove what is outdated now even if it is little."""
        self._hurries = True
        self._maybe_remove()

    def work(self, changes_max: int) -> None:
        """Find, or remove, up to so many changes."""
        assert changes_max > 0, "no portion has no size"
        if self._is_removing:
            self._remove(changes_max)
        else:
            self._find(changes_max)

    def _find(self, changes_max: int) -> None:
        end = self._end()
        rows = self._backend.rows(self._found, end, changes_max)
        spared = self._compact_revision << SUB_BITS
        found: list[int] = []
        for key, position in {row[2]: row[0] for row in rows}.items():
            found += self._index.forget(key, position, position < spared)
        for position in found:
            self._outdated.setdefault(position >> _BATCH_BITS, []).append(position)
        self._count += len(found)
        self._found = end if len(rows) < changes_max else rows[-1][0] + 1
        self._maybe_remove()

    def _maybe_remove(self) -> None:
        if self._found < self._end():
            self._is_removing |= self._count >= OUTDATED_MAX
        elif self._count == 0:
            self._done()
        else:
            much = max(OUTDATED_MIN, len(self._index.live) // OUTDATED_SHARE)
            self._is_removing |= self._hurries or self._count >= min(much, OUTDATED_MAX)

    def _remove(self, changes_max: int) -> None:
        # In order: after a crash no tombstone may be missing whose value is still there.
        if not self._batch:
            self._batch = self._outdated.pop(min(self._outdated))
            self._batch.sort(reverse=True)
        portion = self._batch[: -changes_max - 1 : -1]
        del self._batch[-changes_max:]
        self._backend.remove(portion)
        self._count -= len(portion)
        self.removed += len(portion)
        if not self._count:
            self._done()

    def _done(self) -> None:
        """Nothing is left of what was found."""
        self._swept = self._found
        self._is_removing = False
        if self._found >= (self._compact_revision + 1) << SUB_BITS:
            self._hurries = False

    def _end(self) -> int:
        return (min(self._compact_revision, self._committed_revision) + 1) << SUB_BITS
