"""Decisions: what follows from what is durable, gathered from the parts of a core.

A put asks several times whether there is anything, and seldom there is. So `may_be_some` looks at
attributes only, and `take` does the work. Refuses to know how any of it was decided.
"""

from __future__ import annotations

from actors.raft.elector import Elector
from actors.raft.leader import Leader
from actors.raft.member_changes import MemberChanges
from actors.raft.news import News
from actors.raft.outbox import Outbox
from actors.raft.outcome import CoreConfig, Decided
from actors.raft.proof import Proof
from actors.raft.proposals import ProposalDesk
from actors.raft.reads import LocalReads
from actors.raft.replica import Replica
from actors.raft.roster import Roster
from actors.raft.transfers import Transfers
from actors.raft.trial import Trial


class Decisions:
    """What one member has decided since it was last taken."""

    def __init__(
        self,
        config: CoreConfig,
        roster: Roster,
        elector: Elector,
        replica: Replica,
        outbox: Outbox,
        desk: ProposalDesk,
        reads: LocalReads,
        changes: MemberChanges,
        transfers: Transfers,
        trial: Trial,
        proof: Proof,
    ) -> None:
        self._own_id = config.member_id
        self._roster = roster
        self._elector = elector
        self._replica = replica
        self._outbox = outbox
        self._desk = desk
        self._reads = reads
        self._changes = changes
        self._transfers = transfers
        self._trial = trial
        self._proof = proof
        self._news = News(elector, roster, replica)

    def may_be_some(self) -> bool:
        """Whether `take` may give something, or has something to say to others."""
        elector, replica, transfers = self._elector, self._replica, self._transfers
        leader, roster, trial = elector.leads_as, self._roster, self._trial
        if replica.handed_out < replica.commit or self._reads.indexed or self._desk.failed:
            return True
        if self._changes.waiting or transfers.ended or transfers.due_ms is not None:
            return True
        if trial.accused or trial.at_odds or self._proof.ending or roster.is_removed:
            return True
        if leader is not None:
            if leader.rounds.is_answered or leader.at_odds or leader.may_be_behind:
                return True
            if roster.is_half_done:
                return True
        return elector.probation is not None or self._news.is_due()

    def take(self, now_ms: int) -> Decided:
        """Take everything; answers to other members' reads go to the outbox."""
        leader, trial = self._elector.leads_as, self._trial
        if leader is not None:
            if self._roster.is_half_done:
                self._changes.finish(leader, now_ms)
            if leader.rounds.is_answered:
                self._answer_reads(leader, now_ms)
        news, is_news = self._news, self._news.is_due()
        is_at_odds = trial.at_odds or (leader is not None and leader.at_odds)
        may_end = self._roster.is_removed or self._proof.ending
        # Where there is seldom something, only an attribute is read.
        return Decided(
            self._replica.take_committed() if self._replica.has_committed() else (),
            self._reads.take_ready(self._replica.handed_out) if self._reads.indexed else (),
            self._desk.take_failed() if self._desk.failed else (),
            news.take_leader_news() if is_news else None,
            news.take_membership() if is_news else None,
            self._proof.how_it_ends() if may_end else None,
            self._changes.take_certain() if self._changes.waiting else None,
            self._transfers.take_ended() if self._transfers.ended else (),
            leader.behind() if leader is not None and leader.may_be_behind else (),
            self._elector.probation is not None and self._proof.is_proven(),
            trial.take_accused() if trial.accused else (),
            trial.take_at_odds(leader) if is_at_odds else (),
        )

    def _answer_reads(self, leader: Leader, now_ms: int) -> None:
        for answer in leader.read_answers(now_ms):
            if answer.target == self._own_id:
                self._reads.confirm(answer.read_id, answer.index, answer.cluster_ms)
            else:
                self._outbox.say(answer)
