"""Keys, values and revisions by etcd's rules: what a change writes, and what a key was before.

It holds the changes since the last commit; older ones are read from the backend. Answers are made
of them in `ranges.py`, `history.py` and `digest.py`. A lease is only a number here: `leases.py`
knows which leases exist. A compaction ends history at once; `sweeper.py` removes what the
compaction has outdated later, a portion at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice, takewhile
from typing import Final

from actors.language.commands import Change, Event, KeyValue
from actors.language.results import Failure
from actors.store.deletion import Changes, EventsAside, LargeChanges, Told, since
from actors.store.index import KeyIndex
from actors.store.storage import SUB_BITS, Backend
from actors.store.sweeper import Sweeper
from actors.store.unsettled import Leave, Live

FUTURE_REVISION: Final = Failure("FutureRev")
COMPACTED: Final = Failure("Compacted")

_FEW: Final = 2
"""Up to 2 values are read one by one: a read of many at once costs more to begin."""

_PUT: Final = Change.PUT
_new: Final = tuple.__new__


class RevisionStore:
    """The multi-version store: one ordered space of keys, and its past since the compaction."""

    def __init__(
        self,
        backend: Backend,
        index: KeyIndex,
        revision: int,
        compact_revision: int,
        swept_revision: int,
    ) -> None:
        self.revision = revision
        self.compact_revision = compact_revision
        self.index = index
        # Changes that the backend does not have yet, by position: those that a commit has taken
        # and is writing, and those after them.
        self.committing: Changes = {}
        self.fresh: Changes = {}
        # Changes that watchers were not told of yet, in order; those up to the last deletion of
        # very many keys are apart. The actor takes them.
        self.events: list[Event] = []
        self.events_before: list[Sequence[Event]] = []
        self.sweeper = Sweeper(self.index, backend, compact_revision, swept_revision, revision)
        self.backend = backend
        # Keys put and deleted, ranges read, and compactions made, since this object was made.
        self.puts = self.deletes = self.ranges = self.compactions = 0
        # Whether somebody watches with prev_kv. If nobody does, a write need not read old values.
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
        """Set a key and return the revision of the change.

        `before` is the index's entry of the key, `previous` its value if somebody needs it. `sub`
        is the change's place within its revision: 0 begins a new revision.
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
        self.puts += 1
        return revision

    def delete(
        self, keys: list[bytes], change: Change, with_previous: bool, sub: int
    ) -> list[KeyValue]:
        """Delete keys that exist, ordered by name; `sub` as for `put`.

        Without keys there is no new revision. Returns what the keys were, with `with_previous`.
        """
        if not keys:
            return []
        if not sub:
            self.revision += 1
        self.deletes += len(keys)
        revision = self.revision
        deleted: list[KeyValue] = []
        shown: list[KeyValue | None]
        first = revision << SUB_BITS | sub
        if with_previous:
            live = self.index.live
            deleted = [self.read(live[key][0]).kv for key in keys]
            shown = [
                self._before_revision(key, live[key], found)
                for key, found in zip(keys, deleted, strict=True)
            ]
        else:
            shown = [None] * len(keys)
        self.index.remove(keys, first)
        # As in etcd, the event of a deletion has the key and its mod_revision only.
        events = [
            _new(Event, (change, _new(KeyValue, (key, 0, revision, 0, b"", 0)), previous))
            for key, previous in zip(keys, shown, strict=True)
        ]
        self.fresh.update(enumerate(events, start=first))
        self.events += events
        return deleted

    def _before_revision(self, key: bytes, before: Live, previous: KeyValue) -> KeyValue | None:
        """What a key was before the current revision, which may have changed it already.

        `previous` is what the key is now. A transaction may put a key that it has deleted; as in
        etcd, watchers never see the state in between.
        """
        if before[0] >> SUB_BITS < self.revision:
            return previous
        position = self.index.position_at(key, self.revision - 1)
        return None if position is None else self.read(position).kv

    def delete_late(self, key: bytes, range_end: bytes, leave: Leave, sub: int) -> int:
        """Delete all keys of an interval, at least one; `sub` as for `put`. Returns how many.

        It counts at once, whatever their number. Their records are made when somebody needs them,
        and the index is settled later; `leave` is told then of keys that were on a lease.
        """
        if not sub:
            self.revision += 1
        first = self.revision << SUB_BITS | sub
        deletion = self.index.remove_late(key, range_end, first, leave)
        self.deletes += len(deletion)
        self.fresh = LargeChanges(self.fresh, deletion)
        self.events_before += [self.events, deletion]
        self.events = []
        return len(deletion)

    def take_events(self) -> Told:
        """What watchers were not told of yet; now they will be."""
        if self.events_before:
            return self.put_events_aside().told
        events, self.events = tuple(self.events), []
        return events

    def put_events_aside(self) -> EventsAside:
        """Give away what watchers were not told of yet."""
        aside = EventsAside(self.events_before, self.events)
        self.events_before, self.events = [], []
        return aside

    def put_events_back(self, earlier: EventsAside) -> None:
        """What was given away comes before what has been done since."""
        before, events = earlier
        if before or self.events_before:
            self.events_before = [*before, events, *self.events_before]
        else:
            events += self.events
            self.events = events

    @property
    def untold(self) -> int:
        """How many changes watchers were not told of yet, but for those put aside."""
        return len(self.events) + sum(map(len, self.events_before))

    def take_fresh(self) -> Changes:
        """The changes since the last call, by position, for a commit; `committed` tells its end."""
        assert not self.committing, "one commit at a time"
        self.committing, self.fresh = self.fresh, {}
        self.sweeper.taken()
        return self.committing

    def committed(self, revision: int) -> None:
        """The commit of all changes up to this revision is durable: reads ask the backend."""
        self.committing = {}
        self.sweeper.committed(revision)

    def compact(self, revision: int) -> Failure | None:
        """End the history before a revision; the revision itself can still be read and watched."""
        if revision <= self.compact_revision:
            return COMPACTED
        if revision > self.revision:
            return FUTURE_REVISION
        self.compact_revision = revision
        self.compactions += 1
        self.sweeper.compacted(revision)
        return None

    # --- reads ---

    def read(self, position: int) -> Event:
        """The change at a position the index knows."""
        event = self.fresh.get(position) or self.committing.get(position)
        return self.backend.read(position) if event is None else event

    def key_values(self, positions: list[int], bytes_max: int) -> list[KeyValue]:
        """What the changes at these positions have put, in order.

        The backend stops at the one that reaches `bytes_max`, so they may be fewer than asked for.
        Up to 2 are always read, whatever their size.
        """
        if len(positions) <= _FEW:
            return [self.read(position).kv for position in positions]
        fresh, committing = self.fresh, self.committing
        if not fresh and not committing:
            return self.backend.key_values(positions, bytes_max)
        committed = [at for at in positions if at not in fresh and at not in committing]
        read = iter(self.backend.key_values(committed, bytes_max))
        found: list[KeyValue] = []
        for position in positions:
            event = fresh.get(position) or committing.get(position)
            kv = next(read, None) if event is None else event.kv
            if kv is None:  # the backend has stopped at bytes_max
                break
            found.append(kv)
        return found

    def changes(
        self, start: int, end: int, changes_max: int, bytes_max: int
    ) -> list[tuple[int, Event]]:
        """Changes in [start, end), in order: at most `changes_max`, or about `bytes_max` bytes.

        An empty list means that there are no more; a short list does not.
        """
        # What the backend lacks comes after what it has: so first the backend, until its end.
        found = self.backend.changes(start, min(end, self.kept_from), changes_max, bytes_max)
        if found:
            return found
        kept = takewhile(lambda pair: pair[0] < end, self.kept(start))
        return list(islice(kept, changes_max))

    @property
    def kept_from(self) -> int:
        """The position of the first change that the backend does not have yet."""
        first = next(iter(self.committing or self.fresh), None)
        return (self.revision + 1) << SUB_BITS if first is None else first

    def kept(self, start: int) -> Iterator[tuple[int, Event]]:
        """The changes from a position on that the backend does not have now, in order."""
        return chain(since(self.committing, start), since(self.fresh, start))

    def event(self, position: int, with_previous: bool) -> Event:
        """The change at a position as watchers were told of it, as far as it is still known."""
        change, kv, _ = self.read(position)
        revision = kv.mod_revision
        # No value is shown that a compaction has ended, whether it was swept away yet or not: what
        # is seen must not depend on how far this node has swept. A put that creates its key has no
        # value before it, even if its own transaction deleted one.
        if not with_previous or revision <= self.compact_revision or kv.create_revision == revision:
            return Event(change, kv, None)
        before = self.index.position_at(kv.key, revision - 1)
        return Event(change, kv, None if before is None else self.read(before).kv)
