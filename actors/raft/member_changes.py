"""Changes of members: begun at the leader, and finished once they are half done (4.1, 4.3).

Owns when a change may begin, which entries it puts in the log, and which member is told if it is
refused. Refuses to know which changes are allowed: that is membership.py's. Sections are those of
the dissertation.
"""

from __future__ import annotations

from actors.language.entries import NO_TICKET, Proposal
from actors.language.members import AddMember, MemberChange
from actors.raft import membership as members
from actors.raft.elector import Role
from actors.raft.forwarding import Forwarder
from actors.raft.health import health_of
from actors.raft.leader import Leader
from actors.raft.membership import Membership
from actors.raft.outcome import Certain, CoreConfig
from actors.raft.proposals import ProposalDesk
from actors.raft.replica import Replica
from actors.raft.roster import Roster
from actors.raft.rpc import ChangeRequest
from cluster.faults import FaultName, MaybeFault


class MemberChanges:
    """Changes of members, one at a time, appended to the log of a leader."""

    def __init__(
        self,
        config: CoreConfig,
        replica: Replica,
        roster: Roster,
        desk: ProposalDesk,
        forwarder: Forwarder,
    ) -> None:
        self._own_id = config.member_id
        self._heard_within_ms = config.election_timeout_ms
        self._replica = replica
        self._roster = roster
        self._desk = desk
        self._forwarder = forwarder
        # A change that waits for the member it adds: the index of its first entry, and the request.
        self.waiting: tuple[int, Certain] | None = None

    def ask(self, role: Role, change: MemberChange, ticket: int, now_ms: int) -> None:
        """A client of this member asks for a change: begin it, or ask the leader to."""
        if isinstance(role, Leader):
            refusal = self._begin(role, change, (self._own_id, ticket), now_ms)
        else:
            refusal = self._forwarder.ask_change(change, ticket)
        if refusal:
            self.fail(ticket, refusal)

    def take(self, role: Role, request: ChangeRequest, now_ms: int) -> None:
        """Another member passes a change on to this one."""
        refusal: MaybeFault = "LeaderChanged"
        if isinstance(role, Leader):
            answer = (request.source, request.ticket)
            refusal = self._begin(role, request.change, answer, now_ms)
        if refusal:
            self._forwarder.refuse_change(request, refusal)

    def fail(self, ticket: int, name: FaultName) -> None:
        """A change that was asked for at this member did not begin: its client is told why."""
        self._desk.fail([Proposal(self._own_id, ticket, b"")], name, outcome_unknown=False)

    def _begin(
        self, leader: Leader, change: MemberChange, answer: tuple[int, int], now_ms: int
    ) -> MaybeFault:
        """Append the first entry of a change; returns the error that refuses it, or "".

        `answer` is the (origin, ticket) of the request: applying the last entry answers it.
        """
        if not self.may_begin(leader):
            return "Unhealthy"
        health = health_of(leader, now_ms, self._heard_within_ms)
        latest_index, latest = self._roster.held[-1]
        informed = all(peer.match >= latest_index for peer in leader.peers.values())
        planned = members.plan(latest, change, health._replace(are_informed=informed))
        if isinstance(planned, str):
            return planned
        if planned.is_joint:
            planned = planned._replace(answer=answer)
            self._append(leader, planned, (self._own_id, NO_TICKET), now_ms)
            if isinstance(change, AddMember) and planned.outgoing == {self._own_id}:
                # A cluster of one grows to two: nothing is committed without the new member, and an
                # operator may start that only after the answer. So the answer must not wait for it.
                self.waiting = self._replica.log.last_index, Certain(answer[1], planned)
        else:
            self._append(leader, planned, answer, now_ms)
        return ""

    def may_begin(self, leader: Leader) -> bool:
        """Whether the last change is done, and known here: only then may another begin."""
        roster = self._roster
        # Before its term's first commit a leader may not know of a change that is committed. Two
        # leaders could each change one member of the membership they know, and count majorities
        # that share no member (the bug of single-server changes, raft-dev 2015).
        if self._replica.commit < leader.start_index or not roster.is_settled:
            return False
        return not roster.latest.is_joint  # else the second half of the last one is to come

    def finish(self, leader: Leader, now_ms: int) -> None:
        """Append the membership that follows a joint one, which is committed (4.3).

        Not before it is: the old voters alone could still elect a leader that has never heard of
        the joint one, while the new voters alone decide.
        """
        joint = self._roster.latest
        self._append(leader, joint.final(), joint.answer, now_ms)

    def take_certain(self) -> Certain | None:
        """The change that waits, once this member, the only old voter, has saved it; or None.

        Then it is certain: no leader can be elected without this member's vote, so every later
        leader has the change in its log.
        """
        if self.waiting is None or self._replica.stable_index < self.waiting[0]:
            return None
        (_, certain), self.waiting = self.waiting, None
        return certain

    def _append(
        self, leader: Leader, membership: Membership, answer: tuple[int, int], now_ms: int
    ) -> None:
        proposal = Proposal(*answer, members.encode(membership))
        self._replica.append(leader.term, leader.cluster_ms(now_ms), [proposal])
        # The membership holds once it is in the log, committed or not (4.1).
        leader.reconfigure(membership.configuration, now_ms)
