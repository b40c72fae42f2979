"""Time in a simulation: a heap of events, one at a time, and a digest of everything that happened.

The same seed gives the same events in the same order, and so the same digest. Chance comes from
streams, one for each purpose: what is left out of one does not change what another gives.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from hashlib import blake2b
from random import Random
from typing import TypeVar

Thing = TypeVar("Thing")


class Chance:
    """Random choices for one purpose."""

    def __init__(self, seed: int, purpose: str) -> None:
        self.random = Random(f"{seed} {purpose}")
        self._next = self.random.random

    def __call__(self, limit: int) -> int:
        """A random integer 0 <= x < limit."""
        return int(self._next() * limit)

    def happens(self, probability: float) -> bool:
        """Whether something of this probability happens now."""
        return probability > 0 and self._next() < probability

    def of(self, things: Sequence[Thing]) -> Thing:
        """One of several things."""
        return things[int(self._next() * len(things))]


class Timeline:
    """Milliseconds from 0 on. Events of one moment happen in the order in which they were set."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now_ms = 0
        self.events = 0
        self._heap: list[tuple[int, int, str, bytes, Callable[[], None]]] = []
        self._last_number = 0
        self._hash = blake2b(digest_size=8)

    def stream(self, purpose: str) -> Chance:
        """Random choices that belong to this purpose only."""
        return Chance(self.seed, purpose)

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
        self.now_ms = max(self.now_ms, time_ms)

    @property
    def digest(self) -> str:
        """Stands for all that has happened."""
        return self._hash.hexdigest()
