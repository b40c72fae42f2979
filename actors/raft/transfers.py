"""Transfers of leadership (dissertation 3.10): the one that is under way, and how the last ended.

One runs at a time, for one election timeout at most, for the leader takes no proposals meanwhile.
How it ended shows only by who leads then, so a transfer is followed up after this member has
stopped leading. Refuses to know what becomes of the proposals.
"""

from __future__ import annotations

from typing import NamedTuple

from actors.language.members import NOBODY
from actors.raft.elector import Elector
from actors.raft.leader import Leader
from actors.raft.outbox import Outbox
from actors.raft.outcome import CoreConfig, Transferred
from actors.raft.roster import Roster
from actors.raft.rpc import TimeoutNow
from cluster.faults import MaybeFault


class Handover(NamedTuple):
    """The leader of `term` hands over to `target`; at `until_ms` it gives up, and leads on."""

    target: int
    term: int
    until_ms: int

    def outcome(self, leader: int, term: int, now_ms: int) -> bool | None:
        """Whether it has succeeded, with this `leader` in this `term`; None: it is not over."""
        if leader == self.target:
            return True
        # While no leader is known, or this member still leads, the target may be standing.
        another = leader != NOBODY and term > self.term
        return False if another or now_ms >= self.until_ms else None


class Transfers:
    """The transfers that one member was asked for while it led.

    `due_ms` is when the one under way fails, unless it ends before; None: none is under way.
    `ended` are those that are over, since the last `take_ended`.
    """

    def __init__(
        self, config: CoreConfig, elector: Elector, roster: Roster, outbox: Outbox
    ) -> None:
        self._own_id = config.member_id
        self._timeout_ms = config.election_timeout_ms
        self._elector = elector
        self._roster = roster
        self._outbox = outbox
        self._under_way: Handover | None = None
        self.due_ms: int | None = None
        self.ended: list[Transferred] = []

    def begin(self, target: int, now_ms: int) -> MaybeFault:
        """Begin a transfer, or join the one to the same target; returns an error's name, or "".

        To join does not prolong it: a client that asks again and again must not stop the writes.
        """
        leader = self._elector.leads_as
        if leader is None:
            return "NotLeader"
        if target == self._own_id:
            self.ended.append(Transferred(target, True))  # it leads already, as asked (as in etcd)
            return ""
        if target not in self._roster.configuration.voters:
            return "BadLeaderTransferee"
        if self._under_way is None:
            self.due_ms = now_ms + self._timeout_ms
            self._under_way = Handover(target, leader.term, self.due_ms)
        self.maybe_hand_over(leader)
        return "" if self._under_way.target == target else "TransferUnderWay"

    def maybe_hand_over(self, leader: Leader) -> None:
        """Let the target stand as soon as it has the whole log (dissertation 3.10).

        With less of it the target might win no majority.
        """
        target = self.target
        peer = leader.peers.get(target) if target else None  # the target may have been removed
        if peer is not None and peer.match == leader.log.last_index:
            self._outbox.say(TimeoutNow(self._own_id, target, leader.term))

    @property
    def target(self) -> int:
        """The member to which this leader is handing over now; 0: none, or it does not lead."""
        under_way, leader = self._under_way, self._elector.leads_as
        # An earlier leadership of this member may have begun it.
        is_own = under_way is not None and leader is not None and leader.term == under_way.term
        return under_way.target if under_way is not None and is_own else NOBODY

    def maybe_end(self, now_ms: int) -> bool:
        """Judge the transfer under way by who leads now; returns whether it is over."""
        under_way = self._under_way
        if under_way is None:
            return False
        succeeded = under_way.outcome(self._elector.leader, self._elector.term, now_ms)
        if succeeded is None:
            return False
        self._under_way = self.due_ms = None
        self.ended.append(Transferred(under_way.target, succeeded))
        return True

    def take_ended(self) -> tuple[Transferred, ...]:
        """The transfers that are over, since the last call."""
        ended, self.ended = self.ended, []
        return tuple(ended)
