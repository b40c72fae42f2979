"""When watches are told how far they are though nothing happens, and when they end for want of a
leader.

Knows no watch, and no bytes. Times are milliseconds of the caller's clock.
"""

from __future__ import annotations

from typing import Final

BOOKMARK_INTERVAL_MS: Final = 5_000
"""How often watching connections get a bookmark, if the store has changed. A quiet watch that must
go on at another node begins at its last bookmark, so a compaction of older revisions does not end
it."""

BEAT_INTERVAL_MS: Final = 60_000
"""How often they get a bookmark even without a change: sending shows the gateway dead ones."""


class Rhythm:
    """When one node sends bookmarks and progress notifications, from `now_ms` on."""

    def __init__(self, progress_interval_ms: int, now_ms: int) -> None:
        self._progress_interval_ms = progress_interval_ms
        self._bookmarks_at_ms = now_ms + BOOKMARK_INTERVAL_MS
        self._beat_at_ms = now_ms + BEAT_INTERVAL_MS
        self._progress_at_ms = now_ms + progress_interval_ms
        # The revision of the last bookmarks.
        self._bookmarked = 0

    def bookmarked(self, revision: int) -> None:
        """All watching connections got a bookmark at this revision."""
        self._bookmarked = revision

    def maybe_bookmark(self, revision: int, now_ms: int) -> bool:
        """Whether bookmarks are due; if so, the caller sends them, and the interval begins anew."""
        if now_ms < self._bookmarks_at_ms:
            return False
        self._bookmarks_at_ms = now_ms + BOOKMARK_INTERVAL_MS
        # Nothing has changed since the last ones: only a beat is worth a frame for each connection.
        if now_ms < self._beat_at_ms and revision == self._bookmarked:
            return False
        self._beat_at_ms = now_ms + BEAT_INTERVAL_MS
        return True

    def maybe_progress(self, now_ms: int) -> bool:
        """Whether progress notifications are due; if so, the caller sends them, as above."""
        if now_ms < self._progress_at_ms:
            return False
        self._progress_at_ms = now_ms + self._progress_interval_ms
        return True

    def next_wake_ms(self) -> int:
        """When bookmarks or progress notifications may be due next."""
        return min(self._bookmarks_at_ms, self._progress_at_ms)


class Patience:
    """How long a node waits for a leader: after `no_leader_ms` its state may be long out of date.

    `until_ms` is when the wait is over, None while there is a leader.
    """

    def __init__(self, no_leader_ms: int, now_ms: int) -> None:
        self.until_ms: int | None = now_ms + no_leader_ms
        self._no_leader_ms = no_leader_ms
        self._has_ended = False

    def led(self, leader: int, now_ms: int) -> None:
        """This member leads now; 0: no member does."""
        if leader:
            self.until_ms = None
            self._has_ended = False
        elif self.until_ms is None:
            self.until_ms = now_ms + self._no_leader_ms

    def is_over(self, now_ms: int) -> bool:
        """Whether there has been no leader for too long."""
        return self.until_ms is not None and now_ms >= self.until_ms

    def maybe_end(self, now_ms: int) -> bool:
        """Whether the wait is over for the first time since there was a leader."""
        if self._has_ended or not self.is_over(now_ms):
            return False
        self._has_ended = True
        return True

    @property
    def wake_ms(self) -> int | None:
        """When `maybe_end` has something to say; None if that is not foreseen."""
        return None if self._has_ended else self.until_ms
