"""Long work as a generator that stops again and again: whoever runs it decides when to go on.

Between two steps the store may change, so a step leaves nothing open that a change would break.
Short work ends in its first step. Knows nothing of time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from heapq import merge
from itertools import islice
from typing import Any, Final, TypeVar

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Work that ends with a T."""

ITEMS_PER_STEP: Final = 256
"""So many keys, changes or the like are handled in one step: a fraction of a millisecond."""

BYTES_PER_STEP: Final = 1 << 20
"""A step ends, too, when it has read so many bytes."""


def finish(steps: Steps[T]) -> T:
    """Do all of the work now."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def sort(items: list[T], key: Callable[[T], Any]) -> Steps[list[T]]:
    """The items in order."""
    runs: list[list[T]] = []
    for start in range(0, len(items), ITEMS_PER_STEP):
        runs.append(sorted(items[start : start + ITEMS_PER_STEP], key=key))
        if start + ITEMS_PER_STEP < len(items):
            yield
    return (yield from merge_runs(runs, key))


def merge_runs(
    runs: list[list[T]], key: Callable[[T], Any], items_max: int = 0, *, descending: bool = False
) -> Steps[list[T]]:
    """The items of all runs, each of which is in order; equal ones stay as they stand.

    With an `items_max` only the first so many.
    """
    if len(runs) == 1 and not 0 < items_max < len(runs[0]):
        return runs[0]
    merged = islice(merge(*runs, key=key, reverse=descending), items_max or None)
    items = list(islice(merged, ITEMS_PER_STEP))
    while part := list(islice(merged, ITEMS_PER_STEP)):
        yield
        items += part
    return items
