"""When a store commits to its backend what is new; until then a crash loses nothing but work.

The log still has the entries, and they are applied again. Knows nothing of what is committed, or
how. Times are milliseconds of the caller's clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

COMMIT_INTERVAL_MS: Final = 100
"""The longest time that a change waits for a commit."""

COMMIT_CHANGES_MAX: Final = 2_000
"""This number of entries or revisions is committed at once, without waiting for the interval. To
write them takes about 4 ms, and the node does nothing else meanwhile."""

COMMIT_BYTES_MAX: Final = 64 * 1024 * 1024
"""This number of bytes of commands, too, is committed at once: until then they are in memory."""


class CommitPace:
    """The pace of one store; `due_ms` is when a commit is due, None while nothing is new."""

    def __init__(self) -> None:
        self.due_ms: int | None = None
        # The bytes of the commands since the last commit; the owner adds to them.
        self.bytes = 0

    def is_full(self, uncommitted: int, clock: Callable[[], int]) -> bool:
        """Whether to commit at once, with `uncommitted` changes; if not, the interval begins."""
        if uncommitted >= COMMIT_CHANGES_MAX or self.bytes >= COMMIT_BYTES_MAX:
            return True
        if uncommitted and self.due_ms is None:
            self.due_ms = clock() + COMMIT_INTERVAL_MS
        return False

    def is_due(self, now_ms: int) -> bool:
        """Whether the interval is over."""
        return self.due_ms is not None and now_ms >= self.due_ms

    def committed(self) -> None:
        """A commit was made: nothing is new now."""
        self.due_ms, self.bytes = None, 0


def earliest(*times_ms: int | None) -> int | None:
    """The first of these times; None where all are None."""
    first_ms: int | None = None
    for each in times_ms:
        if each is not None and (first_ms is None or each < first_ms):
            first_ms = each
    return first_ms
