"""When a node sweeps, how much at a time, which compactions wait for that, and when to propose one.

It decides and counts. The sweeper that it is given does the work; its caller sends the answers and
commits. Times are milliseconds of the caller's clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.language.commands import Compact
from actors.language.results import Done, Result
from actors.store.mvcc import RevisionStore
from actors.store.retention import HistoryRetention
from actors.store.sweeper import Sweeper

SWEPT_PER_EVENT: Final = 4
"""Each new change sweeps four outdated ones: so the sweep is faster than the writes."""

SWEPT_AT_ONCE_MAX: Final = 10_000
"""Of a large batch of changes, no more are swept at once: everything else waits meanwhile."""

PORTION_MS: Final = 3
PORTION_MIN: Final = 64
PORTION_MAX: Final = 4_096
"""In idle time a portion is what can be swept in 3 ms: at least 64 changes and at most 4,096."""

REMOVED_MAX: Final = 20_000
"""After 20,000 removals that no commit has taken yet, the sweep waits until one takes them."""

SWEEP_PAUSE_MS: Final = 3
"""The pause between two portions, for everything else on this thread."""

SETTLE_MS: Final = 30_000
"""After 30 s outdated changes are removed even if they are few."""


class Compactor:
    """The timing of one node's compactions; with a `retention` it proposes some while it leads."""

    def __init__(self, retention: HistoryRetention | None) -> None:
        self.leads = False
        self._retention = retention
        self._look_at_ms = 0
        self._portion = PORTION_MIN
        self._settle_at_ms: int | None = None
        # Physical compactions, whose clients wait for the sweep: revision, ticket and answer.
        self._owed: list[tuple[int, int, Result]] = []

    def owe(self, sweeper: Sweeper, command: Compact, ticket: int, result: Result) -> bool:
        """Whether the answer to a compaction must wait for the sweep; then `take_done` gives it."""
        if not command.physical or not isinstance(result, Done):
            return False
        self._owed.append((command.revision, ticket, result))
        sweeper.hurry()
        return True

    def is_awaited(self) -> bool:
        """Whether a client waits for the end of a sweep."""
        return bool(self._owed)

    def take_done(self, swept: int) -> tuple[tuple[int, Result], ...]:
        """Tickets and answers of the compactions that are done by a durable sweep to `swept`."""
        # Below, not at: before `swept` nothing outdated is left.
        done = tuple([(ticket, result) for at, ticket, result in self._owed if at < swept])
        self._owed = [owed for owed in self._owed if owed[0] >= swept]
        return done

    # --- sweeping ---

    def keep_pace(self, sweeper: Sweeper, events: int) -> None:
        """Sweep in proportion to the changes that were just written."""
        if events and sweeper.is_due and sweeper.removed < REMOVED_MAX:
            sweeper.work(min(SWEPT_PER_EVENT * events, SWEPT_AT_ONCE_MAX))

    def use_time(self, sweeper: Sweeper, clock: Callable[[], int]) -> None:
        """Sweep one portion; the time it takes makes the next one larger or smaller."""
        began_ms = clock()
        # Few outdated changes have waited long enough: an idle store ends up without any.
        if self._settle_at_ms is not None and began_ms >= self._settle_at_ms:
            self._settle_at_ms = None
            sweeper.hurry()
        if not sweeper.is_due or sweeper.removed >= REMOVED_MAX:
            return
        sweeper.work(self._portion)
        elapsed_ms = clock() - began_ms
        if elapsed_ms > PORTION_MS:
            self._portion = max(PORTION_MIN, self._portion // 2)
        elif 2 * elapsed_ms < PORTION_MS:
            self._portion = min(PORTION_MAX, 2 * self._portion)

    # --- compacting unasked ---

    def due(self, store: RevisionStore, now_ms: int) -> int:
        """The revision that this member should propose to compact at, or 0."""
        if self._retention is None or now_ms < self._look_at_ms:
            return 0
        self._look_at_ms = now_ms + self._retention.look_ms
        # Every member asks its retention, so that the next leader knows what was when.
        revision = self._retention.due(now_ms, store.revision, store.compact_revision)
        return revision if self.leads else 0

    def next_wake_ms(self, sweeper: Sweeper, now_ms: int) -> int | None:
        """When there is something to do next, or None."""
        if sweeper.is_due:
            return now_ms + SWEEP_PAUSE_MS
        if sweeper.lingers and self._settle_at_ms is None:
            self._settle_at_ms = now_ms + SETTLE_MS
        times = [] if self._retention is None else [self._look_at_ms]
        if self._settle_at_ms is not None:
            times.append(self._settle_at_ms)
        return min(times, default=None)
