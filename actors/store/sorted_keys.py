"""A sorted set of keys, in chunks: one key, or a whole run of keys, comes or goes at once.

A run takes far less time than its keys one by one would: it is merged into a chunk, or cut out of
one, as a whole. It knows nothing of what the keys are for.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from itertools import chain
from typing import Final

CHUNK_KEYS: Final = 1_000
"""A chunk with more than twice this number of keys is cut into chunks of this number; one with less
than half of it is merged with its neighbour."""


class SortedKeys:
    """Keys in order, each once."""

    def __init__(self, chunk_keys: int = CHUNK_KEYS) -> None:
        self._chunk_keys = chunk_keys
        # No chunk is empty. By the last key of each the right one is found.
        self._chunks: list[list[bytes]] = []
        self._lasts: list[bytes] = []

    def __iter__(self) -> Iterator[bytes]:
        return chain.from_iterable(self._chunks)

    def add(self, key: bytes) -> None:
        """Add a key that is not there."""
        chunks, lasts = self._chunks, self._lasts
        at = bisect_left(lasts, key)
        if at < len(lasts):
            chunk = chunks[at]
            insort(chunk, key)
        elif chunks:
            at -= 1
            chunk = chunks[at]
            chunk.append(key)
            lasts[at] = key
        else:
            chunks.append([key])
            lasts.append(key)
            return
        if len(chunk) > 2 * self._chunk_keys:
            self._cut(at)

    def remove(self, key: bytes) -> None:
        """Remove a key that is there."""
        at = bisect_left(self._lasts, key)
        chunk = self._chunks[at]
        place = bisect_left(chunk, key)
        assert chunk[place] == key, "only what is there is removed"
        del chunk[place]
        self._shrunk(at)

    def add_run(self, keys: list[bytes]) -> None:
        """Add keys that are not there, in order."""
        chunks, lasts = self._chunks, self._lasts
        if keys and not chunks:
            chunks.append([])
            lasts.append(keys[-1])
        start = 0
        while start < len(keys):
            at = min(bisect_left(lasts, keys[start]), len(lasts) - 1)
            is_last = at == len(lasts) - 1
            stop = len(keys) if is_last else bisect_left(keys, lasts[at], start)
            chunk = chunks[at]
            is_behind = not chunk or chunk[-1] < keys[start]
            chunk += keys[start:stop]
            if not is_behind:
                chunk.sort()  # two sorted runs: they are merged
            lasts[at] = chunk[-1]
            if len(chunk) > 2 * self._chunk_keys:
                self._cut(at)
            start = stop

    def remove_run(self, keys: list[bytes]) -> None:
        """Remove keys that are there, in order."""
        start = 0
        while start < len(keys):
            at = bisect_left(self._lasts, keys[start])
            chunk = self._chunks[at]
            stop = bisect_right(keys, self._lasts[at], start)
            low, high = bisect_left(chunk, keys[start]), bisect_right(chunk, keys[stop - 1])
            kept: list[bytes] = []
            if high - low > stop - start:
                leaving = set(keys[start:stop])
                kept = [key for key in chunk[low:high] if key not in leaving]
            assert high - low - len(kept) == stop - start, "only what is there is removed"
            chunk[low:high] = kept
            self._shrunk(at)
            start = stop

    def clear(self) -> None:
        """Remove all keys."""
        self._chunks.clear()
        self._lasts.clear()

    def between(self, low: bytes, high: bytes | None, *, descending: bool) -> Iterator[bytes]:
        """The keys in [low, high), a `high` of None is the end of all keys; no change meanwhile."""
        return chain.from_iterable(self._pieces(low, high, descending=descending))

    def count(self, low: bytes, high: bytes | None) -> int:
        """How many keys are in [low, high); `high` as for `between`."""
        (first, start), (last, stop) = self._place(low), self._end(high)
        if first >= last:
            return max(0, stop - start) if first == last else 0
        return sum(map(len, self._chunks[first:last])) - start + stop

    def _pieces(
        self, low: bytes, high: bytes | None, *, descending: bool
    ) -> Iterator[Iterator[bytes]]:
        (first, start), (last, stop) = self._place(low), self._end(high)
        places = range(first, min(last + 1, len(self._chunks)))
        for at in reversed(places) if descending else places:
            chunk = self._chunks[at]
            part = range(start if at == first else 0, stop if at == last else len(chunk))
            yield map(chunk.__getitem__, reversed(part) if descending else part)

    def _place(self, key: bytes) -> tuple[int, int]:
        """The chunk and the place in it of the first key that is not less."""
        at = bisect_left(self._lasts, key)
        return at, bisect_left(self._chunks[at], key) if at < len(self._chunks) else 0

    def _end(self, high: bytes | None) -> tuple[int, int]:
        return (len(self._chunks), 0) if high is None else self._place(high)

    def _shrunk(self, at: int) -> None:
        """A chunk has lost keys: it may be too small now."""
        chunks, lasts = self._chunks, self._lasts
        chunk = chunks[at]
        if 2 * len(chunk) >= self._chunk_keys:
            lasts[at] = chunk[-1]
        elif len(chunks) > 1:
            at = max(0, at - 1)
            chunks[at] += chunks.pop(at + 1)
            del lasts[at]
            lasts[at] = chunks[at][-1]
            if len(chunks[at]) > 2 * self._chunk_keys:
                self._cut(at)
        elif chunk:
            lasts[at] = chunk[-1]
        else:
            self.clear()

    def _cut(self, at: int) -> None:
        """Cut a chunk that has become too large."""
        chunk, size = self._chunks[at], self._chunk_keys
        cut = [chunk[start : start + size] for start in range(0, len(chunk), size)]
        self._chunks[at : at + 1] = cut
        self._lasts[at : at + 1] = [each[-1] for each in cut]
