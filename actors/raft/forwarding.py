"""Forwarding: brings proposals, reads and changes of members to the leader.

With no leader known, proposals are held at the desk, reads are asked for later, and changes fail.
Errors have etcd's names. Refuses to know what enters a log: that is leading.py's.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.language.entries import Proposal
from actors.language.members import NOBODY, MemberChange
from actors.raft.elector import Elector
from actors.raft.outbox import Outbox
from actors.raft.outcome import CoreConfig
from actors.raft.proposals import ProposalDesk
from actors.raft.reads import LocalReads
from actors.raft.replica import Replica
from actors.raft.rpc import (
    ChangeRefusal,
    ChangeRequest,
    ForwardRefusal,
    ForwardRequest,
    ReadRequest,
)
from cluster.faults import FaultName, MaybeFault


class Forwarder:
    """One member's way to the leader that its elector knows."""

    def __init__(
        self,
        config: CoreConfig,
        elector: Elector,
        replica: Replica,
        outbox: Outbox,
        desk: ProposalDesk,
        reads: LocalReads,
    ) -> None:
        self._own_id = config.member_id
        self._ask_again_ms = config.election_timeout_ms
        self._elector = elector
        self._replica = replica
        self._outbox = outbox
        self._desk = desk
        self._reads = reads

    def leader_found(self, now_ms: int) -> None:
        """Another member leads now: held proposals go to it, and open reads are asked of it.

        Proposals that went to the last leader fail with an unknown outcome: they may be lost, or
        may yet be committed.
        """
        self._desk.leader_changed()
        self.pass_on_held(now_ms)
        self.ask_open_reads()

    def _may_pass_on(self) -> bool:
        # If this member restarts while it is on probation, an entry with its name would say that it
        # was here before, and it would have to stop (`WasHere`).
        return self._elector.leader != NOBODY and self._elector.probation is None

    # --- proposals ---

    def pass_on(self, proposals: Sequence[Proposal], now_ms: int) -> None:
        """Send proposals to the leader, or hold them until one is known.

        No client waits for ticket 0: such a proposal is sent and forgotten, for its maker repeats
        it.
        """
        if not proposals:
            return
        awaited = [p for p in proposals if p.ticket]
        if not self._may_pass_on():
            self._desk.hold(awaited, now_ms)
            return
        self._desk.forwarded(awaited, now_ms)
        leader, term = self._elector.leader, self._elector.term
        self._outbox.say(ForwardRequest(self._own_id, leader, term, tuple(proposals)))

    def pass_on_held(self, now_ms: int) -> None:
        """A leader is known, or heard again: the proposals held go to it."""
        self.pass_on(self._desk.take_held(), now_ms)

    def under_way(self) -> bool:
        """Whether a proposal that went to the leader has not come back in the log yet."""
        return self._elector.leader != NOBODY and self._desk.under_way()

    def refuse(self, proposals: Sequence[Proposal], name: MaybeFault) -> None:
        """Tell the members of these proposals that they did not enter the log here.

        With `name` empty this member just does not lead: they may be passed on again.
        """
        term = self._elector.term
        for origin in sorted({p.origin for p in proposals if p.ticket}):
            tickets = tuple(p.ticket for p in proposals if p.origin == origin)
            self._outbox.say(ForwardRefusal(self._own_id, origin, term, tickets, name))

    # --- reads (dissertation 6.4) ---

    def open_read(self, now_ms: int) -> int:
        """Open a read and ask the leader which index it needs; returns its id."""
        read_id = self._reads.open(now_ms)
        self._ask(read_id)
        return read_id

    def ask_open_reads(self) -> None:
        """Ask for all open reads: a new leader does not know of them."""
        for read_id in self._reads.open_ids():
            self._ask(read_id)

    def ask_reads_again(self, now_ms: int) -> None:
        """Ask again for reads that wait long: the question, or its answer, may have been lost."""
        for read_id in self._reads.ask_again(now_ms - self._ask_again_ms, now_ms):
            self._ask(read_id)

    def reads_due_ms(self) -> int | None:
        """When `ask_reads_again` has something to do next; None: no read is open."""
        asked_ms = self._reads.oldest_asked_ms()
        return None if asked_ms is None else asked_ms + self._ask_again_ms

    def _ask(self, read_id: int) -> None:
        elector = self._elector
        if elector.leads_as is not None:
            elector.leads_as.add_read(self._own_id, read_id, self._replica.commit)
        elif elector.leader != NOBODY:
            self._outbox.say(ReadRequest(self._own_id, elector.leader, elector.term, read_id))

    # --- changes of members ---

    def ask_change(self, change: MemberChange, ticket: int) -> MaybeFault:
        """Ask the leader for a change of members; returns the error that refuses it, or ""."""
        if not self._may_pass_on():
            return "NoLeader"
        leader, term = self._elector.leader, self._elector.term
        self._outbox.say(ChangeRequest(self._own_id, leader, term, ticket, change))
        return ""

    def refuse_change(self, request: ChangeRequest, name: FaultName) -> None:
        """Tell a member that the change it passed on did not begin."""
        term = self._elector.term
        self._outbox.say(ChangeRefusal(self._own_id, request.source, term, request.ticket, name))
