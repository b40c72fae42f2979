"""Sets of keys as merged intervals: whether one holds another takes a search, whatever its size.

A key alone is the interval from it to the next key in order, which is the key and a zero byte.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final, NamedTuple

FROM_KEY: Final = b"\0"
"""The range_end that means every key from `key` on."""

NO_END: Final = None


class KeyInterval(NamedTuple):
    """The keys from `start` up to and without `end`; None: there is no end."""

    start: bytes
    end: bytes | None


def interval_of(key: bytes, range_end: bytes) -> KeyInterval:
    """The keys that etcd's pair of `key` and `range_end` means."""
    if not range_end:
        return KeyInterval(key, key + b"\0")
    if range_end == FROM_KEY:
        return KeyInterval(key, NO_END)
    return KeyInterval(key, range_end)


class KeySet:
    """The union of intervals. Those that touch or overlap are merged, and empty ones left out.

    From `last_start` up to `last_end` is the interval in which `has` found a key last, unless that
    has no end: who asks for each write looks there first, which spares a call.
    """

    def __init__(self, intervals: Iterable[KeyInterval]) -> None:
        self._starts: list[bytes] = []
        self._ends: list[bytes | None] = []
        self.last_start = self.last_end = b""
        for start, end in sorted(intervals, key=lambda each: each.start):
            if end is not None and end <= start:
                continue
            last = self._ends[-1] if self._ends else b""
            if self._ends and (last is None or start <= last):
                if last is not None:
                    self._ends[-1] = None if end is None else max(last, end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def has(self, key: bytes) -> bool:
        """Whether one key is in the set."""
        at = bisect_right(self._starts, key) - 1
        if at < 0:
            return False
        end = self._ends[at]
        if end is None:
            return True
        if key >= end:
            return False
        self.last_start, self.last_end = self._starts[at], end
        return True

    def covers(self, interval: KeyInterval) -> bool:
        """Whether each key of the interval is in the set; of an empty one its start counts, so that
        without any right nothing is covered."""
        start, end = interval
        if end is not None and end <= start:
            end = start + b"\0"
        at = bisect_right(self._starts, start) - 1
        if at < 0:
            return False
        last = self._ends[at]
        return last is None or (end is not None and end <= last)


EVERY_KEY: Final = KeySet([KeyInterval(b"", NO_END)])
NO_KEY: Final = KeySet(())
