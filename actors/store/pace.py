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
write them takes about 4 ms."""

COMMIT_BYTES_MAX: Final = 64 * 1024 * 1024
"""This number of bytes of commands, too, is committed at once: until then they are in memory."""


KEPT_CHANGES_MAX: Final = 20_000
KEPT_BYTES_MAX: Final = 2 * COMMIT_BYTES_MAX
"""Changes that come during a commit are in memory. When they are 20,000 more than the commit has
taken, or their commands have 128 MiB, the node waits for its end."""


class CommitPace:
    """The pace of one store; `due_ms` is when a commit is due, None while nothing is new."""

    def __init__(self) -> None:
        self.due_ms: int | None = None
        # The bytes of the commands that no commit has taken yet; the owner adds to them.
        self.bytes = 0
        # What the commit under way has taken: its changes and the bytes of its commands.
        self._taken = 0
        self._taken_bytes = 0

    @property
    def undurable_bytes(self) -> int:
        """The bytes of the commands that no commit has ended for."""
        return self.bytes + self._taken_bytes

    def is_full(self, uncommitted: int, clock: Callable[[], int]) -> bool:
        """Whether to commit at once, with `uncommitted` changes; if not, the interval begins."""
        if uncommitted >= COMMIT_CHANGES_MAX or self.bytes >= COMMIT_BYTES_MAX:
            return True
        if uncommitted and self.due_ms is None:
            self.due_ms = clock() + COMMIT_INTERVAL_MS
        return False

    def is_too_full(self, uncommitted: int) -> bool:
        """Whether to wait for the commit under way, with `uncommitted` changes behind it."""
        kept = uncommitted - self._taken
        return kept >= KEPT_CHANGES_MAX or self.bytes >= KEPT_BYTES_MAX

    def is_due(self, now_ms: int) -> bool:
        """Whether the interval is over."""
        return self.due_ms is not None and now_ms >= self.due_ms

    def hurry(self, now_ms: int) -> None:
        """Another commit is due when the one under way has ended."""
        self.due_ms = now_ms

    def taken(self, uncommitted: int) -> None:
        """A commit was begun, and takes everything: nothing is new now."""
        self._taken, self._taken_bytes = uncommitted, self.bytes
        self.due_ms, self.bytes = None, 0

    def committed(self) -> None:
        """The commit has ended."""
        self._taken = self._taken_bytes = 0


def earliest(*times_ms: int | None) -> int | None:
    """The first of these times; None where all are None."""
    first_ms: int | None = None
    for each in times_ms:
        if each is not None and (first_ms is None or each < first_ms):
            first_ms = each
    return first_ms
