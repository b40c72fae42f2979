"""Keys, values and revisions by etcd's rules: what a change writes and what a read sees.

Changes since the last commit are held here, older ones are read from the backend. Leases are
numbers here: whether one exists, and what it holds, is `leases.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from actors.store.commands import Change, Event, Failure, KeyValue, Range, RangeDone
from actors.store.index import KeyIndex, Live
from actors.store.storage import SUB_BITS, Backend

FUTURE_REVISION: Final = Failure("FutureRev")
COMPACTED: Final = Failure("Compacted")

_PUT: Final = Change.PUT
_new: Final = tuple.__new__


class RevisionStore:
    """The multi-version store: one ordered space of keys with all its past."""

    def __init__(self, backend: Backend, revision: int, compact_revision: int) -> None:
        self.revision = revision
        self.compact_revision = compact_revision
        self.index = KeyIndex()
        self.index.rebuild(backend.scan())
        # Since the last commit, by position; and since the actor last took them, in order.
        self.fresh: dict[int, Event] = {}
        self.events: list[Event] = []
        self._backend = backend

    # --- changes ---

    def put(
        self, key: bytes, value: bytes, lease: int, before: Live | None, previous: KeyValue | None
    ) -> int:
        """Set a key in a revision of its own and return that; `before` is the index's entry."""
        revision = self.revision = self.revision + 1
        position = revision << SUB_BITS
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

    def delete(self, keys: list[bytes], change: Change, with_previous: bool) -> list[Event]:
        """Delete keys that are there, ordered by name, in one revision; no keys, no revision."""
        if not keys:
            return []
        revision = self.revision = self.revision + 1
        events: list[Event] = []
        for sub, key in enumerate(keys):
            position = revision << SUB_BITS | sub
            previous = self.read(self.index.live[key][0]).kv if with_previous else None
            self.index.remove(key, position)
            event = Event(change, KeyValue(key, 0, revision, 0, b"", 0), previous)
            self.fresh[position] = event
            events.append(event)
        self.events += events
        return events

    # --- reads ---

    def read(self, position: int) -> Event:
        """The change at a position the index knows."""
        event = self.fresh.get(position)
        return self._backend.read(position) if event is None else event

    def range(self, query: Range) -> RangeDone | Failure:
        """A key or an interval, now or at an earlier revision."""
        if query.revision > self.revision:
            return FUTURE_REVISION
        if 0 < query.revision < self.compact_revision:
            return COMPACTED
        if 0 < query.revision < self.revision:
            return self._range_past(query)
        return self._range_now(query)

    def history(
        self, key: bytes, range_end: bytes, from_revision: int, with_previous: bool
    ) -> tuple[Event, ...]:
        """Every change in an interval from a revision on, in order."""
        if from_revision > self.revision:
            return ()
        events: list[Event] = []
        for position, before in self.index.since(key, range_end, from_revision):
            change, kv, _ = self.read(position)
            previous = self.read(before).kv if with_previous and before is not None else None
            events.append(Event(change, kv, previous))
        return tuple(events)

    def _range_now(self, query: Range) -> RangeDone:
        key, range_end, limit, _, keys_only, count_only = query
        if not (range_end or keys_only or count_only):
            return self._get_now(key)
        count = self.index.count(key, range_end)
        if count_only or not count:
            return RangeDone(self.revision, (), False, count)
        more = 0 < limit < count
        keys: Iterator[bytes] = self.index.keys(key, range_end)
        if more:
            keys = islice(keys, limit)
        live = self.index.live
        if keys_only:
            found = tuple([_without_value(each, live[each]) for each in keys])
        else:
            read = self.read
            found = tuple([read(live[each][0]).kv for each in keys])
        return RangeDone(self.revision, found, more, count)

    def _get_now(self, key: bytes) -> RangeDone:
        """The most frequent read of all: one key, as it is."""
        live = self.index.live.get(key)
        if live is None:
            return RangeDone(self.revision, (), False, 0)
        return RangeDone(self.revision, (self.read(live[0]).kv,), False, 1)

    def _range_past(self, query: Range) -> RangeDone:
        key, range_end, limit, revision, keys_only, count_only = query
        positions = list(self.index.at(key, range_end, revision))
        count = len(positions)
        if count_only:
            return RangeDone(self.revision, (), False, count)
        more = 0 < limit < count
        if more:
            del positions[limit:]
        found = tuple([self.read(position).kv for position in positions])
        if keys_only:
            found = tuple([kv._replace(value=b"") for kv in found])
        return RangeDone(self.revision, found, more, count)


def _without_value(key: bytes, live: Live) -> KeyValue:
    """A keys_only answer: the index alone has it all."""
    position, create_revision, version, lease = live
    return KeyValue(key, create_revision, position >> SUB_BITS, version, b"", lease)
