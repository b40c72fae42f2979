"""When a member publishes its name and where clients reach it (etcd's publish).

It is proposed until the log has it; the log may get it twice, and it says the same each time. Knows
nothing of what it says.
"""

from __future__ import annotations

from typing import Final

PUBLISH_RETRY_MS: Final = 1_000


class Publication:
    """That of one member; `due_ms` is when it is to be proposed, None once the log has it."""

    def __init__(self, now_ms: int) -> None:
        self.due_ms: int | None = now_ms

    def maybe_due(self, now_ms: int) -> bool:
        """Whether it is to be proposed now; then it will be again, unless that comes to pass."""
        if self.due_ms is None or now_ms < self.due_ms:
            return False
        self.due_ms = now_ms + PUBLISH_RETRY_MS
        return True

    def done(self) -> None:
        """The log has it."""
        self.due_ms = None
