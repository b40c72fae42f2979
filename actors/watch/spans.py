"""Which spans (single keys, prefixes, intervals, open ends) hold a key.

Watches on different keys or prefixes must not make each other slower: a look-up pays for the spans
that it finds and for the number of different prefix lengths, not for all spans. Knows nothing of
watches or events.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from itertools import accumulate
from typing import Final, Generic, NamedTuple, TypeVar

Value = TypeVar("Value")

OPEN_END: Final = b"\0"
"""The range_end that stands for the end of all keys, as in etcd's requests."""


class Span(NamedTuple):
    """A single key, or the keys in [key, range_end); spelled as in etcd's requests."""

    key: bytes
    range_end: bytes

    @property
    def is_empty(self) -> bool:
        """Whether no key can be in it."""
        return self.range_end not in (b"", OPEN_END) and self.key >= self.range_end


class SpanIndex(Generic[Value]):
    """One value for each span, found by any key in the span."""

    def __init__(self) -> None:
        self._keys: dict[bytes, Value] = {}
        self._prefixes: dict[bytes, Value] = {}
        self._open_ends: _Sorted[Value] = _Sorted()
        self._intervals: _Sorted[Value] = _Sorted()
        # How many prefixes there are of each length, and those lengths in order.
        self._length_counts: Counter[int] = Counter()
        self._lengths: tuple[int, ...] = ()

    def add(self, span: Span, value: Value) -> None:
        """Add a span that was not added, with its value."""
        assert not span.is_empty
        if not span.range_end:
            self._keys[span.key] = value
        elif span.range_end == OPEN_END:
            self._open_ends.add(span, value)
        elif span.range_end == prefix_end(span.key):
            self._prefixes[span.key] = value
            self._count_length(len(span.key), 1)
        else:
            self._intervals.add(span, value)

    def remove(self, span: Span) -> None:
        """Remove a span that was added."""
        if not span.range_end:
            del self._keys[span.key]
        elif span.range_end == OPEN_END:
            self._open_ends.remove(span)
        elif span.range_end == prefix_end(span.key):
            del self._prefixes[span.key]
            self._count_length(len(span.key), -1)
        else:
            self._intervals.remove(span)

    def at(self, key: bytes) -> list[Value]:
        """The values of all spans that hold the key, in an order that depends on the spans only."""
        found = []
        if key in self._keys:
            found.append(self._keys[key])
        for length in self._lengths:
            if length > len(key):
                break
            prefix = key[:length]
            if prefix in self._prefixes:
                found.append(self._prefixes[prefix])
        if self._open_ends.spans:
            found += self._open_ends.starting_until(key)
        if self._intervals.spans:
            found += self._intervals.around(key)
        return found

    def _count_length(self, length: int, change: int) -> None:
        self._length_counts[length] += change
        if self._length_counts[length] in (0, 1):
            self._length_counts += Counter()  # leaves out the zeros
            self._lengths = tuple(sorted(self._length_counts))


class _Sorted(Generic[Value]):
    """Spans in the order of their first keys.

    `_furthest_ends` has for each position the largest range_end up to there; made when needed.
    """

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self._values: list[Value] = []
        self._furthest_ends: list[bytes] = []

    def add(self, span: Span, value: Value) -> None:
        position = bisect_left(self.spans, span)
        self.spans.insert(position, span)
        self._values.insert(position, value)
        self._furthest_ends.clear()

    def remove(self, span: Span) -> None:
        position = bisect_left(self.spans, span)
        assert self.spans[position] == span
        del self.spans[position], self._values[position]
        self._furthest_ends.clear()

    def starting_until(self, key: bytes) -> list[Value]:
        """The values of spans that begin at the key or before it."""
        return self._values[: self._starts_until(key)]

    def around(self, key: bytes) -> list[Value]:
        """The values of spans that hold the key; each of these spans has an end."""
        if not self._furthest_ends:
            self._furthest_ends = list(accumulate((span.range_end for span in self.spans), max))
        found = []
        position = self._starts_until(key) - 1
        # To the left: once no span up to a position reaches the key, none before it does either.
        while position >= 0 and self._furthest_ends[position] > key:
            if self.spans[position].range_end > key:
                found.append(self._values[position])
            position -= 1
        found.reverse()
        return found

    def _starts_until(self, key: bytes) -> int:
        return bisect_right(self.spans, key, key=lambda span: span.key)


def prefix_end(prefix: bytes) -> bytes:
    """The range_end of all keys with this prefix, as etcd's clients make it."""
    head = prefix.rstrip(b"\xff")
    return head[:-1] + bytes((head[-1] + 1,)) if head else OPEN_END
