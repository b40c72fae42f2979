"""The ordered key index: where each key's value is, now and at any earlier revision.

It is in memory only, and rebuilt from the backend at every start. It knows positions, not values.
Keys that exist now are kept apart from keys that only have a past: so counting an interval costs
two searches, however many tombstones lie in it. Very many keys are deleted at once, and worked off
later (`unsettled.py`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator
from heapq import merge

from actors.language.errors import StorageError
from actors.store.deletion import Deletion
from actors.store.key_order import KeyOrder
from actors.store.steps import Steps, in_order, portions, take_apart
from actors.store.storage import SUB_BITS, Row
from actors.store.unsettled import KeySpan, LateKeys, Leave, Live

_MARK_BITS = SUB_BITS + 1
"""A mark is `position << 1`, plus 1 for a tombstone; marks sort as positions do."""


class KeyIndex:
    """Every key of the store by name, with its present and its past.

    `live` has the keys that exist now; only what deletes and `put` change it. While a deletion is
    not settled, it is `late`.
    """

    def __init__(self) -> None:
        self._live: dict[bytes, Live] = {}
        self.live: dict[bytes, Live] | LateKeys = self._live
        self.late: LateKeys | None = None
        self.is_late = False
        self._order = KeyOrder()
        # All changes of a key but its live one, oldest first; no entry for a key put only once.
        self._past: dict[bytes, list[int]] = {}
        # The keys that have a past and do not exist now.
        self._gone = KeyOrder()

    def rebuild(
        self, rows: Iterable[Row], compact_revision: int, *, at_once: bool = False
    ) -> Steps[None]:
        """Fill an empty index from every change there is, in order; `at_once` takes less time.

        Sweeping removes in order, and a crash may stop it anywhere: so up to the compacted
        revision a tombstone may have outlived the value that it ended. After it that is damage,
        and raises StorageError.
        """
        assert not self.live, "an index is rebuilt only once"
        live, past = self._live, self._past
        portions_left = portions(rows)
        for portion in portions_left:
            for position, change, key, create_revision, version, lease in portion:
                before = live.get(key)
                if before is not None:
                    past.setdefault(key, []).append(before[0] << 1)
                elif change and position >> SUB_BITS <= compact_revision:
                    past.setdefault(key, []).append(position << 1 | 1)
                    continue
                elif change:
                    for _ in portions_left:
                        yield  # a damaged file raises on the way to its end, and says where
                    raise StorageError(
                        f"the store deletes {key!r} at {position}, which is not there"
                    )
                if change:
                    del live[key]
                    past[key].append(position << 1 | 1)
                else:
                    live[key] = (position, create_revision, version, lease)
            yield
        gone: dict[bytes, None] = {}
        for keys in portions(past):
            gone.update(dict.fromkeys([key for key in keys if key not in live]))
            yield
        if at_once:
            self._order.update(live)
            self._gone.update(gone)
        else:
            yield from _fill(self._order, live)
            yield from _fill(self._gone, gone)

    def take_apart(self) -> Steps[None]:
        """Free all that the index holds; nobody uses it any more."""
        self._order.clear()  # frees no key: the tables still have them
        self._gone.clear()
        self.live, self.late, self.is_late = self._live, None, False
        yield from take_apart(self._live)
        yield from take_apart(self._past)

    def put(self, key: bytes, before: Live | None, after: Live) -> None:
        """A key has a new value; `before` is its entry in `live` until now."""
        if before is None:
            self._order.add(key)
            if key in self._past and (self.late is None or not self.late.maybe_take(key)):
                self._gone.remove(key)
        elif key in self._past:
            self._past[key].append(before[0] << 1)
        else:
            self._past[key] = [before[0] << 1]
        self.live[key] = after

    def remove(self, keys: list[bytes], position: int) -> None:
        """Live keys were deleted, by tombstones at this position and those that follow it."""
        pop, past = self.live.pop, self._past
        take, add = self._order.remove, self._gone.add
        mark = position << 1 | 1
        for key in keys:
            before = pop(key)[0] << 1
            assert mark > before, "a tombstone comes after the value it ends"
            take(key)
            add(key)
            if key in past:
                past[key] += (before, mark)
            else:
                past[key] = [before, mark]
            mark += 2

    def remove_late(self, key: bytes, range_end: bytes, position: int, leave: Leave) -> Deletion:
        """All keys of an interval, which has some, were deleted, by tombstones at this position and
        those that follow it; `leave` is told later of those that were on a lease.
        """
        start = self._order.bisect_left(key)
        keys = self._order.cut(start, start + self.count(key, range_end))
        deletion = Deletion(position >> SUB_BITS, position, keys)
        if self.late is None:
            self.live = self.late = LateKeys(self._live, self._past, self._order, self._gone)
            self.is_late = True
        self.late.delete(deletion, KeySpan(key, end_of(key, range_end)), leave)
        return deletion

    def settle(self, keys_max: int) -> None:
        """Work off the next keys of what is late, if anything is."""
        if self.late is not None and self.late.settle(keys_max):
            self.live, self.late, self.is_late = self._live, None, False

    def settle_these(self, keys: Iterable[bytes]) -> None:
        """Work off those of these keys that are late."""
        for key in keys:
            self.live.get(key)

    def keys(self, key: bytes, range_end: bytes) -> Iterator[bytes]:
        """The keys of an interval that exist now, in order."""
        if not range_end:
            return iter((key,) if key in self.live else ())
        return self._order.between(key, end_of(key, range_end), descending=False)

    def count(self, key: bytes, range_end: bytes) -> int:
        """How many keys of an interval exist now."""
        if not range_end:
            return int(key in self.live)
        order = self._order
        start: int = order.bisect_left(key)
        end: int = len(order) if range_end == b"\0" else order.bisect_left(range_end)
        return max(0, end - start)

    def between(self, low: bytes, high: bytes | None, *, descending: bool) -> Iterator[bytes]:
        """The keys in [low, high) that exist now; a `high` of None is the end of all keys."""
        return self._order.between(low, high, descending=descending)

    def ever_between(self, low: bytes, high: bytes | None, *, descending: bool) -> Iterator[bytes]:
        """The keys in [low, high) that exist or once did; `high` as for `between`."""
        late = () if self.late is None else self.late.between(low, high, descending=descending)
        return merge(
            self._order.between(low, high, descending=descending),
            self._gone.between(low, high, descending=descending),
            *late,
            reverse=descending,
        )

    def position_at(self, key: bytes, revision: int) -> int | None:
        """Where a key's value at a revision is; None if the key did not exist then."""
        live = self.live.get(key)
        if live is not None and live[0] >> SUB_BITS <= revision:
            return live[0]
        past = self._past.get(key, [])
        # The last mark of all that this revision or an earlier one may have.
        at = bisect_right(past, ((revision + 1) << _MARK_BITS) - 1)
        if at == 0 or past[at - 1] & 1:
            return None
        return past[at - 1] >> 1

    def changes(self, key: bytes) -> list[tuple[int, bool]]:
        """All changes of a key, oldest first: positions, and whether it existed afterwards."""
        live = self.live.get(key)
        found = [(mark >> 1, not mark & 1) for mark in self._past.get(key, ())]
        return found if live is None else [*found, (live[0], True)]

    def positions_since(self, key: bytes, revision: int) -> Iterator[int]:
        """The positions of a key's changes from a revision on, oldest first."""
        live = self.live.get(key)
        past = self._past.get(key, [])
        for at in range(bisect_left(past, revision << _MARK_BITS), len(past)):
            yield past[at] >> 1
        if live is not None and live[0] >> SUB_BITS >= revision:
            yield live[0]

    def forget(self, key: bytes, position: int, is_outdated: bool) -> list[int]:
        """Drop a key's changes before the one at a position; returns the dropped positions.

        With `is_outdated` a tombstone at the position itself is dropped, too.
        """
        live = self.live.get(key)
        past = self._past.get(key)
        if past is None:  # it was put only once
            return []
        if live is not None and live[0] == position:
            count = len(past)  # the live change is not among them, and comes after all of them
        else:
            count = bisect_left(past, position << 1)
            count += is_outdated and past[count : count + 1] == [position << 1 | 1]
        dropped = [mark >> 1 for mark in past[:count]]
        if count < len(past):
            del past[:count]
            return dropped
        del self._past[key]
        if live is None and (self.late is None or not self.late.maybe_take(key)):
            self._gone.remove(key)
        return dropped


def end_of(key: bytes, range_end: bytes) -> bytes | None:
    """The first key behind an interval, None if it has no end (etcd's rules for `range_end`)."""
    if not range_end:
        return key + b"\0"
    return None if range_end == b"\0" else range_end


def _fill(order: KeyOrder, keys: Collection[bytes]) -> Steps[None]:
    """Put many keys into an empty list."""
    for portion in portions((yield from in_order(keys))):
        for key in portion:
            order.add(key)
        yield
