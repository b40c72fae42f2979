"""What a watch that is behind has missed, a portion at a time.

A portion's size is bounded, whatever the store holds. It ends between two revisions, so only a
single revision above the bounds makes it larger; then it is read in slices, between turns. A few
keys are looked up, each in its own past; for more keys it goes through all changes in order. When
to read is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import merge
from itertools import islice
from typing import Final

from actors.language.commands import Event
from actors.language.messages import HistoryPortion, ReadHistory
from actors.store.index import end_of
from actors.store.mvcc import RevisionStore
from actors.store.steps import ITEMS_PER_STEP, Steps, step
from actors.store.storage import SUB_BITS

PORTION_EVENTS_MAX: Final = 500
PORTION_BYTES_MAX: Final = 512 * 1024
PORTION_ROWS_MAX: Final = 2_048
"""A portion ends with the revision in which it reaches 500 events, 512 KiB, or 2,048 changes that
were looked at."""

ROWS_AT_ONCE: Final = 512
"""How many changes are read from the backend at once."""

KEYS_MAX: Final = 1_000
"""Up to 1,000 keys are looked up one by one, if there are 1,000 revisions or more to go through."""

BACKLOG_SLICE_MS: Final = 2
BACKLOG_STEPS_MAX: Final = 64
"""After 2 ms, or 64 steps, others have their turn: one revision may have deleted a million keys."""

Spans = tuple[tuple[bytes, bytes], ...]
"""Intervals as (key, range_end) of requests; an empty tuple stands for all keys."""

Portion = tuple[int, tuple[Event, ...]]
"""The revision that a portion reaches, and its events."""


class Backlog:
    """The portion that Watch has asked for and not got yet; Watch asks for one at a time."""

    def __init__(self) -> None:
        self._asked: ReadHistory | None = None
        self._store: RevisionStore | None = None
        self._steps: Steps[Portion] | None = None

    def __bool__(self) -> bool:
        """Whether `work` has something to do."""
        return self._asked is not None

    def begin(self, asked: ReadHistory) -> None:
        """Watch asks for a portion."""
        assert self._asked is None, "one portion at a time"
        self._asked, self._steps = asked, None

    def work(
        self,
        store: RevisionStore,
        clock: Callable[[], int],
        tell: Callable[[HistoryPortion], None],
    ) -> None:
        """Do a slice of the work on this store, and tell Watch the answer when it is done.

        Once that reaches the present revision, the watch goes on live.
        """
        if self._asked is None:
            return
        from_revision, spans, with_previous = self._asked
        if from_revision < store.compact_revision:
            self._end()
            tell(HistoryPortion(from_revision, 0, store.revision, (), store.compact_revision))
            return
        # After a snapshot it is another store: what was read of the old one may be gone.
        if self._steps is None or store is not self._store:
            self._store = store
            self._steps = portion(store, from_revision, spans, with_previous)
        until_ms = clock() + BACKLOG_SLICE_MS
        for _ in range(BACKLOG_STEPS_MAX):
            found = step(self._steps)
            if found is not None:
                self._end()
                tell(HistoryPortion(from_revision, found[0], store.revision, found[1]))
                return
            if clock() >= until_ms:
                return

    def _end(self) -> None:
        self._asked = self._steps = self._store = None


def portion(
    store: RevisionStore, from_revision: int, spans: Spans, with_previous: bool
) -> Steps[Portion]:
    """The revision that a portion reaches, and the events in these spans until then, in order.

    It begins at `from_revision`, which must not be before the compacted one, now and at each step.
    The last portion reaches the revision that the store had at its first step.
    """
    assert from_revision >= store.compact_revision, "what is compacted cannot be read"
    until = store.revision
    keys = _few_keys(store, from_revision, spans)
    if keys is None:
        changes = _gone_through(store, from_revision, spans)
    else:
        past = [store.index.positions_since(key, from_revision) for key in keys]
        changes = ((position, True) for position in merge(*past))
    events: list[Event] = []
    size = current = 0
    for seen, (position, is_wanted) in enumerate(changes):
        # A few keys have not many changes within one revision. Nor may other steps come between:
        # their positions are read from the index as it is.
        if keys is None and seen and not seen % ITEMS_PER_STEP:
            yield
        revision = position >> SUB_BITS
        # Only between two revisions: a watch is told the events of one revision together.
        if revision != current:
            if revision > until:
                break
            if (
                len(events) >= PORTION_EVENTS_MAX
                or size >= PORTION_BYTES_MAX
                or seen >= PORTION_ROWS_MAX
            ):
                return revision - 1, tuple(events)
            current = revision
        if is_wanted:
            event = store.event(position, with_previous)
            events.append(event)
            size += len(event.kv.key) + len(event.kv.value)
            if event.prev_kv is not None:
                size += len(event.prev_kv.value)
    return until, tuple(events)


def _few_keys(store: RevisionStore, from_revision: int, spans: Spans) -> set[bytes] | None:
    """The keys that these spans have, or ever had; None if going through all is cheaper."""
    if not spans:
        return None
    # Single keys: there are no more of them than spans, and Watch asks for a few spans at most.
    if all(not range_end for _, range_end in spans):
        return {key for key, _ in spans}
    if store.revision - from_revision < KEYS_MAX:
        return None
    keys: set[bytes] = set()
    for key, range_end in spans:
        ever = store.index.ever_between(key, end_of(key, range_end), descending=False)
        few = list(islice(ever, KEYS_MAX + 1))  # an interval may have millions
        keys.update(few)
        if max(len(few), len(keys)) > KEYS_MAX:
            return None
    return keys


def _gone_through(
    store: RevisionStore, from_revision: int, spans: Spans
) -> Iterator[tuple[int, bool]]:
    """The position of every change from a revision on, and whether it lies in these spans."""
    bounds = [(key, end_of(key, range_end)) for key, range_end in spans]

    def is_wanted(key: bytes) -> bool:
        return not bounds or any(
            low <= key and (high is None or key < high) for low, high in bounds
        )

    # First the committed changes, then those that the backend lacks, which all come after them. A
    # commit may end meanwhile.
    start = from_revision << SUB_BITS
    while start < (end := store.kept_from):
        rows = store.backend.rows(start, end, ROWS_AT_ONCE)
        for row in rows:
            yield row[0], is_wanted(row[2])
        start = rows[-1][0] + 1 if len(rows) == ROWS_AT_ONCE else end
    for position, event in store.kept(start):
        yield position, is_wanted(event.kv.key)
