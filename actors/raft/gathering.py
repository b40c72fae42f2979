"""Proposals on their way to the core: a burst that is small waits a moment for company.

Fewer and larger flushes cost every member less. It decides when they go; what becomes of them is
the core's business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.language.entries import Proposal

ENOUGH_PROPOSALS: Final = 64
WAIT_MS: Final = 2
"""While much is under way, fewer proposals wait for company, but no longer than this."""


class Gathering:
    """Those of one member; `is_under_way`: whether what comes in does better to wait a moment."""

    def __init__(self, is_under_way: Callable[[], bool]) -> None:
        self.proposals: list[Proposal] = []
        self.until_ms: int | None = None
        self._is_under_way = is_under_way

    def should_wait(self, now_ms: int) -> bool:
        """Whether they wait, and then until when."""
        if len(self.proposals) >= ENOUGH_PROPOSALS or not self._is_under_way():
            return False
        if self.until_ms is None:
            self.until_ms = now_ms + WAIT_MS
        return now_ms < self.until_ms

    def take(self) -> list[Proposal]:
        """All that have gathered."""
        proposals, self.proposals, self.until_ms = self.proposals, [], None
        return proposals
