"""Forwarding: brings proposals, reads and changes of members to whoever leads.

What cannot be brought there is held at the desk, asked again later, or comes back as failed, under
etcd's name of the error. Refuses to know what enters a log: that is leading.py's.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.language.entries import Proposal
from actors.language.members import NOBODY, MemberChange
from actors.raft.elector import Elector
from actors.raft.leader import Leader
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
from cluster.errors import FaultName, MaybeFault


class Forwarder:
    """One member's way to whoever leads as far as its elector knows."""

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
        """Another member leads now: what waits goes to it, and what is open is asked again.

        What was passed to the last leader may be lost, or may yet come back: nobody can tell.
        """
        self._desk.leader_changed()
        self.pass_on_held(now_ms)
        self.ask_open_reads()

    def _may_pass_on(self) -> bool:
        # On probation its name on an entry, published or in the log, would speak against it after
        # a restart: as that of a member that has been here before.
        return self._elector.leader != NOBODY and self._elector.probation is None

    # --- proposals ---

    def pass_on(self, proposals: Sequence[Proposal], now_ms: int) -> None:
        """Send proposals to the leader, or hold them until one is known.

        Ticket 0 has no reader: such a proposal is sent to the leader and forgotten, for who made it
        makes it again.
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
        """A leader is known, or heard again: what the last one refused, or missed, goes to it."""
        self.pass_on(self._desk.take_held(), now_ms)

    def under_way(self) -> bool:
        """Whether something that a leader got has not come back in the log yet."""
        return self._elector.leader != NOBODY and self._desk.under_way()

    def refuse(self, proposals: Sequence[Proposal], name: MaybeFault) -> None:
        """Tell those who wait elsewhere that these did not enter the log here.

        Without a name nothing is wrong with them: they may be passed on again.
        """
        term = self._elector.term
        for origin in sorted({p.origin for p in proposals if p.ticket}):
            tickets = tuple(p.ticket for p in proposals if p.origin == origin)
            self._outbox.say(ForwardRefusal(self._own_id, origin, term, tickets, name))

    # --- reads (dissertation 6.4) ---

    def open_read(self, now_ms: int) -> int:
        """A new read's id; the leader is asked which index it needs."""
        read_id = self._reads.open(now_ms)
        self._ask(read_id)
        return read_id

    def ask_open_reads(self) -> None:
        """Ask for all that is open: another leader does not know of it."""
        for read_id in self._reads.open_ids():
            self._ask(read_id)

    def ask_reads_again(self, now_ms: int) -> None:
        """A question to the leader, or its answer, may have been lost."""
        for read_id in self._reads.ask_again(now_ms - self._ask_again_ms, now_ms):
            self._ask(read_id)

    def reads_due_ms(self) -> int | None:
        """When `ask_reads_again` has something to do next."""
        asked_ms = self._reads.oldest_asked_ms()
        return None if asked_ms is None else asked_ms + self._ask_again_ms

    def _ask(self, read_id: int) -> None:
        elector = self._elector
        if isinstance(elector.role, Leader):
            elector.role.add_read(self._own_id, read_id, self._replica.commit)
        elif elector.leader != NOBODY:
            self._outbox.say(ReadRequest(self._own_id, elector.leader, elector.term, read_id))

    # --- changes of members ---

    def ask_change(self, change: MemberChange, ticket: int) -> MaybeFault:
        """Ask the leader for a change of members; or the name of the error that refuses it."""
        if not self._may_pass_on():
            return "NoLeader"
        leader, term = self._elector.leader, self._elector.term
        self._outbox.say(ChangeRequest(self._own_id, leader, term, ticket, change))
        return ""

    def refuse_change(self, request: ChangeRequest, name: FaultName) -> None:
        """Tell a member that a change which it passed on did not begin."""
        term = self._elector.term
        self._outbox.say(ChangeRefusal(self._own_id, request.source, term, request.ticket, name))
