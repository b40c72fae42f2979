"""Time in a simulation: a heap of events, one at a time, and a digest of everything that happened.

The same seed gives the same events in the same order, and so the same digest.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from hashlib import blake2b


class FindingError(AssertionError):
    """The simulation has seen something that must never happen."""


class Timeline:
    """Milliseconds from 0 on. Events of one moment happen in the order in which they were set."""

    def __init__(self, seed: int) -> None:
        self.now_ms = 0
        self.events = 0
        self.random = random.Random(seed)
        self._heap: list[tuple[int, int, str, bytes, Callable[[], None]]] = []
        self._last_number = 0
        self._hash = blake2b(digest_size=8)

    def at(self, time_ms: int, what: str, do: Callable[[], None], detail: bytes = b"") -> None:
        """Let something happen at a time; `what` and `detail` tell it apart in the digest."""
        assert time_ms >= self.now_ms, "nothing happens in the past"
        self._last_number += 1
        heapq.heappush(self._heap, (time_ms, self._last_number, what, detail, do))

    def after(self, delay_ms: int, what: str, do: Callable[[], None], detail: bytes = b"") -> None:
        """Let something happen after a delay."""
        self.at(self.now_ms + delay_ms, what, do, detail)

    def step(self) -> None:
        """Let the next event happen."""
        self.now_ms, _, what, detail, do = heapq.heappop(self._heap)
        self.events += 1
        self._hash.update(b"%d %s %b\n" % (self.now_ms, what.encode(), detail))
        do()

    def run_until(self, time_ms: int) -> None:
        """Let everything happen up to and including a time."""
        while self._heap and self._heap[0][0] <= time_ms:
            self.step()
        self.now_ms = time_ms

    def chance(self, limit: int) -> int:
        """A random integer 0 <= x < limit."""
        return self.random.randrange(limit)

    def happens(self, probability: float) -> bool:
        """Whether something of this probability happens now."""
        return self.random.random() < probability

    @property
    def digest(self) -> str:
        """Stands for all that has happened."""
        return self._hash.hexdigest()
