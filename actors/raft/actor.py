"""RaftActor: carries the core's decisions out - peers' sockets, WAL, and word to the neighbours.

It has no rule of Raft in it. What is durable, who is told, and in which order, is `_flush`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final, Protocol, assert_never

from actors.base import Clock, NodeActor, send
from actors.mailbox import Mailbox
from actors.messages import (
    Apply,
    ClusterClock,
    ConfirmedRead,
    Drained,
    Durable,
    Failed,
    Leadership,
    PeerFrames,
    PeersDown,
    Propose,
    Question,
    Read,
    Tick,
    Ticket,
)
from actors.raft.codec import PeerCodec
from actors.raft.core import RaftCore
from actors.raft.outcome import Standing
from actors.raft.rpc import Entry, HardState, Message, Proposal
from actors.store.commands import Failure, RaftStatus, Status
from cluster.wire import WireError

FLUSH_PROPOSALS_MAX: Final = 1_024
"""A flush does not wait for the mailbox to run empty beyond so many proposals."""

GATHER_PROPOSALS: Final = 64
GATHER_MS: Final = 2
"""While much is under way, a smaller burst of proposals waits for company, but only so long: fewer
and larger flushes cost every member less."""

READS_WAITING_MAX: Final = 20_000

log = logging.getLogger("leasehold.raft")

RaftMessage = Propose | PeerFrames | Read | Drained | Tick | Durable | PeersDown


class Links(Protocol):
    """The way to the other members (cluster.links.PeerLinks); delivery is not promised."""

    def send(self, member_id: int, frame: bytes) -> bool:
        """Send without waiting; False when the frame was dropped."""

    def close(self) -> None:
        """Close every link."""


class Storage(Protocol):
    """Where promises are kept (raft.wal.Wal)."""

    def save(self, hard_state: HardState, entries: tuple[Entry, ...]) -> None:
        """Return when all of it is durable; raise, and never be asked again, when it is not."""

    def close(self) -> None:
        """Close the files."""


class RaftActor(NodeActor):
    """One member's consensus. `open_links` attaches the peers' sockets to a mailbox."""

    def __init__(
        self,
        core: RaftCore,
        storage: Storage,
        codec: PeerCodec,
        open_links: Callable[[Mailbox], Links],
        clock: Clock,
    ) -> None:
        super().__init__()
        self._core = core
        self._storage = storage
        self._codec = codec
        self._open_links = open_links
        self._clock = clock
        self._proposals: list[Proposal] = []
        self._gather_until_ms: int | None = None
        self._questions: list[Question] = []
        self._reading: dict[int, tuple[int, list[Question]]] = {}
        self._links: Links | None = None

    def open(self) -> None:
        self._links = self._open_links(self.mailbox)
        self._flush()

    def receive(self, message: RaftMessage) -> None:
        match message:
            case Propose(proposals):
                self._proposals += proposals
                if len(self._proposals) >= FLUSH_PROPOSALS_MAX:
                    self._flush()
            case PeerFrames(frames):
                self._step(frames)
            case Read(questions):
                self._read(questions)
            case Drained():
                self._flush()
            case Tick(now_ms):
                self._forget_old_reads(now_ms)
                self._core.tick(now_ms)
            case Durable():
                pass  # the log is kept whole until there are snapshots to help slow followers
            case PeersDown(member_ids):
                for member_id in member_ids:
                    self._core.peer_down(member_id, self._clock())
            case _:
                assert_never(message)

    def close(self) -> None:
        if self._links is not None:
            self._links.close()
        self._storage.close()

    # --- the durability contract, top to bottom ---

    def _flush(self) -> None:
        now_ms = self._clock()
        # What the last acknowledgements committed is on a quorum of disks: somebody waits for it.
        self._tell_decided(now_ms)
        self._hand_over(now_ms)
        while True:
            output = self._core.output(now_ms)
            self._send(output.messages)
            if output.hard_state is not None:
                self._storage.save(output.hard_state, output.entries)  # one fsync per burst
            self._send(output.promises)
            self._core.persisted(now_ms)
            self._tell_decided(now_ms)
            if not self._core.has_more():
                break
        self.mailbox.wake_at(self._core.next_tick_ms)

    def _hand_over(self, now_ms: int) -> None:
        """Give the core what has gathered since the last flush."""
        if self._proposals and not self._should_gather(now_ms):
            self._core.propose(self._proposals, now_ms)
            self._proposals = []
            self._gather_until_ms = None
        if self._questions:
            read_id = self._core.read_index(now_ms)
            self._reading[read_id] = (now_ms, self._questions)
            self._questions = []

    def _should_gather(self, now_ms: int) -> bool:
        if len(self._proposals) >= GATHER_PROPOSALS or not self._core.under_way():
            return False
        if self._gather_until_ms is None:
            self._gather_until_ms = now_ms + GATHER_MS
            self.mailbox.wake_at(self._gather_until_ms)
        return now_ms < self._gather_until_ms

    def _tell_decided(self, now_ms: int) -> None:
        """Say what is committed before the reads that must see it."""
        decided = self._core.decided(now_ms)
        if decided.standing is not None:
            self._tell_standing(decided.standing)
        if decided.committed:
            send(self.ring.store, Apply(decided.committed))
        for read_id, cluster_ms in decided.reads:
            _, questions = self._reading.pop(read_id, (0, []))
            if questions:
                send(self.ring.store, ConfirmedRead(tuple(questions), cluster_ms))
        for tickets, name, outcome_unknown in decided.failed:
            send(self.ring.gateway, Failed(tickets, Failure(name), outcome_unknown))

    # --- peers ---

    def _step(self, frames: Iterable[bytes]) -> None:
        now_ms = self._clock()
        for frame in frames:
            try:
                message = self._codec.decode(frame)
            except WireError as error:
                # A peer's oddity is not our failure: whatever it was, Raft sends again.
                log.warning("ignored a peer message: %s", error)
                continue
            self._core.step(message, now_ms)

    def _send(self, messages: Iterable[Message]) -> None:
        if self._links is None:
            return
        for message in messages:
            self._links.send(message.target, self._codec.encode(message))

    # --- reads ---

    def _read(self, questions: tuple[Question, ...]) -> None:
        for question in questions:
            if isinstance(question.query, Status):
                self._answer_status(question.ticket)
            elif len(self._questions) < READS_WAITING_MAX:
                self._questions.append(question)
            else:
                busy = Failed((question.ticket,), Failure("TooManyRequests"), False)
                send(self.ring.gateway, busy)

    def _answer_status(self, ticket: Ticket) -> None:
        """A member's own state needs no quorum, and is wanted most when there is none."""
        status = RaftStatus(
            leader=self._core.leader,
            term=self._core.term,
            last_index=self._core.replica.log.last_index,
            is_learner=False,
        )
        question = Question(ticket, Status(status))
        send(self.ring.store, ConfirmedRead((question,), cluster_ms=0))

    def _forget_old_reads(self, now_ms: int) -> None:
        """The gateway has answered these long ago: their time was up."""
        oldest_ms = now_ms - self._core.config.hold_ms
        for read_id, (since_ms, _) in list(self._reading.items()):
            if since_ms >= oldest_ms:
                break
            del self._reading[read_id]
            self._core.forget_read(read_id)

    # --- who leads ---

    def _tell_standing(self, standing: Standing) -> None:
        clock = None if standing.clock is None else ClusterClock(*standing.clock)
        leadership = Leadership(standing.leader, standing.term, clock)
        log.info("term %d: leader %x", standing.term, standing.leader)
        for address in (self.ring.gateway, self.ring.lease, self.ring.watch):
            send(address, leadership)
