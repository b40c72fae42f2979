"""LeaseActor: on the leader, notices that leases are due and proposes their end.

On every node it learns what the store says of leases, so that a new leader can go on at once; only
a leader with a cluster clock proposes. Which leases are due is the book's to say, and whether they
really end is decided when the entry is applied.
"""

from __future__ import annotations

from typing import Final, assert_never

from actors.language.codec import encode_command
from actors.language.commands import AdvanceClock, LeaseExpire
from actors.language.entries import NO_TICKET, Proposal
from actors.language.members import NOBODY
from actors.language.messages import ClusterClock, Drained, Leadership, LeaseFacts, Propose, Tick
from actors.lease.book import LeaseBook
from actors.runtime.base import Clock, NodeActor, send

EXPIRIES_PER_ENTRY_MAX: Final = 50
"""An entry is applied as a whole, and whatever comes behind it waits so long."""

CLOCK_ENTRY_INTERVAL_MS: Final = 1_000
"""While there are leases, the log learns the cluster time at least so often: a restart of the whole
cluster then goes on from a time that is no older."""

_CLOCK_ENTRY: Final = encode_command(AdvanceClock(), None)

LeaseMessage = LeaseFacts | Drained | Tick | Leadership


class LeaseActor(NodeActor):
    """Between the store's facts and the log."""

    def __init__(self, book: LeaseBook, clock: Clock) -> None:
        super().__init__()
        self._book = book
        self._clock = clock
        # Set while this node leads and knows the cluster time.
        self._cluster: ClusterClock | None = None
        self._clock_entry_at_ms = 0

    def receive(self, message: LeaseMessage) -> None:
        match message:
            case LeaseFacts(facts):
                for lease_id, deadline_ms in facts:
                    self._book.learn(lease_id, deadline_ms)
                self._work(self._clock())
            case Drained():
                pass
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
        """Propose what is due, and ask to be woken for what will be."""
        if self._cluster is None or not len(self._book):
            return
        cluster_ms = self._cluster.at(now_ms)
        while expiries := self._book.expire(cluster_ms, EXPIRIES_PER_ENTRY_MAX):
            command = encode_command(LeaseExpire(expiries), None)
            self._propose(command)
        if now_ms >= self._clock_entry_at_ms:
            self._propose(_CLOCK_ENTRY)
            self._clock_entry_at_ms = now_ms + CLOCK_ENTRY_INTERVAL_MS
        self.mailbox.wake_at(self._clock_entry_at_ms)
        due_ms = self._book.next_due_ms()
        if due_ms is not None:
            self.mailbox.wake_at(now_ms + max(0, due_ms - cluster_ms))

    def _propose(self, command: bytes) -> None:
        send(self.ring.raft, Propose((Proposal(NOBODY, NO_TICKET, command),)))
