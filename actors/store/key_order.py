"""Keys in their order: a sorted list of which a whole interval can be cut out at once.

sortedcontainers keeps a list of sorted blocks. To delete a slice it goes through all of its items,
or through all others: 20 to 100 ms with a million keys, which everybody would wait for. So this
class works on the blocks, as the library's own subclasses do.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from sortedcontainers import SortedList


class KeyOrder(SortedList):  # type: ignore[misc]  # the library has no types
    """A sorted list of keys."""

    def between(self, low: bytes, high: bytes | None, *, descending: bool) -> Iterator[bytes]:
        """The keys in [low, high); a `high` of None is the end of all keys."""
        found: Iterator[bytes]
        if high is None:
            found = self.irange(low, reverse=descending)
        elif low < high:
            found = self.irange(low, high, inclusive=(True, False), reverse=descending)
        else:
            found = iter(())
        return found

    def cut(self, start: int, stop: int) -> list[bytes]:
        """Remove the keys at places [start, stop), and return them; there is at least one.

        That costs one copy of them, in a few milliseconds for a million, and nothing for the rest.
        """
        lists, maxes = self._lists, self._maxes
        first, before = self._pos(start)
        last, at = self._pos(stop - 1)
        cut: list[bytes] = self[start:stop]
        # What is left of the blocks at the edges may be little: it is joined with its neighbours.
        left = [*lists[first][:before], *lists[last][at + 1 :]]
        low, high = max(0, first - 1), last + 2
        if low < first:
            left = lists[low] + left
        if last + 1 < len(lists):
            left += lists[last + 1]
        blocks = _in_blocks(left, self._load)
        lists[low:high] = blocks
        maxes[low:high] = [block[-1] for block in blocks]
        self._len -= len(cut)
        self._index.clear()
        return cut


def _in_blocks(keys: list[bytes], size: int) -> list[list[bytes]]:
    """The keys in as many blocks as needed, of about equal lengths up to `size`."""
    if not keys:
        return []
    count = -(-len(keys) // size)
    bounds = [len(keys) * each // count for each in range(count + 1)]
    return [keys[start:stop] for start, stop in pairwise(bounds)]
