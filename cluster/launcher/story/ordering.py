"""InOrder: happenings of several nodes in the order of time, not in that of their channels.

Each node's channel is read by itself, so what one node tells may be read before its cause at
another. Pure: times are seconds of the host's monotonic clock.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf
from typing import Final

from cluster.launcher.story.happenings import Happening

HOLD_SECONDS: Final = 0.05
"""How long a happening waits for earlier ones. One that comes later still is out of order."""


class InOrder:
    """The happenings of the last moments."""

    def __init__(self) -> None:
        self._held: list[tuple[float, int, Happening]] = []
        self._count = 0

    def add(self, happening: Happening) -> None:
        """It was told just now."""
        self._count += 1
        heappush(self._held, (happening.at, self._count, happening))

    @property
    def due(self) -> float:
        """When `take` has something."""
        return self._held[0][0] + HOLD_SECONDS if self._held else inf

    def take(self, now: float) -> list[Happening]:
        """Those that have waited long enough, in order."""
        taken = []
        while self.due <= now:
            taken.append(heappop(self._held)[2])
        return taken
