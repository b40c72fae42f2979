"""When calls end that have a `grpc-timeout`.

Calls are kept by the slot of time in which they end, so that to add and to remove one is a step of
a set each, and no timer is started for a call. A call ends at most a slot late, and never early.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Final, Generic, TypeVar

SLOT_MS: Final = 10

T = TypeVar("T")


class Deadlines(Generic[T]):
    """The calls that have a deadline."""

    def __init__(self) -> None:
        self._slots: dict[int, set[T]] = {}
        self._order: list[int] = []

    def add(self, call: T, at_ms: float) -> int:
        """Have a call end at this time; returns its slot, for `remove`."""
        slot = int(at_ms) // SLOT_MS + 1
        calls = self._slots.get(slot)
        if calls is None:
            calls = self._slots[slot] = set()
            heappush(self._order, slot)
        calls.add(call)
        return slot

    def remove(self, call: T, slot: int) -> None:
        """The call has ended before its deadline."""
        calls = self._slots.get(slot)
        if calls is not None:
            calls.discard(call)

    def due(self, now_ms: int) -> list[T]:
        """The calls whose deadline has passed; they are removed."""
        ended: list[T] = []
        while self._order and self._order[0] * SLOT_MS <= now_ms:
            ended += self._slots.pop(heappop(self._order))
        return ended

    @property
    def next_ms(self) -> int | None:
        """When to look again; None if no call waits."""
        while self._order and not self._slots[self._order[0]]:
            del self._slots[heappop(self._order)]
        return self._order[0] * SLOT_MS if self._order else None
