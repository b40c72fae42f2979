"""What a compaction leaves to do: find what it has outdated, forget it, and have it removed.

The work is done in portions, when the caller has time. Finding goes through the changes since the
last compaction, in order: a change outdates what its key was before, and an old tombstone outdates
itself as well. So a compaction costs as the writes since the last one did, however large the store
is. Removing waits until much is outdated: a page of the file that loses many records at once is
written only once. How far it is shows in no answer; after a crash it finds again what is left.
"""

from __future__ import annotations

from typing import Final

from actors.store.index import KeyIndex
from actors.store.storage import SUB_BITS, Backend

OUTDATED_MIN: Final = 10_000
OUTDATED_SHARE: Final = 4
OUTDATED_MAX: Final = 500_000
"""Removing begins when 10,000 changes are outdated, or a quarter of the number of keys if that is
more, but in any case at 500,000."""

_BATCH_BITS: Final = SUB_BITS + 13
"""Outdated changes are kept in batches of 8,192 revisions, so that little is sorted at a time."""


class Sweeper:
    """The work left to do in one store; `removed` counts what no commit has taken yet.

    `removed_ever` counts on."""

    def __init__(
        self,
        index: KeyIndex,
        backend: Backend,
        compact_revision: int,
        swept_revision: int,
        committed_revision: int,
    ) -> None:
        self.removed = 0
        self.removed_ever = 0
        self._index = index
        self._backend = backend
        self._compact_revision = compact_revision
        self._committed_revision = committed_revision
        # Before `_swept` everything outdated is removed; before `_found` it is found.
        self._swept = self._found = swept_revision << SUB_BITS
        # Found and not removed, by batch: the index has forgotten it, the backend still has it.
        self._outdated: dict[int, list[int]] = {}
        self._batch: list[int] = []
        self._count = 0
        self._is_removing = False
        self._hurries = False
        self._note_end()

    @property
    def swept_revision(self) -> int:
        """Before this revision only changes are left that somebody may still see."""
        return self._swept >> SUB_BITS

    @property
    def is_due(self) -> bool:
        """Whether `work` has something to do."""
        return self._is_removing or self._found < self._end

    @property
    def lingers(self) -> bool:
        """Whether something is outdated, but too little to be removed yet."""
        return self._count > 0 and not self.is_due

    def compacted(self, revision: int) -> None:
        """History begins at this revision now."""
        # The last compaction spared the tombstones at its own revision, for watches that begin
        # there. They are outdated now: begin again at that revision.
        spared = max(0, self._compact_revision) << SUB_BITS
        self._swept, self._found = min(self._swept, spared), min(self._found, spared)
        self._compact_revision = revision
        self._note_end()

    def taken(self) -> None:
        """A commit was begun, and takes what was removed."""
        self.removed = 0

    def committed(self, revision: int) -> None:
        """A commit has ended: the backend has everything up to this revision."""
        self._committed_revision = revision
        self._note_end()

    def _note_end(self) -> None:
        """Set the place before which changes may be outdated."""
        # Only committed changes: the backend can neither list nor remove what it does not have.
        self._end = (min(self._compact_revision, self._committed_revision) + 1) << SUB_BITS

    def hurry(self) -> None:
        """Remove what is outdated now, even if it is little."""
        self._hurries = True
        self._maybe_remove()

    def work(self, changes_max: int) -> None:
        """Find, or remove, up to `changes_max` changes."""
        assert changes_max > 0, "a portion has at least one change"
        if self._is_removing:
            self._remove(changes_max)
        else:
            self._find(changes_max)

    def _find(self, changes_max: int) -> None:
        end = self._end
        rows = self._backend.rows(self._found, end, changes_max)
        spared = self._compact_revision << SUB_BITS
        found: list[int] = []
        # The last change of each key is enough: it outdates all that came before it.
        for key, position in {row[2]: row[0] for row in rows}.items():
            found += self._index.forget(key, position, position < spared)
        for position in found:
            self._outdated.setdefault(position >> _BATCH_BITS, []).append(position)
        self._count += len(found)
        self._found = end if len(rows) < changes_max else rows[-1][0] + 1
        self._maybe_remove()

    def _maybe_remove(self) -> None:
        if self._found < self._end:
            self._is_removing |= self._count >= OUTDATED_MAX
        elif self._count == 0:
            self._done()
        else:
            much = max(OUTDATED_MIN, len(self._index.live) // OUTDATED_SHARE)
            self._is_removing |= self._hurries or self._count >= min(much, OUTDATED_MAX)

    def _remove(self, changes_max: int) -> None:
        # In order, since a crash may come between the commits of two portions: a value that is left
        # without its tombstone would exist again after the restart.
        if not self._batch:
            self._batch = self._outdated.pop(min(self._outdated))
            self._batch.sort(reverse=True)
        portion = self._batch[: -changes_max - 1 : -1]
        del self._batch[-changes_max:]
        self._backend.remove(portion)
        self._count -= len(portion)
        self.removed += len(portion)
        self.removed_ever += len(portion)
        if not self._count:
            self._done()

    def _done(self) -> None:
        """Everything that was found is removed."""
        self._swept = self._found
        self._is_removing = False
        if self._found >= (self._compact_revision + 1) << SUB_BITS:
            self._hurries = False
