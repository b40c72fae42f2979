"""Leading: how a leader takes proposals, commits, and sends heartbeats (Raft 5.3, 5.4).

Refuses to know what the peers hold, which is leader.py's, and whether this member leads, which is
the elector's.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.language.entries import NO_TICKET, Proposal
from actors.raft.facts import FactBook, LateHeartbeats
from actors.raft.forwarding import Forwarder
from actors.raft.leader import Leader
from actors.raft.outbox import Outbox
from actors.raft.outcome import CoreConfig
from actors.raft.proposals import ProposalDesk
from actors.raft.replica import Replica
from actors.raft.roster import Roster
from actors.raft.rpc import AppendResponse
from actors.raft.transfers import Transfers
from cluster.faults import FaultName


class Leading:
    """One member's part as a leader.

    `is_full`: the disk is nearly full. Proposals with a ticket are refused then; those without, by
    which the cluster goes on, are taken.
    """

    def __init__(
        self,
        config: CoreConfig,
        replica: Replica,
        roster: Roster,
        outbox: Outbox,
        desk: ProposalDesk,
        forwarder: Forwarder,
        transfers: Transfers,
        facts: FactBook,
    ) -> None:
        self._config = config
        self._replica = replica
        self._roster = roster
        self._outbox = outbox
        self._desk = desk
        self._forwarder = forwarder
        self._transfers = transfers
        self._facts = facts
        self.is_full = False

    def begin(self, term: int, now_ms: int) -> Leader:
        """The state with which the winner of an election begins to lead `term`."""
        own_id, replica = self._config.member_id, self._replica
        configuration, cluster_ms = self._roster.configuration, replica.start_clock()
        leader = Leader(own_id, term, configuration, replica.log, cluster_ms, now_ms)
        leader.quorum_check_due_ms = now_ms + self._config.election_timeout_ms
        return leader

    def open_term(self, leader: Leader, now_ms: int) -> None:
        """Append the first entry of the term, and the proposals that waited for a leader."""
        # A leader does not commit entries of earlier terms by counting their copies: another leader
        # could still replace them (Raft figure 8). Its own entry, once committed, commits all
        # before it (5.4.2, 8), and reads wait for that.
        self.append(leader, [Proposal(self._config.member_id, NO_TICKET, b"")], now_ms)
        self._desk.leader_changed()
        self.append(leader, self._desk.take_held(), now_ms)
        self._forwarder.ask_open_reads()

    def append(self, leader: Leader, proposals: Sequence[Proposal], now_ms: int) -> None:
        """Take proposals into the log, or refuse them to the members that made them."""
        if not proposals:
            return
        own_id = self._config.member_id
        if self._transfers.target:
            # The next leader will get them: the transfer waits until its target has the whole log,
            # so this log must not grow meanwhile (dissertation 3.10).
            self._desk.hold([p for p in proposals if p.ticket and p.origin == own_id], now_ms)
            self._forwarder.refuse([p for p in proposals if p.origin != own_id], "")
            return
        # A burst is taken or refused as a whole: its proposals keep their order in the log.
        refusal: FaultName
        if self.is_full and any(p.ticket for p in proposals):
            refusal = "NoSpace"
        elif leader.maybe_take(proposals):
            self._replica.append(leader.term, leader.cluster_ms(now_ms), proposals)
            return
        else:
            refusal = "TooManyRequests"
        self._desk.fail([p for p in proposals if p.origin == own_id], refusal, False)
        self._forwarder.refuse([p for p in proposals if p.origin != own_id], refusal)

    def acknowledged(self, leader: Leader, message: AppendResponse, now_ms: int) -> None:
        """A peer has answered an append; the target of a transfer may have the whole log now."""
        leader.acknowledged(message, now_ms)
        if self._transfers.due_ms is not None:
            self._transfers.maybe_hand_over(leader)

    def maybe_commit(self, leader: Leader, now_ms: int) -> bool:
        """Commit what a majority holds, if that ends with an entry of this term (Raft 5.4.2)."""
        replica, commit = self._replica, self._replica.commit
        agreed = leader.agreed_index(replica.stable_index)
        # An entry of an earlier term that a majority holds may still be replaced (Raft figure 8).
        # Those of this term begin with the one that opened it.
        if agreed <= commit or agreed < leader.start_index:
            return False
        replica.commit_to(agreed)
        leader.committed(commit, agreed, now_ms)
        return True

    def maybe_tick(self, leader: Leader, now_ms: int) -> bool:
        """Send heartbeats when they are due; False if this leader hears no quorum any more."""
        timeout_ms = self._config.election_timeout_ms
        if now_ms >= leader.quorum_check_due_ms:
            leader.quorum_check_due_ms = now_ms + timeout_ms
            # A leader that is cut off takes proposals that are never committed. The members that
            # still hear it refuse their votes to a candidate that could commit them. So it steps
            # down (dissertation 6.2).
            if not leader.hears_quorum(now_ms, timeout_ms):
                return False
        if now_ms >= leader.heartbeat_due_ms:
            late_ms = now_ms - leader.heartbeat_due_ms
            # The others heard nothing meanwhile, and were not far from an election.
            if 2 * late_ms > timeout_ms:
                self._facts.note(LateHeartbeats(late_ms))
            leader.heartbeat_due_ms = now_ms + self._config.heartbeat_ms
            self._outbox.say_all(leader.heartbeats(self._replica.commit, now_ms))
        leader.due_ms = min(leader.heartbeat_due_ms, leader.quorum_check_due_ms)
        return True
