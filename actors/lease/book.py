"""LeaseBook: which leases are due, which were proposed to expire, and what to propose again.

All times are milliseconds of cluster time. It proposes only leases that are due: none ends early.
The store decides whether an expiry takes effect, when it applies the entry; the book learns that
from the facts that follow. Knows nothing of logs, leaders or clocks.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Final

from actors.language.commands import Expiry

RETRY_MS: Final = 1_000
"""An expiry that no fact has confirmed for 1 s is proposed again: its entry may be lost."""

EXPIRIES_IN_FLIGHT_MAX: Final = 50
"""When very many leases are due at once, the next ones wait until 50 of them have ended: so other
requests get their turn in the log between them. More in flight would end no sooner, since entries
are applied one after another."""

STALE_ENTRIES_MAX: Final = 1_024
"""The heap may hold 1,024 outdated deadlines, and one more for each lease."""


class LeaseBook:
    """The deadlines of all leases, as the facts tell them."""

    def __init__(self, in_flight_max: int = EXPIRIES_IN_FLIGHT_MAX) -> None:
        self._in_flight_max = in_flight_max
        self._deadlines: dict[int, int] = {}
        # (deadline, lease) of leases not proposed. A renewal adds a pair and leaves the old one: a
        # pair that differs from `_deadlines` is stale.
        self._heap: list[tuple[int, int]] = []
        # Leases that were proposed: when to propose them again, in the order of those times.
        self._proposed: dict[int, int] = {}

    def __len__(self) -> int:
        """How many leases there are."""
        return len(self._deadlines)

    def learn(self, lease_id: int, deadline_ms: int) -> None:
        """A lease was granted or renewed; with deadline 0 it has ended."""
        self._proposed.pop(lease_id, None)
        if not deadline_ms:
            self._deadlines.pop(lease_id, None)
            return
        self._deadlines[lease_id] = deadline_ms
        heappush(self._heap, (deadline_ms, lease_id))
        if len(self._heap) > 2 * len(self._deadlines) + STALE_ENTRIES_MAX:
            self._rebuild()

    def expire(self, cluster_ms: int, expiries_max: int) -> tuple[Expiry, ...]:
        """Up to `expiries_max` leases to propose now: due, and not proposed within RETRY_MS."""
        leases = [
            lease_id
            for lease_id, again_ms in islice(self._proposed.items(), expiries_max)
            if again_ms <= cluster_ms
        ]
        for lease_id in leases:
            del self._proposed[lease_id]  # and to the end, so that the order of times holds
            self._proposed[lease_id] = cluster_ms + RETRY_MS
        while len(leases) < expiries_max and len(self._proposed) < self._in_flight_max:
            self._drop_stale()
            if not self._heap or self._heap[0][0] > cluster_ms:
                break
            _, lease_id = heappop(self._heap)
            self._proposed[lease_id] = cluster_ms + RETRY_MS
            leases.append(lease_id)
        expiries = tuple(Expiry(lease_id, self._deadlines[lease_id]) for lease_id in leases)
        assert all(expiry.deadline_ms <= cluster_ms for expiry in expiries)
        return expiries

    def next_due_ms(self) -> int | None:
        """When `expire` will return a lease: in the past if it would now, None if there is none."""
        again_ms = next(iter(self._proposed.values()), None)
        if len(self._proposed) >= self._in_flight_max:
            return again_ms
        self._drop_stale()
        if not self._heap:
            return again_ms
        deadline_ms = self._heap[0][0]
        return deadline_ms if again_ms is None else min(deadline_ms, again_ms)

    def forget_proposals(self) -> None:
        """This node has begun or ceased to lead: what it proposed before may never be applied."""
        for lease_id in self._proposed:
            heappush(self._heap, (self._deadlines[lease_id], lease_id))
        self._proposed.clear()

    def _drop_stale(self) -> None:
        """Remove stale pairs until the earliest deadline that counts is at the top of the heap."""
        while self._heap:
            deadline_ms, lease_id = self._heap[0]
            if self._deadlines.get(lease_id) == deadline_ms and lease_id not in self._proposed:
                return
            heappop(self._heap)

    def _rebuild(self) -> None:
        self._heap = [
            (deadline_ms, lease_id)
            for lease_id, deadline_ms in self._deadlines.items()
            if lease_id not in self._proposed
        ]
        heapify(self._heap)
