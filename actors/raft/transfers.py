"""Transfers of leadership (dissertation 3.10): the one that is under way, and how the last ended.

One at a time, and each for one election timeout at most: a leader takes no proposals meanwhile.
What began as a leader is judged after it, too: only who leads then tells how a transfer ended.
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
from cluster.errors import MaybeFault


class _UnderWay(NamedTuple):
    """The leader of `term` has it handed over to `target` until then, or goes on by itself."""

    target: int
    term: int
    until_ms: int


class Transfers:
    """Those that one member was asked for while it led.

    `due_ms` is when the one under way has failed, unless it ends before; None: there is none.
    `ended` are those that are over and not told yet.
    """

    def __init__(
        self, config: CoreConfig, elector: Elector, roster: Roster, outbox: Outbox
    ) -> None:
        self._own_id = config.member_id
        self._timeout_ms = config.election_timeout_ms
        self._elector = elector
        self._roster = roster
        self._outbox = outbox
        self._under_way: _UnderWay | None = None
        self.due_ms: int | None = None
        self.ended: list[Transferred] = []

    def begin(self, target: int, now_ms: int) -> MaybeFault:
        """Begin one; the same again is the one that is under way. Or the name of an error.

        It does not begin anew: to ask again and again must not stop the writes for longer.
        """
        leader = self._elector.role
        if not isinstance(leader, Leader):
            return "NotLeader"
        if target == self._own_id:
            self.ended.append(Transferred(target, True))
            return ""
        if target not in self._roster.configuration.voters:
            return "BadLeaderTransferee"
        if self._under_way is None:
            self.due_ms = now_ms + self._timeout_ms
            self._under_way = _UnderWay(target, leader.term, self.due_ms)
        self.maybe_hand_over(leader)
        return "" if self._under_way.target == target else "TransferUnderWay"

    def maybe_hand_over(self, leader: Leader) -> None:
        """Let the chosen successor stand as soon as it has the whole log (dissertation 3.10)."""
        target = self.target
        peer = leader.peers.get(target) if target else None  # it may be a member no more
        if peer is not None and peer.match == leader.log.last_index:
            self._outbox.say(TimeoutNow(self._own_id, target, leader.term))

    @property
    def target(self) -> int:
        """To whom this leader is handing over just now; 0: to nobody, or it does not lead."""
        under_way, role = self._under_way, self._elector.role
        # What an earlier leadership of this member began is not this one's.
        is_own = under_way is not None and isinstance(role, Leader) and role.term == under_way.term
        return under_way.target if under_way is not None and is_own else NOBODY

    def maybe_end(self, now_ms: int) -> bool:
        """Judge the one under way by who leads now; whether it is over."""
        under_way = self._under_way
        if under_way is None:
            return False
        leader, term = self._elector.leader, self._elector.term
        # Nobody, or this member still, is no end: the target may be standing just now.
        another = leader not in (NOBODY, under_way.target) and term > under_way.term
        succeeded = leader == under_way.target
        if not (succeeded or another or now_ms >= under_way.until_ms):
            return False
        self._under_way = self.due_ms = None
        self.ended.append(Transferred(under_way.target, succeeded))
        return True

    def take_ended(self) -> tuple[Transferred, ...]:
        """How those ended that are over since the last call."""
        ended, self.ended = self.ended, []
        return tuple(ended)
