"""What a member's consensus has counted since its node started, for a survey.

Refuses to know who asks, and what the numbers mean for the node.
"""

from __future__ import annotations

from collections.abc import Callable

from actors.language.members import NOBODY
from actors.language.metrics import Histogram, RaftMetrics
from actors.raft.core import RaftCore
from actors.raft.narrator import Narrator
from actors.raft.round_trips import RoundTrips


class Counts:
    """The counts of one member. The narrator hears of near misses."""

    def __init__(
        self, core: RaftCore, narrator: Narrator, clock_ns: Callable[[], int] | None
    ) -> None:
        self.trips = RoundTrips(core.config, clock_ns, core.elector.facts)
        self._core = core
        self._narrator = narrator
        self._leader = NOBODY
        self._leader_changes = 0

    def led(self, leader: int) -> None:
        """This member leads now, or none that is known."""
        if leader not in (NOBODY, self._leader):
            self._leader = leader
            self._leader_changes += 1

    def read(self, syncs: Histogram, slow_reads: int, shipped: tuple[int, int]) -> RaftMetrics:
        """Everything; `shipped` are the whole snapshots that were sent, and received."""
        core = self._core
        return RaftMetrics(
            has_leader=core.leader != NOBODY,
            is_leader=core.leads,
            is_learner=not core.roster.is_voter,
            vote=core.elector.vote,
            leader_changes=self._leader_changes,
            near_misses=self._narrator.near_misses,
            proposals_committed=core.replica.commit,
            slow_read_indexes=slow_reads,
            wal_syncs=syncs.read(),
            snapshots_sent=shipped[0],
            snapshots_received=shipped[1],
            peers=self.trips.read(),
        )
