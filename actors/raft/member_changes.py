"""Changes of members: begun at the leader, and finished once they are half done (4.1, 4.3).

Which changes are allowed is membership.py's; here are the places in the log at which one may begin,
the entries that it takes, and who is told if it is refused.
"""

from __future__ import annotations

from actors.language.entries import NO_TICKET, Proposal
from actors.language.members import AddMember, MemberChange
from actors.raft import membership as members
from actors.raft.elector import Role
from actors.raft.forwarding import Forwarder
from actors.raft.leader import Leader
from actors.raft.membership import Membership
from actors.raft.outcome import Certain, CoreConfig
from actors.raft.proposals import ProposalDesk
from actors.raft.replica import Replica
from actors.raft.roster import Roster
from actors.raft.rpc import ChangeRequest
from cluster.errors import FaultName, MaybeFault


class MemberChanges:
    """One at a time, appended to the log of a leader."""

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
        # A change that waits for the member it adds: the index of its first entry, and whose it is.
        self.waiting: tuple[int, Certain] | None = None

    def ask(self, role: Role, change: MemberChange, ticket: int, now_ms: int) -> None:
        """Somebody here asks for a change: begin it, or ask the leader to."""
        if isinstance(role, Leader):
            refusal = self._begin(role, change, (self._own_id, ticket), now_ms)
        else:
            refusal = self._forwarder.ask_change(change, ticket)
        if refusal:
            self.fail(ticket, refusal)

    def take(self, role: Role, request: ChangeRequest, now_ms: int) -> None:
        """Another member passes a change on."""
        refusal: MaybeFault = "LeaderChanged"
        if isinstance(role, Leader):
            answer = (request.source, request.ticket)
            refusal = self._begin(role, request.change, answer, now_ms)
        if refusal:
            self._forwarder.refuse_change(request, refusal)

    def fail(self, ticket: int, name: FaultName) -> None:
        """A change that was asked for here did not begin: whoever asked is told why."""
        self._desk.fail([Proposal(self._own_id, ticket, b"")], name, outcome_unknown=False)

    def _begin(
        self, leader: Leader, change: MemberChange, answer: tuple[int, int], now_ms: int
    ) -> MaybeFault:
        """Append the first entry of a change; or the name of the error that refuses it.

        `answer` is the (origin, ticket) of who asked: applying the last entry answers it.
        """
        replica, roster = self._replica, self._roster
        # Before the own term's first commit a leader may not know of a change that is committed:
        # two leaders could each change one member of their own latest membership, and count
        # majorities that do not meet (the single-server bug, raft-dev 2015).
        if replica.commit < leader.start_index or not roster.is_settled:
            return "Unhealthy"
        if roster.latest.is_joint:
            return "Unhealthy"
        planned = members.plan(roster.latest, change, leader.health(now_ms, self._heard_within_ms))
        if isinstance(planned, str):
            return planned
        if planned.is_joint:
            planned = planned._replace(answer=answer)
            self._append(leader, planned, (self._own_id, NO_TICKET), now_ms)
            if isinstance(change, AddMember) and planned.outgoing == {self._own_id}:
                # Nothing is committed without the newcomer, which may be started after the answer.
                self.waiting = replica.log.last_index, Certain(answer[1], planned)
        else:
            self._append(leader, planned, answer, now_ms)
        return ""

    def finish(self, leader: Leader, now_ms: int) -> None:
        """The joint membership is committed: whoever leads appends what follows it (4.3).

        Not before: the old voters alone could still elect a leader that has never heard of it.
        """
        joint = self._roster.latest
        self._append(leader, joint.final(), joint.answer, now_ms)

    def take_certain(self) -> Certain | None:
        """A change that waits is certain once the only voter of old has saved it.

        Nobody can be elected without this member, which has it in its log.
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
        # It holds from here on, committed or not (4.1).
        leader.reconfigure(membership.configuration, now_ms)
