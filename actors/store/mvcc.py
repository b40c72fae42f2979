"""Keys, values and revisions by etcd's rules: what a change writes, and what it was.

Changes since the last commit are held here, older ones are read from the backend. What a reader
makes of them is the business of `ranges.py`, `history.py` and `digest.py`. Leases are numbers here:
whether one exists, and what it holds, is `leases.py`'s. A compaction ends history at once; what it
has outdated goes later, bit by bit, and how is `sweeper.py`'s.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from actors.language.commands import Change, Event, KeyValue
from actors.language.results import Failure
from actors.store.index import KeyIndex, Live
from actors.store.storage import SUB_BITS, Backend
from actors.store.sweeper import Sweeper

FUTURE_REVISION: Final = Failure("FutureRev")
COMPACTED: Final = Failure("Compacted")

_FEW: Final = 2
"""So many values are read one by one: to read many at once has a price of its own."""

_PUT: Final = Change.PUT
_new: Final = tuple.__new__


class RevisionStore:
    """The multi-version store: one ordered space of keys with all its past."""

    def __init__(
        self, backend: Backend, revision: int, compact_revision: int, swept_revision: int
    ) -> None:
        self.revision = revision
        self.compact_revision = compact_revision
        self.index = KeyIndex()
        self.index.rebuild(backend.scan(), compact_revision)
        # Since the last commit, by position; and since the actor last took them, in order.
        self.fresh: dict[int, Event] = {}
        self.events: list[Event] = []
        self.sweeper = Sweeper(self.index, backend, compact_revision, swept_revision, revision)
        self.backend = backend
        # Whether somebody watches with prev_kv: reading each old value is not free.
        self.gather_previous = False

    # --- changes ---

    def put(
        self,
        key: bytes,
        value: bytes,
        lease: int,
        before: Live | None,
        previous: KeyValue | None,
        sub: int,
    ) -> int:
        """Set a key and return the revision of that; `before` is the index's entry.

        `previous` is its value. `sub` counts the changes of a revision: 0 begins a new one.
        """
        if not sub:
            self.revision += 1
        elif before is not None and previous is not None:
            previous = self._before_revision(key, before, previous)
        revision = self.revision
        position = revision << SUB_BITS | sub
        if before is None:
            create_revision, version = revision, 1
        else:
            create_revision, version = before[1], before[2] + 1
        self.index.put(key, before, (position, create_revision, version, lease))
        # The hot path: tuple.__new__ spares what a NamedTuple's own constructor costs.
        kv = _new(KeyValue, (key, create_revision, revision, version, value, lease))
        event = self.fresh[position] = _new(Event, (_PUT, kv, previous))
        self.events.append(event)
        return revision

    def delete(
        self, keys: list[bytes], change: Change, with_previous: bool, sub: int
    ) -> list[KeyValue]:
        """Delete keys that are there, ordered by name; `sub` as for `put`. No keys, no revision.

        Returns what they were, if that is asked for.
        """
        if not keys:
            return []
        if not sub:
            self.revision += 1
        revision = self.revision
        deleted: list[KeyValue] = []
        for position, key in enumerate(keys, start=revision << SUB_BITS | sub):
            previous: KeyValue | None = None
            if with_previous:
                before = self.index.live[key]
                found = self.read(before[0]).kv
                deleted.append(found)
                previous = self._before_revision(key, before, found)
            self.index.remove(key, position)
            event = Event(change, KeyValue(key, 0, revision, 0, b"", 0), previous)
            self.fresh[position] = event
            self.events.append(event)
        return deleted

    def _before_revision(self, key: bytes, before: Live, previous: KeyValue) -> KeyValue | None:
        """What a key was before this revision, in which it may have been changed already.

        `previous` is what it is now. Watchers never see a state within a revision, as in etcd.
        """
        if before[0] >> SUB_BITS < self.revision:
            return previous
        position = self.index.position_at(key, self.revision - 1)
        return None if position is None else self.read(position).kv

    def take_fresh(self) -> dict[int, Event]:
        """The changes since the last call, by position; reads look to the backend for them now."""
        fresh, self.fresh = self.fresh, {}
        self.sweeper.committed(self.revision)
        return fresh

    def compact(self, revision: int) -> Failure | None:
        """End the history before a revision, which itself can still be read and watched."""
        if revision <= self.compact_revision:
            return COMPACTED
        if revision > self.revision:
            return FUTURE_REVISION
        self.compact_revision = revision
        self.sweeper.compacted(revision)
        return None

    # --- reads ---

    def read(self, position: int) -> Event:
        """The change at a position the index knows."""
        event = self.fresh.get(position)
        return self.backend.read(position) if event is None else event

    def key_values(self, positions: list[int], bytes_max: int) -> list[KeyValue]:
        """What the changes at these positions have put; `Backend.key_values` says how many.

        Two are always read, whatever their size.
        """
        if len(positions) <= _FEW:
            return [self.read(position).kv for position in positions]
        fresh = self.fresh
        if not fresh:
            return self.backend.key_values(positions, bytes_max)
        committed = [position for position in positions if position not in fresh]
        read = iter(self.backend.key_values(committed, bytes_max))
        found: list[KeyValue] = []
        for position in positions:
            event = fresh.get(position)
            kv = next(read, None) if event is None else event.kv
            if kv is None:
                break
            found.append(kv)
        return found

    def changes(
        self, start: int, end: int, changes_max: int, bytes_max: int
    ) -> list[tuple[int, Event]]:
        """Changes from one position to before another, in order: at most so many, or bytes.

        Fewer do not mean that there are no more, none do.
        """
        fresh_from = next(iter(self.fresh), end)
        found = self.backend.changes(start, min(end, fresh_from), changes_max, bytes_max)
        if found:
            return found
        fresh = ((at, event) for at, event in self.fresh.items() if start <= at < end)
        return list(islice(fresh, changes_max))

    def event(self, position: int, with_previous: bool) -> Event:
        """The change at a position as watchers were told of it, as far as that is still known."""
        change, kv, _ = self.read(position)
        revision = kv.mod_revision
        # What was before the compacted revision is gone, whether it was swept away yet or not. And
        # whatever a transaction has deleted before: a put that creates a key has nothing before it.
        if not with_previous or revision <= self.compact_revision or kv.create_revision == revision:
            return Event(change, kv, None)
        before = self.index.position_at(kv.key, revision - 1)
        return Event(change, kv, None if before is None else self.read(before).kv)
