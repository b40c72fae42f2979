"""LeaseActor: on the leader, notices that leases are due and proposes their end.

On every node it learns the deadlines from the store, so that a new leader can go on at once; only a
leader with a cluster clock proposes. The book says which leases are due. Whether a lease really
ends is decided when the entry is applied.
"""

from __future__ import annotations

from typing import Final, assert_never

from actors.language.auth import NODE
from actors.language.codec import encode_command
from actors.language.commands import AdvanceClock, LeaseExpire
from actors.language.entries import NO_TICKET, ClusterClock, Proposal
from actors.language.members import NOBODY
from actors.language.messages import Leadership, LeaseFacts, Propose, Tick
from actors.lease.book import LeaseBook
from actors.runtime.base import Clock, NodeActor

EXPIRIES_PER_ENTRY_MAX: Final = 50
"""An entry is applied as a whole, and everything behind it waits: so it ends at most 50 leases."""

CLOCK_ENTRY_INTERVAL_MS: Final = 1_000
"""While there are leases, an entry records the cluster time every second. After a restart of the
whole cluster the time goes on from the last entry, so no lease lives much longer for it."""

_CLOCK_ENTRY: Final = encode_command(AdvanceClock(), None, NODE)

LeaseMessage = LeaseFacts | Tick | Leadership


class LeaseActor(NodeActor):
    """Turns the store's facts about leases into proposals to expire them."""

    def __init__(self, book: LeaseBook, clock: Clock) -> None:
        super().__init__()
        self._book = book
        self._clock = clock
        # Set only while this node leads and knows the cluster time: so a follower never proposes.
        self._cluster: ClusterClock | None = None
        self._clock_entry_at_ms = 0

    def receive(self, message: LeaseMessage) -> None:
        match message:
            case LeaseFacts(facts):
                for lease_id, deadline_ms in facts:
                    self._book.learn(lease_id, deadline_ms)
                self._work(self._clock())
            case Tick(now_ms):
                self._work(now_ms)
            case Leadership(_, _, cluster):
                self._lead(cluster)
            case _:
                assert_never(message)

    def _lead(self, cluster: ClusterClock | None) -> None:
        self._book.forget_proposals()
        self._cluster = cluster
        now_ms = self._clock()
        self._clock_entry_at_ms = now_ms + CLOCK_ENTRY_INTERVAL_MS
        self._work(now_ms)

    def _work(self, now_ms: int) -> None:
        """Propose the leases that are due, and ask to be woken for the next one."""
        if self._cluster is None or not len(self._book):
            return
        cluster_ms = self._cluster.at(now_ms)
        # Ends, since the book gives no lease twice within RETRY_MS, and no more than may be in
        # flight.
        while expiries := self._book.expire(cluster_ms, EXPIRIES_PER_ENTRY_MAX):
            command = encode_command(LeaseExpire(expiries), None, NODE)
            self._propose(command)
        if now_ms >= self._clock_entry_at_ms:
            self._propose(_CLOCK_ENTRY)
            self._clock_entry_at_ms = now_ms + CLOCK_ENTRY_INTERVAL_MS
        self.mailbox.wake_at(self._clock_entry_at_ms)
        due_ms = self._book.next_due_ms()
        # The deadline is in cluster time, and the mailbox knows only this node's clock.
        if due_ms is not None:
            self.mailbox.wake_at(now_ms + max(0, due_ms - cluster_ms))

    def _propose(self, command: bytes) -> None:
        self.ring.raft.tell(Propose((Proposal(NOBODY, NO_TICKET, command),)))
