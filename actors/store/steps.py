"""Long work as a generator of short steps: its caller decides when to go on.

Between two steps the store may change, so no step leaves anything open that a change would break.
Short work ends in its first step. Knows nothing of time.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from heapq import merge
from itertools import islice
from typing import Any, Final, TypeVar

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Work that has a T as its result."""

ITEMS_PER_STEP: Final = 256
"""A step handles at most 256 keys or changes: that takes a fraction of a millisecond."""

SAMPLE_MAX: Final = 2_048
"""Strings are dealt to no more buckets than these, to be sorted."""

BYTES_PER_STEP: Final = 1 << 20
"""A step also ends when it has read 1 MiB."""


def finish(steps: Steps[T]) -> T:
    """Do all of the work now."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def step(steps: Steps[T]) -> T | None:
    """Do one step; returns the result at the last one, and a result is never None."""
    try:
        next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
    return None


def portions(items: Iterable[T]) -> Iterator[list[T]]:
    """All items in order, in lists that one step handles."""
    left = iter(items)
    while portion := list(islice(left, ITEMS_PER_STEP)):
        yield portion


def take_apart(table: dict[Any, Any]) -> Steps[None]:
    """Empty a table that nobody uses any more: to free millions of objects at once takes long."""
    while table:
        for _ in range(min(len(table), ITEMS_PER_STEP)):
            table.popitem()
        yield


def sort(items: list[T], key: Callable[[T], Any]) -> Steps[list[T]]:
    """The items sorted by `key`; those with equal keys keep their order."""
    runs: list[list[T]] = []
    for start in range(0, len(items), ITEMS_PER_STEP):
        runs.append(sorted(items[start : start + ITEMS_PER_STEP], key=key))
        if start + ITEMS_PER_STEP < len(items):
            yield
    return (yield from merge_runs(runs, key))


def in_order(items: Collection[bytes]) -> Steps[list[bytes]]:
    """Many strings sorted; nobody may change the collection meanwhile.

    They are dealt to buckets by bounds from a sample of them, and each bucket is sorted by itself.
    """
    if len(items) <= ITEMS_PER_STEP:
        return sorted(items)
    # Those that come first in a set are as good a sample as any.
    sample = sorted(islice(items, min(SAMPLE_MAX, len(items) // ITEMS_PER_STEP)))
    buckets: list[list[bytes]] = [[] for _ in range(len(sample) + 1)]
    for portion in portions(items):
        for each in portion:
            buckets[bisect(sample, each)].append(each)
        yield
    ordered: list[bytes] = []
    for bucket in buckets:
        ordered += sorted(bucket)
        yield
    return ordered


def merge_runs(
    runs: list[list[T]], key: Callable[[T], Any], items_max: int = 0, *, descending: bool = False
) -> Steps[list[T]]:
    """The items of several sorted runs in order; those with equal keys keep their order.

    With an `items_max` above 0 only that number of items, the first ones.
    """
    if len(runs) == 1 and not 0 < items_max < len(runs[0]):
        return runs[0]
    merged = islice(merge(*runs, key=key, reverse=descending), items_max or None)
    items = list(islice(merged, ITEMS_PER_STEP))
    while part := list(islice(merged, ITEMS_PER_STEP)):
        yield
        items += part
    return items
