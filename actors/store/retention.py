"""How much history is kept when nobody compacts by hand: a number of revisions, or a time.

Every member asks regularly, so that the next leader knows what was when; only the leader proposes
the answer. A lost proposal is made again, since only the store's own compact revision shows that it
was done. Times are milliseconds of a clock that only goes forward.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

REVISIONS_MUCH: Final = 1_000
"""1,000 revisions beyond those to be kept are compacted soon; fewer wait for QUIET_MS."""

REVISIONS_LOOK_MS: Final = 1_000
"""How often KeepRevisions wants to be asked."""

QUIET_MS: Final = 5 * 60 * 1_000
"""etcd's interval: after it a surplus of any size is compacted."""

PERIOD_INTERVAL_MS_MAX: Final = 60 * 60 * 1_000
"""As in etcd, the interval between two compactions is the period, but at most an hour."""

PERIOD_SAMPLES: Final = 10
"""The revision is noted ten times in the interval between two compactions."""

PERIOD_LOOK_MS_MIN: Final = 100
"""KeepPeriod wants to be asked no more often than this, however short its period."""


class HistoryRetention(Protocol):
    """Says which part of the history is too old."""

    look_ms: int
    """How often it wants to be asked."""

    def due(self, now_ms: int, revision: int, compact_revision: int) -> int:
        """The revision to compact at, or 0 if there is nothing to do.

        `revision` is the store's, `compact_revision` where its history begins.
        """


class KeepRevisions:
    """Keeps the last `revisions` revisions (etcd's mode "revision").

    etcd looks every five minutes. Here a large surplus is compacted at once, so that fast writes do
    not fill the disk meanwhile.
    """

    look_ms = REVISIONS_LOOK_MS

    def __init__(self, revisions: int) -> None:
        assert revisions > 0, "the number of revisions to keep is positive"
        self._revisions = revisions
        self._compacted = 0
        self._since_ms: int | None = None

    def due(self, now_ms: int, revision: int, compact_revision: int) -> int:
        """The revision to compact at, or 0 as long as there is nothing to do."""
        if self._since_ms is None or compact_revision != self._compacted:
            self._compacted, self._since_ms = compact_revision, now_ms
        target = revision - self._revisions
        # Before its first compaction the store holds everything, from revision 1 on.
        surplus = target - max(1, compact_revision)
        is_old = surplus > 0 and now_ms - self._since_ms >= QUIET_MS
        return target if surplus >= REVISIONS_MUCH or is_old else 0


class KeepPeriod:
    """Keeps the revisions that were the present one within the last `period_ms` (etcd: "periodic").

    As in etcd, the first compaction comes after a whole period. Each further one comes after
    another period, or after an hour if that is shorter; so what is kept may be older by that.
    """

    def __init__(self, period_ms: int) -> None:
        assert period_ms > 0, "the period to keep is positive"
        self._period_ms = period_ms
        self._interval_ms = min(period_ms, PERIOD_INTERVAL_MS_MAX)
        self.look_ms = max(PERIOD_LOOK_MS_MIN, self._interval_ms // PERIOD_SAMPLES)
        # (time, the revision that was the present one then), oldest first.
        self._samples: deque[tuple[int, int]] = deque()

    def due(self, now_ms: int, revision: int, compact_revision: int) -> int:
        """The revision to compact at, or 0 as long as there is nothing to do."""
        samples = self._samples
        samples.append((now_ms, revision))
        old_ms = now_ms - self._period_ms
        # A sample goes when the next one, too, is older than the period by a whole interval.
        while len(samples) > 1 and samples[1][0] <= old_ms - self._interval_ms:
            samples.popleft()
        target, target_ms, kept_from_ms = 0, 0, None
        for at_ms, seen in samples:
            if at_ms > old_ms:
                break
            target, target_ms = seen, at_ms
            if seen <= compact_revision:
                kept_from_ms = at_ms
        if target <= max(1, compact_revision):
            return 0
        if kept_from_ms is not None and target_ms - kept_from_ms < self._interval_ms:
            return 0
        return target
