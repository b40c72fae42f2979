"""Router: brings proposals, reads and changes of members to the leader, and their fate back.

It knows who leads and what may enter the log; what is sent, saved and committed is RaftCore's. What
cannot be done comes back as failed, under etcd's name of the error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from actors.language.entries import NO_TICKET, Proposal
from actors.language.members import NOBODY, AddMember, Change
from actors.raft import membership as members
from actors.raft.elector import Elector
from actors.raft.leader import Leader
from actors.raft.log import RaftLog
from actors.raft.outcome import Certain, CoreConfig, Recovered
from actors.raft.proposals import ProposalDesk
from actors.raft.quorum import Configuration
from actors.raft.reads import LocalReads
from actors.raft.replica import Replica
from actors.raft.rpc import (
    ChangeRefusal,
    ChangeRequest,
    ForwardRefusal,
    ForwardRequest,
    ReadRequest,
    TimeoutNow,
)
from actors.raft.transfers import Transfers
from cluster.errors import FaultName, MaybeFault


class Router(Elector):
    """One member's desk: what was asked here, and what others pass on to it while it leads."""

    def __init__(
        self, config: CoreConfig, recovered: Recovered, now_ms: int, chance: Callable[[int], int]
    ) -> None:
        super().__init__(config, recovered.hard_state, now_ms, chance, recovered.probation)
        self._desk = ProposalDesk(config.hold_ms)
        self._reads = LocalReads(chance(1 << 48))
        commit = max(recovered.hard_state.commit, recovered.applied_index)
        self.replica = Replica(
            config.member_id,
            recovered.log,
            recovered.membership,
            commit,
            recovered.applied_index,
            recovered.cluster_ms,
            self._desk,
        )
        self._transfers = Transfers(config.election_timeout_ms)
        # A change that waits for the member it adds: the index of its first entry, and whose it is.
        self._waiting: tuple[int, Certain] | None = None
        # Set while the disk has no room for more than what is needed to go on at all.
        self.is_full = False

    # --- asked here ---

    def propose(self, proposals: Sequence[Proposal], now_ms: int) -> None:
        """Put commands in the log here, pass them to the leader, or hold them until one is known.

        What cannot be done comes back as failed. Ticket 0 has no reader: such a proposal is sent to
        the leader and forgotten, for who made it makes it again. What nobody in particular proposes
        is only for a leader's log, and dropped elsewhere.
        """
        if isinstance(self.role, Leader):
            self._append(self.role, proposals, now_ms)
        else:
            self._pass_on([p for p in proposals if p.ticket or p.origin], now_ms)

    def read_index(self, now_ms: int) -> int:
        """Ask for a linearizable read; the id comes back in `Decided.reads` (dissertation 6.4)."""
        read_id = self._reads.open(now_ms)
        self._ask_read(read_id)
        return read_id

    def forget_read(self, read_id: int) -> None:
        """Nobody waits for this read any more."""
        self._reads.forget(read_id)

    def change_members(self, change: Change, ticket: int, now_ms: int) -> None:
        """Change the members, one change at a time; applying its last entry answers the ticket."""
        if isinstance(self.role, Leader):
            refusal = self._begin_change(self.role, change, (self.config.member_id, ticket), now_ms)
            if refusal:
                self._fail_change(ticket, refusal)
        elif self.leader == NOBODY or self.probation is not None:
            # On probation: what it asked for would be in the log, and speak against it as well.
            self._fail_change(ticket, "NoLeader")
        else:
            own_id = self.config.member_id
            self._say(ChangeRequest(own_id, self.leader, self.term, ticket, change))

    def transfer(self, target: int, now_ms: int) -> MaybeFault:
        """Hand leadership to a voter; `Decided.transferred` tells the end. Or an error's name."""
        leader = self.role
        if not isinstance(leader, Leader):
            return "NotLeader"
        if target == self.config.member_id:
            self._transfers.was_done(target)
            return ""
        if target not in self._configuration().voters:
            return "BadLeaderTransferee"
        self._judge_transfer(now_ms)
        refusal = self._transfers.begin(target, self.term, now_ms)
        self._maybe_hand_over(leader)
        return refusal

    @property
    def transferee(self) -> int:
        """To whom this leader is handing over just now; 0: to nobody."""
        return self._transfers.target_in(self.term) if isinstance(self.role, Leader) else NOBODY

    @property
    def best_successor(self) -> int:
        """The voter that lacks least of this leader's log and was heard lately; 0: nobody."""
        if not isinstance(self.role, Leader):
            return NOBODY
        return self.role.best_successor(self._configuration().voters)

    # --- asked by others, and taken into the log ---

    def _append(self, leader: Leader, proposals: Sequence[Proposal], now_ms: int) -> None:
        if not proposals:
            return
        own_id = self.config.member_id
        if self.transferee:
            # The successor gets them: it needs a log that stands still to take over.
            self._desk.hold([p for p in proposals if p.ticket and p.origin == own_id], now_ms)
            self._refuse([p for p in proposals if p.origin != own_id], "")
            return
        refusal: FaultName
        if self.is_full and any(p.ticket for p in proposals):
            refusal = "NoSpace"
        elif leader.maybe_take(proposals):
            self.replica.append(self.term, leader.cluster_ms(now_ms), proposals)
            return
        else:
            refusal = "TooManyRequests"
        self._desk.fail([p for p in proposals if p.origin == own_id], refusal, False)
        self._refuse([p for p in proposals if p.origin != own_id], refusal)

    def _pass_on(self, proposals: Sequence[Proposal], now_ms: int) -> None:
        if not proposals:
            return
        leader = self.leader
        awaited = [p for p in proposals if p.ticket]
        # Its name, published while it is on probation, would speak against it after a restart.
        if leader == NOBODY or self.probation is not None:
            self._desk.hold(awaited, now_ms)
        else:
            self._desk.forwarded(awaited, now_ms)
            own_id = self.config.member_id
            self._say(ForwardRequest(own_id, leader, self.term, tuple(proposals)))

    def _take_forwarded(self, message: ForwardRequest, now_ms: int) -> None:
        if isinstance(self.role, Leader):
            self._append(self.role, message.proposals, now_ms)
        else:
            self._refuse(message.proposals, "")

    def _refuse(self, proposals: Sequence[Proposal], name: MaybeFault) -> None:
        """Tell those who wait elsewhere that these did not enter the log."""
        for origin in sorted({p.origin for p in proposals if p.ticket}):
            tickets = tuple(p.ticket for p in proposals if p.origin == origin)
            self._say(ForwardRefusal(self.config.member_id, origin, self.term, tickets, name))

    def _ask_read(self, read_id: int) -> None:
        own_id, leader = self.config.member_id, self.leader
        if isinstance(self.role, Leader):
            self.role.add_read(own_id, read_id, self.replica.commit)
        elif leader != NOBODY:
            self._say(ReadRequest(own_id, leader, self.term, read_id))

    def _take_change(self, request: ChangeRequest, now_ms: int) -> None:
        own_id, source, ticket = self.config.member_id, request.source, request.ticket
        refusal: MaybeFault = "LeaderChanged"
        if isinstance(self.role, Leader):
            refusal = self._begin_change(self.role, request.change, (source, ticket), now_ms)
        if refusal:
            self._say(ChangeRefusal(own_id, source, self.term, ticket, refusal))

    def _begin_change(
        self, leader: Leader, change: Change, answer: tuple[int, int], now_ms: int
    ) -> MaybeFault:
        """Append the first entry of a change; or the name of the error that refuses it."""
        # Nothing before the own term's first commit (the single-server bug, raft-dev 2015).
        replica = self.replica
        if replica.commit < leader.start_index or not replica.membership_committed:
            return "Unhealthy"
        if replica.membership.is_joint:
            return "Unhealthy"
        health = leader.health(now_ms, self.config.election_timeout_ms)
        planned = members.plan(replica.membership, change, health)
        if isinstance(planned, str):
            return planned
        if planned.is_joint:
            planned = planned._replace(answer=answer)
            own_id = self.config.member_id
            self._append_membership(leader, planned, (own_id, NO_TICKET), now_ms)
            if isinstance(change, AddMember) and planned.outgoing == {own_id}:
                # Nothing is committed without the newcomer, which may be started after the answer.
                self._waiting = replica.log.last_index, Certain(answer[1], planned)
        else:
            self._append_membership(leader, planned, answer, now_ms)
        return ""

    def _append_membership(
        self, leader: Leader, membership: members.Membership, answer: tuple[int, int], now_ms: int
    ) -> None:
        proposal = Proposal(*answer, members.encode(membership))
        self.replica.append(self.term, leader.cluster_ms(now_ms), [proposal])
        leader.reconfigure(membership.configuration, now_ms)

    def _take_certain(self) -> Certain | None:
        """A change that waits is certain once the only voter of old has saved it.

        Nobody can be elected without this member, which has it in its log.
        """
        if self._waiting is None or self.replica.stable_index < self._waiting[0]:
            return None
        (_, certain), self._waiting = self._waiting, None
        return certain

    def _finish_change(self, leader: Leader, now_ms: int) -> None:
        """Once a joint membership is committed, whoever leads appends what follows it (4.3)."""
        replica = self.replica
        if replica.membership.is_joint and replica.membership_committed:
            joint = replica.membership
            self._append_membership(leader, joint.final(), joint.answer, now_ms)

    def _fail_change(self, ticket: int, name: FaultName) -> None:
        change = Proposal(self.config.member_id, ticket, b"")
        self._desk.fail([change], name, outcome_unknown=False)

    def _maybe_hand_over(self, leader: Leader) -> None:
        """Let the chosen successor stand as soon as it has the whole log (dissertation 3.10)."""
        target = self.transferee
        peer = leader.peers.get(target)  # a member that is being removed is none any more
        if peer is not None and peer.match == self.replica.log.last_index:
            self._say(TimeoutNow(self.config.member_id, target, self.term))

    def _judge_transfer(self, now_ms: int) -> None:
        """A leader whose successor did not take over in time goes on."""
        is_over = self._transfers.maybe_end(self.leader, self.term, now_ms)
        if is_over and isinstance(self.role, Leader):
            self._append(self.role, self._desk.take_held(), now_ms)

    # --- what an election means ---

    def _configuration(self) -> Configuration:
        return self.replica.membership.configuration

    def _may_stand(self) -> bool:
        # A voter that its latest membership leaves out is needed until that is committed: the
        # others may not have it yet, and lack the rest of its log (dissertation 4.2.2).
        own_id, committed = self.config.member_id, self.replica.committed_membership
        return own_id in self._configuration().all_voters() | committed.configuration.all_voters()

    def _log(self) -> RaftLog:
        return self.replica.log

    def _leader_found(self, now_ms: int) -> None:
        # What was passed to the last leader may be lost; what waits goes to this one.
        self._desk.leader_changed()
        self._pass_on(self._desk.take_held(), now_ms)
        for read_id in self._reads.open_ids():
            self._ask_read(read_id)
