"""Deletions of very many keys that the index has not worked off: they count, all the same.

Such a deletion takes its keys out of the order at once. What the index has of each of them is as it
was before: it is *settled*, that is brought up to date, when somebody asks for the key, and all
others in portions, when the caller has time. So nobody sees how far that is. A key put again
meanwhile is settled first. What a lease loses is told to whoever began the deletion.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping
from typing import NamedTuple

from actors.store.deletion import Deletion
from actors.store.key_order import KeyOrder

Live = tuple[int, int, int, int]
"""A key that exists: position, create_revision, version, lease.

A bare tuple, since every put makes one and the store keeps one for each key: the garbage collector
stops tracking bare tuples of numbers, and so never walks through millions of them.
"""

Leave = Callable[[bytes, int], None]
"""A key has left its lease."""


class KeySpan(NamedTuple):
    """The keys in [low, high); a `high` of None is the end of all keys."""

    low: bytes
    high: bytes | None


class _Unsettled:
    """One deletion: its keys before `settled` are settled, and in order among those gone.

    `taken` are others that are not to be put there: they exist again, or are forgotten.
    """

    __slots__ = ("deletion", "interval", "leave", "settled", "taken")

    def __init__(self, deletion: Deletion, interval: KeySpan, leave: Leave) -> None:
        self.deletion = deletion
        self.interval = interval
        self.leave = leave
        self.settled = 0
        self.taken: set[bytes] = set()

    def has_ended(self, key: bytes, live: Live) -> bool:
        """Whether what the index has of a key was deleted by this."""
        low, high = self.interval
        return live[0] < self.deletion.first and low <= key and (high is None or key < high)

    def maybe_take(self, key: bytes) -> bool:
        """Whether the key would have been put among those gone; it will not be."""
        keys = self.deletion.keys
        at = bisect_left(keys, key, self.settled)
        if at == len(keys) or keys[at] != key or key in self.taken:
            return False
        self.taken.add(key)
        return True

    def between(self, low: bytes, high: bytes | None, *, descending: bool) -> Iterator[bytes]:
        """The keys of an interval that will be put among those gone."""
        keys, taken = self.deletion.keys, self.taken
        start = bisect_left(keys, low, self.settled)
        stop = len(keys) if high is None else bisect_left(keys, high)
        places = range(stop - 1, start - 1, -1) if descending else range(start, stop)
        return (keys[at] for at in places if keys[at] not in taken)


class LateKeys(MutableMapping[bytes, Live]):
    """The keys that exist now, in the place of the `live` that has others, too.

    The key index, which owns the four tables, puts a key only after it has asked for it here.
    """

    def __init__(
        self,
        live: dict[bytes, Live],
        past: dict[bytes, list[int]],
        order: KeyOrder,
        gone: KeyOrder,
    ) -> None:
        self._live = live
        self._past = past
        self._order = order
        self._gone = gone
        # The first one first; a key that several have deleted was put, and so settled, between.
        self._deletions: deque[_Unsettled] = deque()

    # --- a table of those that exist ---

    def __getitem__(self, key: bytes) -> Live:
        live = self._live[key]
        for each in self._deletions:
            if each.has_ended(key, live):
                self._settle(each, key, live, each.deletion.position_of(key))
                raise KeyError(key)
        return live

    def __setitem__(self, key: bytes, live: Live) -> None:
        self._live[key] = live

    def __delitem__(self, key: bytes) -> None:
        del self._live[key]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._order)

    def __len__(self) -> int:
        return len(self._order)

    # --- deletions ---

    def delete(self, deletion: Deletion, interval: KeySpan, leave: Leave) -> None:
        """These keys, which are all of an interval, were taken out of the order."""
        self._deletions.append(_Unsettled(deletion, interval, leave))

    def settle(self, keys_max: int) -> bool:
        """Settle the next keys; whether all are."""
        each, live = self._deletions[0], self._live
        first, start = each.deletion.first, each.settled
        keys = each.deletion.keys[start : start + keys_max]
        for position, key in enumerate(keys, first + start):
            before = live.get(key)
            if before is not None and before[0] < first:
                self._settle(each, key, before, position)
            if key not in each.taken:
                self._gone.add(key)
        each.settled += len(keys)
        if each.settled == len(each.deletion):
            self._deletions.popleft()
        return not self._deletions

    def _settle(self, each: _Unsettled, key: bytes, before: Live, position: int) -> None:
        del self._live[key]
        marks = before[0] << 1, position << 1 | 1
        past = self._past.get(key)
        if past is None:
            self._past[key] = list(marks)
        else:
            past += marks
        if before[3]:
            each.leave(key, before[3])

    # --- those gone ---

    def maybe_take(self, key: bytes) -> bool:
        """Whether a key that is gone was not put among those; it will not be."""
        return any(each.maybe_take(key) for each in self._deletions)

    def between(self, low: bytes, high: bytes | None, *, descending: bool) -> list[Iterator[bytes]]:
        """The keys of an interval that are gone, and were not put among those."""
        return [each.between(low, high, descending=descending) for each in self._deletions]
