"""What a member's consensus has counted since its node started, for a survey.

Refuses to know who asks, and what the numbers mean for the node.
"""

from __future__ import annotations

from actors.language.members import NOBODY
from actors.language.metrics import Histogram, RaftMetrics
from actors.raft.core import RaftCore
from actors.raft.round_trips import RoundTrips


class Counts:
    """The counts of one member."""

    def __init__(self, trips: RoundTrips) -> None:
        self.trips = trips
        self._leader = NOBODY
        self._leader_changes = 0

    def led(self, leader: int) -> None:
        """This member leads now, or none that is known."""
        if leader not in (NOBODY, self._leader):
            self._leader = leader
            self._leader_changes += 1

    def read(
        self, core: RaftCore, syncs: Histogram, slow_reads: int, shipped: tuple[int, int]
    ) -> RaftMetrics:
        """Everything; `shipped` are the whole snapshots that were sent, and received."""
        return RaftMetrics(
            has_leader=core.leader != NOBODY,
            is_leader=core.leads,
            is_learner=not core.roster.is_voter,
            vote=core.elector.vote,
            leader_changes=self._leader_changes,
            proposals_committed=core.replica.commit,
            slow_read_indexes=slow_reads,
            wal_syncs=syncs.read(),
            snapshots_sent=shipped[0],
            snapshots_received=shipped[1],
            peers=self.trips.read(),
        )
