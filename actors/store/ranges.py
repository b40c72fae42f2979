"""What a range sees: an interval at one revision, filtered, sorted and cut by etcd's rules.

A long range is read in steps (`steps.py`). Each step finds its place again by key, so writes may
come between two steps; the answer does not show them. Knows keys and revisions, not leases or time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from operator import attrgetter
from typing import Any, Final

from actors.language.commands import KeyValue, Range, SortOrder, SortTarget
from actors.language.results import Failure, RangeDone
from actors.store.index import end_of
from actors.store.mvcc import COMPACTED, FUTURE_REVISION, RevisionStore
from actors.store.steps import BYTES_PER_STEP, ITEMS_PER_STEP, Steps, merge_runs
from actors.store.storage import SUB_BITS
from actors.store.unsettled import Live

ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
"""What an answer may take in memory. Encoding it is one step, for which all others must wait."""

KEY_VALUE_BYTES: Final = 100
"""Counted for each key in addition to the bytes of the key and its value."""

ANSWER_TOO_LARGE: Final = Failure("AnswerTooLarge")

_new: Final = tuple.__new__

_SORT_KEYS: Final[dict[SortTarget, Callable[[KeyValue], Any]]] = {
    SortTarget.KEY: attrgetter("key"),
    SortTarget.VERSION: attrgetter("version"),
    SortTarget.CREATE: attrgetter("create_revision"),
    SortTarget.MOD: attrgetter("mod_revision"),
    SortTarget.VALUE: attrgetter("value"),
}


class BudgetSpentError(Exception):
    """An answer would take more than ANSWER_BYTES_MAX."""


class Budget:
    """How many bytes one answer, in all of its parts, may still gather."""

    def __init__(self) -> None:
        self._bytes = ANSWER_BYTES_MAX

    def spend(self, kvs: Iterable[KeyValue]) -> None:
        """Count key-values that the answer keeps; BudgetSpentError if the budget is used up."""
        self._bytes -= sum([len(kv.key) + len(kv.value) + KEY_VALUE_BYTES for kv in kvs])
        if self._bytes < 0:
            raise BudgetSpentError


class Cursor:
    """A place in an interval at one `revision`; writes may come between two reads."""

    def __init__(
        self,
        store: RevisionStore,
        key: bytes,
        range_end: bytes,
        revision: int,
        *,
        descending: bool = False,
    ) -> None:
        self.is_done = False
        self._store = store
        # What is left to read: [low, high). Keys, not iterators: a write would break an iterator.
        self._low = key
        self._high = end_of(key, range_end)
        self.revision = revision
        self._descending = descending

    def read(self, found_max: int, *, with_values: bool) -> list[KeyValue]:
        """The next key-values, at most `found_max`.

        They may be fewer, even none, before the end: only `is_done` says that nothing is left.
        """
        store, live = self._store, self._store.index.live
        if store.revision == self.revision:
            keys = self._next_keys(found_max)
            if not with_values:
                return [without_value(key, live[key]) for key in keys]
            positions = [live[key][0] for key in keys]
        else:
            keys, positions = self._next_of_the_past(found_max)
        found = store.key_values(positions, BYTES_PER_STEP)
        # Large values end a step early: the next one reads the rest of these keys.
        if len(found) < len(positions):
            self._stop_at(keys[len(found) - 1])
        return found if with_values else [kv._replace(value=b"") for kv in found]

    def _next_of_the_past(self, found_max: int) -> tuple[list[bytes], list[int]]:
        """The next keys that existed at the revision, and the positions of their values."""
        position_at, revision = self._store.index.position_at, self.revision
        keys: list[bytes] = []
        positions: list[int] = []
        candidates = self._next_keys()
        for key in candidates:
            position = position_at(key, revision)
            if position is not None:
                keys.append(key)
                positions.append(position)
                # Candidates behind this key were passed already, and must be looked at again.
                if len(keys) == found_max and key is not candidates[-1]:
                    self._stop_at(key)
                    break
        return keys, positions

    def count(self) -> int:
        """How many of the next keys exist at the revision."""
        position_at, revision = self._store.index.position_at, self.revision
        return sum([position_at(key, revision) is not None for key in self._next_keys()])

    def _next_keys(self, keys_max: int = ITEMS_PER_STEP) -> list[bytes]:
        """The next keys, and move beyond them.

        They exist now if the cursor's revision is the present one; else they exist, or once did.
        """
        index = self._store.index
        choose = index.between if self._store.revision == self.revision else index.ever_between
        keys_max = min(keys_max, ITEMS_PER_STEP)
        keys = list(islice(choose(self._low, self._high, descending=self._descending), keys_max))
        if len(keys) < keys_max:
            self.is_done = True
        else:
            self._stop_at(keys[-1])
        return keys

    def _stop_at(self, key: bytes) -> None:
        """Go on behind this key, one of those that `_next_keys` has given."""
        self.is_done = False
        if self._descending:
            self._high = key
        else:
            self._low = key + b"\0"


def get(store: RevisionStore, key: bytes) -> RangeDone:
    """The short way for the most frequent read: one key as it is now."""
    live = store.index.live.get(key)
    if live is None:
        return RangeDone(store.revision, (), False, 0)
    # The hot path: tuple.__new__ spares what a NamedTuple's constructor costs.
    return _new(RangeDone, (store.revision, (store.read(live[0]).kv,), False, 1))


def read_range(
    store: RevisionStore, query: Range, now: int, *, counts: bool = True
) -> Steps[RangeDone | Failure]:
    """Answer a range at the present revision `now`; without `counts` no keys are counted."""
    if query.revision > now:
        return FUTURE_REVISION
    if 0 < query.revision < store.compact_revision:
        return COMPACTED
    try:
        return (yield from read_interval(store, query, now, Budget(), counts=counts))
    except BudgetSpentError:
        return ANSWER_TOO_LARGE


def read_interval(
    store: RevisionStore,
    query: Range,
    now: int,
    budget: Budget | None = None,
    *,
    counts: bool = True,
) -> Steps[RangeDone]:
    """Answer a range whose revision can be read; `now` is the present revision.

    Raises BudgetSpentError when it gathers more than the budget has. There is no limit without a
    budget, as in a transaction that writes: what it reads must not stop it half-way.
    """
    revision = query.revision if 0 < query.revision < now else now
    count = 0
    # Before the keys are read, as of the same revision; an empty interval ends here.
    if counts or query.count_only:
        count = yield from count_keys(store, query.key, query.range_end, revision)
        if query.count_only or not count:
            return RangeDone(now, (), False, count)
    if query.sort_target is SortTarget.KEY:
        kvs, more = yield from _read_in_order(store, query, revision, budget)
    else:
        kvs, more = yield from _read_sorted(store, query, revision, budget)
    return RangeDone(now, tuple(kvs), more, count)


def count_keys(store: RevisionStore, key: bytes, range_end: bytes, revision: int) -> Steps[int]:
    """How many keys of an interval exist at a revision."""
    if store.revision == revision:
        return store.index.count(key, range_end)
    cursor = Cursor(store, key, range_end, revision)
    count = cursor.count()
    while not cursor.is_done:
        yield
        count += cursor.count()
    return count


def _read_in_order(
    store: RevisionStore, query: Range, revision: int, budget: Budget | None
) -> Steps[tuple[list[KeyValue], bool]]:
    """Read in the order of keys; reading ends with the first key over the limit."""
    limit = max(0, query.limit)
    descending = query.sort_order is SortOrder.DESCEND
    cursor = Cursor(store, query.key, query.range_end, revision, descending=descending)
    kvs: list[KeyValue] = []
    has_filter = _has_filter(query)
    while True:
        # One more than the limit shows whether there are more. A filter may drop any of them.
        wanted = limit + 1 - len(kvs) if limit and not has_filter else ITEMS_PER_STEP
        found = _filtered(query, cursor.read(wanted, with_values=not query.keys_only))
        if budget is not None:
            budget.spend(found)
        kvs += found
        if cursor.is_done or 0 < limit < len(kvs):
            break
        yield
    if not 0 < limit < len(kvs):
        return kvs, False
    return kvs[:limit], True


def _read_sorted(
    store: RevisionStore, query: Range, revision: int, budget: Budget | None
) -> Steps[tuple[list[KeyValue], bool]]:
    """Read in another order than that of keys: all are read, sorted in runs, and merged."""
    limit = max(0, query.limit)
    by = _SORT_KEYS[query.sort_target]
    descending = query.sort_order is SortOrder.DESCEND
    # etcd's quirk: without a sort order the limit cuts by key, before the sort.
    keys_left = limit + 1 if limit and not query.sort_order and not _has_filter(query) else None
    needs_value = not query.keys_only or query.sort_target is SortTarget.VALUE
    cursor = Cursor(store, query.key, query.range_end, revision)
    runs: list[list[KeyValue]] = []
    count = 0
    while not cursor.is_done and keys_left != 0:
        found = cursor.read(keys_left or ITEMS_PER_STEP, with_values=needs_value)
        if keys_left is not None:
            keys_left -= len(found)
        run = sorted(_filtered(query, found), key=by, reverse=descending)
        count += len(run)
        # No answer needs more of one run than the limit: the rest need not be kept.
        runs.append(run[:limit] if limit else run)
        if budget is not None:
            budget.spend(runs[-1])
        if not cursor.is_done:
            yield
    kvs = yield from merge_runs(runs, by, limit, descending=descending)
    for start in range(0, len(kvs) if query.keys_only and needs_value else 0, ITEMS_PER_STEP):
        part = slice(start, start + ITEMS_PER_STEP)
        kvs[part] = [kv._replace(value=b"") for kv in kvs[part]]
        yield
    return kvs, 0 < limit < count


def _has_filter(query: Range) -> bool:
    """Whether the range asks only for keys within bounds of their revisions."""
    return bool(
        query.min_mod_revision
        or query.max_mod_revision
        or query.min_create_revision
        or query.max_create_revision
    )


def _filtered(query: Range, kvs: list[KeyValue]) -> list[KeyValue]:
    """The key-values within the range's bounds of revisions; a bound of 0 is no bound."""
    if most := query.max_mod_revision:
        kvs = [kv for kv in kvs if kv.mod_revision <= most]
    if least := query.min_mod_revision:
        kvs = [kv for kv in kvs if kv.mod_revision >= least]
    if most := query.max_create_revision:
        kvs = [kv for kv in kvs if kv.create_revision <= most]
    if least := query.min_create_revision:
        kvs = [kv for kv in kvs if kv.create_revision >= least]
    return kvs


def without_value(key: bytes, live: Live) -> KeyValue:
    """The key-value of a keys_only answer: the index has all of it, no value is read."""
    position, create_revision, version, lease = live
    return KeyValue(key, create_revision, position >> SUB_BITS, version, b"", lease)
