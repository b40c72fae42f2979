"""News: who leads and who the members are, whenever that has changed since it was last told."""

from __future__ import annotations

from actors.raft.elector import Elector
from actors.raft.membership import Membership
from actors.raft.outcome import LeaderNews
from actors.raft.replica import Replica
from actors.raft.roster import Roster


class News:
    """What the other actors of one member were told last, and what is new."""

    def __init__(self, elector: Elector, roster: Roster, replica: Replica) -> None:
        self._elector = elector
        self._roster = roster
        self._replica = replica
        # There is no term -1, so the first answer is news, even that no member leads.
        self._leader_news = LeaderNews(elector.leader, -1, None, False)
        self._membership: Membership | None = None

    def is_due(self) -> bool:
        """Whether there is news."""
        told, elector = self._leader_news, self._elector
        if elector.leader != told.leader or elector.term != told.term:
            return True
        roster = self._roster
        if roster.latest is not self._membership or roster.is_learner != told.is_learner:
            return True
        leader = elector.leads_as
        if told.clock is not None or leader is None:
            return False
        return self._replica.commit >= leader.start_index

    def take_leader_news(self) -> LeaderNews | None:
        """Who leads, in which term and by which clock; None if nothing of that has changed."""
        elector, clock = self._elector, None
        leader = elector.leads_as
        # Before its first commit a leader has not applied all entries of earlier leaders, and these
        # may set or prolong leases. So it does not tell yet by which clock leases expire.
        if leader is not None and self._replica.commit >= leader.start_index:
            clock = (leader.cluster_ms_at_start, leader.started_ms)
        now = (elector.leader, elector.term, clock, self._roster.is_learner)
        if now == self._leader_news:
            return None
        self._leader_news = LeaderNews(*now)
        return self._leader_news

    def take_membership(self) -> Membership | None:
        """The latest membership, committed or not; None if that has not changed."""
        latest = self._roster.latest
        if latest is self._membership:
            return None
        self._membership = latest
        return latest
