"""When a node sweeps and how much at a time, whom it owes an answer, and when it compacts unasked.

It decides and keeps count; the sweeper it is handed does the work, and the caller sends and makes
durable. Times are milliseconds of the caller's clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.language.commands import Compact
from actors.language.results import Done, Result
from actors.store.mvcc import RevisionStore
from actors.store.retention import Retention
from actors.store.sweeper import Sweeper

SWEPT_PER_EVENT: Final = 4
"""While writes come, so many changes are swept for each new one: so the sweep gets ahead."""

SWEPT_AT_ONCE_MAX: Final = 10_000

PORTION_MS: Final = 3
PORTION_MIN: Final = 64
PORTION_MAX: Final = 4_096
"""When there is time it sweeps as many changes as take so long, but no fewer and no more."""

PAUSE_MS: Final = 3
"""Between two portions, for others."""

SETTLE_MS: Final = 30_000
"""What is outdated is gone from the disk by then, even if it is too little to be worth it."""


class Compactor:
    """The timing of one node's compactions. With a `retention` it compacts while it `leads`."""

    def __init__(self, retention: Retention | None) -> None:
        self.leads = False
        self._retention = retention
        self._look_at_ms = 0
        self._portion = PORTION_MIN
        self._settle_at_ms: int | None = None
        # Compactions to be answered when nothing is left of what they have outdated: revisions.
        self._owed: list[tuple[int, int, Result]] = []

    def owe(self, sweeper: Sweeper, command: Compact, ticket: int, result: Result) -> bool:
        """Whether the answer to a compaction has to wait; `take_done` has it then, some day."""
        if not command.physical or not isinstance(result, Done):
            return False
        self._owed.append((command.revision, ticket, result))
        sweeper.hurry()
        return True

    def is_awaited(self) -> bool:
        """Whether somebody waits for the end of a sweep."""
        return bool(self._owed)

    def take_done(self, sweeper: Sweeper) -> tuple[tuple[int, Result], ...]:
        """Tickets and answers of those who need not wait any more; what was swept is durable."""
        swept = sweeper.swept_revision
        done = tuple([(ticket, result) for at, ticket, result in self._owed if at < swept])
        self._owed = [owed for owed in self._owed if owed[0] >= swept]
        return done

    # --- sweeping ---

    def keep_pace(self, sweeper: Sweeper, events: int) -> None:
        """Sweep in proportion to what was just written."""
        if events and sweeper.is_due:
            sweeper.work(min(SWEPT_PER_EVENT * events, SWEPT_AT_ONCE_MAX))

    def use_time(self, sweeper: Sweeper, clock: Callable[[], int]) -> None:
        """Sweep one portion, as large as the last one has shown that it may be."""
        began_ms = clock()
        if self._settle_at_ms is not None and began_ms >= self._settle_at_ms:
            self._settle_at_ms = None
            sweeper.hurry()
        if not sweeper.is_due:
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
        # Asked on every member: whoever leads next goes on with what it has seen.
        revision = self._retention.due(now_ms, store.revision, store.compact_revision)
        return revision if self.leads else 0

    def next_wake_ms(self, sweeper: Sweeper, now_ms: int) -> int | None:
        """When there is something to do."""
        if sweeper.is_due:
            return now_ms + PAUSE_MS
        if sweeper.lingers and self._settle_at_ms is None:
            self._settle_at_ms = now_ms + SETTLE_MS
        times = [] if self._retention is None else [self._look_at_ms]
        if self._settle_at_ms is not None:
            times.append(self._settle_at_ms)
        return min(times, default=None)
