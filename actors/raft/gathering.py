"""Proposals on their way to the core: a small burst waits a moment for more to join it.

Fewer and larger flushes cost every member less. Owns when proposals go. Refuses to know what
becomes of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.language.entries import Proposal

ENOUGH_PROPOSALS: Final = 64
WAIT_MS: Final = 2
"""While earlier bursts are under way, fewer than ENOUGH_PROPOSALS wait for this time at most."""


class Gathering:
    """The proposals at one member; `is_under_way` says whether earlier bursts are under way."""

    def __init__(self, is_under_way: Callable[[], bool]) -> None:
        self.proposals: list[Proposal] = []
        self.until_ms: int | None = None
        self._is_under_way = is_under_way

    def should_wait(self, now_ms: int) -> bool:
        """Whether the proposals should wait; then `until_ms` is the end of their wait."""
        if len(self.proposals) >= ENOUGH_PROPOSALS or not self._is_under_way():
            return False
        if self.until_ms is None:
            self.until_ms = now_ms + WAIT_MS
        return now_ms < self.until_ms

    def take(self) -> list[Proposal]:
        """Take all proposals that have gathered."""
        proposals, self.proposals, self.until_ms = self.proposals, [], None
        return proposals
