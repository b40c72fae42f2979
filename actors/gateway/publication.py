"""When a member publishes its name and its client URLs (etcd's publish).

It is proposed until an entry of it is applied. The log may get it twice, which does no harm: the
second entry says the same. Knows nothing of what is published.
"""

from __future__ import annotations

from typing import Final

PUBLISH_RETRY_MS: Final = 1_000
"""How long a proposal may take until it is made again."""


class Publication:
    """The publication of one member; `due_ms` is when to propose it, None once it is applied."""

    def __init__(self, now_ms: int) -> None:
        self.due_ms: int | None = now_ms
        self._began_ms = now_ms

    def maybe_due(self, now_ms: int) -> bool:
        """Whether to propose it now; it is due again after PUBLISH_RETRY_MS, unless `done`."""
        if self.due_ms is None or now_ms < self.due_ms:
            return False
        self.due_ms = now_ms + PUBLISH_RETRY_MS
        return True

    def done(self, now_ms: int) -> int | None:
        """It was applied; returns how long that took, in milliseconds: None if it was before."""
        if self.due_ms is None:
            return None
        self.due_ms = None
        return now_ms - self._began_ms
