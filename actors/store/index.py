"""The ordered key index: where each key's value is, now and at any earlier revision.

In memory only, and rebuilt from the backend at start. It knows positions, not values; keys that are
there now are kept apart from keys that only have a past, so that counting an interval costs
two searches however many tombstones lie in it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from heapq import merge

from sortedcontainers import SortedList

from actors.store.storage import SUB_BITS, Row, StorageError

Live = tuple[int, int, int, int]
"""A key that is there: position, create_revision, version, lease.

A bare tuple: one is made by every put, and the garbage collector stops tracking tuples of numbers.
"""

_MARK_BITS = SUB_BITS + 1
"""A mark is `position << 1`, plus 1 for a tombstone; marks sort as positions do."""


class KeyIndex:
    """Every key of the store by name, with its present and its past."""

    def __init__(self) -> None:
        self.live: dict[bytes, Live] = {}
        self._order: SortedList = SortedList()
        # All changes of a key but its live one, oldest first; no entry for a key put only once.
        self._past: dict[bytes, list[int]] = {}
        self._gone: SortedList = SortedList()

    def rebuild(self, rows: Iterable[Row]) -> None:
        """Fill an empty index from every revision in order."""
        assert not self.live, "an index is rebuilt only once"
        live, past = self.live, self._past
        for position, change, key, create_revision, version, lease in rows:
            before = live.get(key)
            if before is not None:
                past.setdefault(key, []).append(before[0] << 1)
            elif change:
                raise StorageError(f"the store deletes {key!r} at {position}, which is not there")
            if change:
                del live[key]
                past[key].append(position << 1 | 1)
            else:
                live[key] = (position, create_revision, version, lease)
        self._order.update(live)
        self._gone.update(key for key in past if key not in live)

    def put(self, key: bytes, before: Live | None, after: Live) -> None:
        """A key has a new value; `before` is what `live` had for it."""
        if before is None:
            self._order.add(key)
            if key in self._past:
                self._gone.remove(key)
        else:
            past = self._past.get(key)
            if past is None:
                self._past[key] = [before[0] << 1]
            else:
                past.append(before[0] << 1)
        self.live[key] = after

    def remove(self, key: bytes, position: int) -> None:
        """A live key is gone since the tombstone at this position."""
        before = self.live.pop(key)
        assert position > before[0], "a tombstone comes after the value it ends"
        self._order.remove(key)
        self._gone.add(key)
        self._past.setdefault(key, []).extend((before[0] << 1, position << 1 | 1))

    def keys(self, key: bytes, range_end: bytes) -> Iterator[bytes]:
        """The keys of an interval that are there now, in order."""
        if not range_end:
            return iter((key,) if key in self.live else ())
        return _between(self._order, key, range_end)

    def count(self, key: bytes, range_end: bytes) -> int:
        """How many keys of an interval are there now."""
        if not range_end:
            return int(key in self.live)
        order = self._order
        start: int = order.bisect_left(key)
        end: int = len(order) if range_end == b"\0" else order.bisect_left(range_end)
        return max(0, end - start)

    def at(self, key: bytes, range_end: bytes, revision: int) -> Iterator[int]:
        """The positions of an interval's values as they were at a revision, in order of keys."""
        for each in self._ever(key, range_end):
            position = self._position_at(each, revision)
            if position is not None:
                yield position

    def since(self, key: bytes, range_end: bytes, revision: int) -> list[tuple[int, int | None]]:
        """All changes in an interval from a revision on: position, and that of the value before."""
        found: list[tuple[int, int | None]] = []
        floor = revision << _MARK_BITS
        for each in self._ever(key, range_end):
            past = self._past.get(each, [])
            live = self.live.get(each)
            marks = past if live is None else [*past, live[0] << 1]
            for at in range(bisect_left(marks, floor), len(marks)):
                before = marks[at - 1] if at else 1
                found.append((marks[at] >> 1, None if before & 1 else before >> 1))
        found.sort()
        return found

    def _ever(self, key: bytes, range_end: bytes) -> Iterator[bytes]:
        """The keys of an interval that are there or once were, in order."""
        if not range_end:
            return iter((key,))
        return merge(_between(self._order, key, range_end), _between(self._gone, key, range_end))

    def _position_at(self, key: bytes, revision: int) -> int | None:
        live = self.live.get(key)
        if live is not None and live[0] >> SUB_BITS <= revision:
            return live[0]
        past = self._past.get(key, [])
        at = bisect_right(past, ((revision + 1) << _MARK_BITS) - 1)
        if at == 0 or past[at - 1] & 1:
            return None
        return past[at - 1] >> 1


def _between(order: SortedList, key: bytes, range_end: bytes) -> Iterator[bytes]:
    """The keys from `key` to before `range_end`; b"\\0" stands for the end of all keys."""
    found: Iterator[bytes]
    if range_end == b"\0":
        found = order.irange(key)
    elif key < range_end:
        found = order.irange(key, range_end, inclusive=(True, False))
    else:
        found = iter(())
    return found
