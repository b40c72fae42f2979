"""When those who watch are told something though nothing happens, and when they wait in vain.

Knows nothing of whom that concerns, or what they are told. Times are milliseconds of the caller's
clock.
"""

from __future__ import annotations

from typing import Final

BOOKMARK_INTERVAL_MS: Final = 5_000
"""How often those who watch are told how far they are, if anything has happened. A quiet watch that
must go on at another node goes on from there: what is compacted that is older does not end it."""

BEAT_INTERVAL_MS: Final = 60_000
"""How often every connection that watches hears something: so the gateway notices that it died."""


class Rhythm:
    """That of one node, from `now_ms` on."""

    def __init__(self, progress_interval_ms: int, now_ms: int) -> None:
        self._progress_interval_ms = progress_interval_ms
        self._bookmarks_at_ms = now_ms + BOOKMARK_INTERVAL_MS
        self._beat_at_ms = now_ms + BEAT_INTERVAL_MS
        self._progress_at_ms = now_ms + progress_interval_ms
        # As of when those who watch were last told how far they are.
        self._bookmarked = 0

    def bookmarked(self, revision: int) -> None:
        """All who watch were told how far they are."""
        self._bookmarked = revision

    def maybe_bookmark(self, revision: int, now_ms: int) -> bool:
        """Whether all who watch are to be told how far they are; then they will be."""
        if now_ms < self._bookmarks_at_ms:
            return False
        self._bookmarks_at_ms = now_ms + BOOKMARK_INTERVAL_MS
        if now_ms < self._beat_at_ms and revision == self._bookmarked:
            return False
        self._beat_at_ms = now_ms + BEAT_INTERVAL_MS
        return True

    def maybe_progress(self, now_ms: int) -> bool:
        """Whether those that want to know it, and heard nothing else, are to be told; likewise."""
        if now_ms < self._progress_at_ms:
            return False
        self._progress_at_ms = now_ms + self._progress_interval_ms
        return True

    def next_wake_ms(self) -> int:
        """When something is due."""
        return min(self._bookmarks_at_ms, self._progress_at_ms)


class Patience:
    """The wait of one node for a leader: after `no_leader_ms` what it has may be long out of date.

    `until_ms` is when the wait is over, None while there is a leader.
    """

    def __init__(self, no_leader_ms: int, now_ms: int) -> None:
        self.until_ms: int | None = now_ms + no_leader_ms
        self._no_leader_ms = no_leader_ms

    def led(self, leader: int, now_ms: int) -> None:
        """That member leads; 0: nobody does."""
        if leader:
            self.until_ms = None
        elif self.until_ms is None:
            self.until_ms = now_ms + self._no_leader_ms

    def is_over(self, now_ms: int) -> bool:
        """Whether there has been no leader for too long."""
        return self.until_ms is not None and now_ms >= self.until_ms
