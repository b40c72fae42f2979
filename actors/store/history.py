"""The changes of one key, newest first, as far back as the last compaction.

All members answer alike: a change that the compaction has outdated is left out, whether this node
has swept it away yet or not. Knows keys and revisions, nothing of watches.
"""

from __future__ import annotations

from typing import Final

from actors.language.commands import Event
from actors.language.queries import History
from actors.language.results import Failure, HistoryDone
from actors.store.mvcc import COMPACTED, FUTURE_REVISION, RevisionStore
from actors.store.ranges import ANSWER_TOO_LARGE, Budget, BudgetSpentError
from actors.store.steps import ITEMS_PER_STEP, Steps
from actors.store.storage import SUB_BITS

FIRST_CHANGE: Final = 2
"""The revision of the first change of any store: at 1 it is empty."""


def read_history(store: RevisionStore, query: History, now: int) -> Steps[HistoryDone | Failure]:
    """The changes of one key up to a revision; a Failure if that is compacted or after `now`."""
    if query.revision > now:
        return FUTURE_REVISION
    if 0 < query.revision < store.compact_revision:
        return COMPACTED
    # Both at the first step: a later compaction must not change the answer half-way.
    positions, may_be_cut = _visible(store, query, now), _may_be_cut(store)
    limit = max(0, query.limit)
    more = 0 < limit < len(positions)
    if more:
        del positions[limit:]
    events: list[Event] = []
    budget = Budget()
    for start in range(0, len(positions), ITEMS_PER_STEP):
        if start:
            yield
        for position in positions[start : start + ITEMS_PER_STEP]:
            change, kv, _ = store.read(position)
            events.append(Event(change, kv, None))
        try:
            budget.spend(event.kv for event in events[start:])
        except BudgetSpentError:
            return ANSWER_TOO_LARGE
    return HistoryDone(now, tuple(events), more, not more and may_be_cut)


def _visible(store: RevisionStore, query: History, now: int) -> list[int]:
    """The positions of a key's changes, newest first: all since the compacted revision, and the one
    that set the value that the key had then.
    """
    changes = store.index.changes(query.key)
    newest = query.revision if query.revision > 0 else now
    until = (newest + 1) << SUB_BITS
    since = max(0, store.compact_revision) << SUB_BITS
    after = since + (1 << SUB_BITS)
    positions: list[int] = []
    for position, is_there in reversed(changes):
        if position < until and (position >= since or is_there):
            positions.append(position)
        if position < after:
            break
    return positions


def _may_be_cut(store: RevisionStore) -> bool:
    """Whether the key may have had older changes.

    A key that was deleted before the compaction has left no trace. So after any compaction that can
    have removed a change, the answer is yes.
    """
    return store.compact_revision > FIRST_CHANGE
