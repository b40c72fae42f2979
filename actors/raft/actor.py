"""RaftActor: carries the core's decisions out - peers' sockets, WAL, and word to the neighbours.

It has no rule of Raft in it. What is durable, who is told, and in which order, is `_flush`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, assert_never

from actors.language.entries import Proposal
from actors.language.messages import (
    Apply,
    ChangeMembers,
    ClusterClock,
    ConfirmedRead,
    Drained,
    Durable,
    Failed,
    HandOver,
    Leadership,
    Moved,
    MoveLeader,
    PeerFrames,
    PeersDown,
    Propose,
    Published,
    Question,
    Read,
    SnapshotInstalled,
    SnapshotTaken,
    Tick,
    Ticket,
)
from actors.language.queries import RaftStatus, Status
from actors.language.results import Failure
from actors.raft.admission import Admission
from actors.raft.codec import PeerCodec
from actors.raft.core import RaftCore
from actors.raft.for_store import for_store, question_of
from actors.raft.inquiry import Inquiry
from actors.raft.neighbours import Links, Neighbours, complaint_of
from actors.raft.outcome import Ending, Standing
from actors.raft.rpc import Introduction, JoinRequest, Message, SnapshotAck, SnapshotChunk, Welcome
from actors.raft.shipping import Shipping, Storage
from actors.raft.verdicts import Verdicts
from actors.runtime.base import Clock, NodeActor, send
from actors.runtime.complaints import Complaints
from actors.runtime.mailbox import Mailbox
from cluster.errors import MaybeFault
from cluster.wire import WireError

FLUSH_PROPOSALS_MAX: Final = 1_024
"""A flush does not wait for the mailbox to run empty beyond so many proposals."""

GATHER_PROPOSALS: Final = 64
GATHER_MS: Final = 2
"""While much is under way, a smaller burst of proposals waits for company, but only so long: fewer
and larger flushes cost every member less."""

LOOK_FOR_ROOM_MS: Final = 1_000

READS_WAITING_MAX: Final = 20_000

log = logging.getLogger("leasehold.raft")

RaftMessage = (
    Propose
    | PeerFrames
    | Read
    | Drained
    | Tick
    | Durable
    | ChangeMembers
    | SnapshotTaken
    | SnapshotInstalled
    | MoveLeader
    | HandOver
    | PeersDown
    | Published
)


class Retention(NamedTuple):
    """How much of the log stays in memory and on disk for members that lag a little."""

    entries: int
    bytes: int


class RaftActor(NodeActor):
    """One member's consensus. `open_links` attaches the peers' sockets to a mailbox.

    `on_ending` is called once this member is sure that it must not go on, and why.
    """

    def __init__(
        self,
        core: RaftCore,
        storage: Storage,
        codec: PeerCodec,
        shipping: Shipping,
        retention: Retention,
        open_links: Callable[[Mailbox], Links],
        clock: Clock,
        on_ending: Callable[[Ending], None],
        inquiry: Inquiry,
        asked_urls: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._core = core
        self._storage = storage
        self._codec = codec
        self._shipping = shipping
        self._retention = retention
        self._inquiry = inquiry
        self._look_for_room_ms = 0
        # Who is to be told how a transfer of leadership ends, by its target.
        self._movers: dict[int, list[Callable[[bool], None]]] = {}
        self._open_links = open_links
        self._clock = clock
        self._complaints = Complaints(clock, log)
        self._verdicts = Verdicts(on_ending, self._complaints)
        self._proposals: list[Proposal] = []
        self._gather_until_ms: int | None = None
        self._questions: list[Question] = []
        self._reading: dict[int, tuple[int, list[Question]]] = {}
        self._admission = Admission(core)
        self._asked_urls = asked_urls
        self._neighbours: Neighbours | None = None

    def open(self) -> None:
        links = self._open_links(self.mailbox)
        self._neighbours = Neighbours(
            self._core, self._codec, links, self._admission, self._asked_urls
        )
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
                self._look_for_room(now_ms)
                self._complaints.tick(now_ms)
                self._core.tick(now_ms)
            case Durable(applied_index):
                self._forget_log(applied_index)
            case ChangeMembers(change, ticket):
                self._core.change_members(change, ticket, self._clock())
            case SnapshotTaken():
                self._shipping.taken(message, self._clock())
            case SnapshotInstalled():
                self._shipping.installed(message)
            case MoveLeader(target, ticket):
                self._move_leader(target, ticket)
            case HandOver(done):
                target = self._core.transferee or self._core.best_successor
                if self._transfer(target, lambda moved: done()):
                    done()  # there is nothing to hand over, or nobody to take it
            case Published(members):
                if self._neighbours is not None:
                    self._neighbours.know(dict(members))
            case PeersDown(member_ids):
                for member_id in member_ids:
                    self._core.peer_down(member_id, self._clock())
            case _:
                assert_never(message)

    def close(self) -> None:
        if self._neighbours is not None:
            self._neighbours.close()
        self._shipping.close()
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
                self._storage.save(output.hard_state, output.entries, output.start)  # one fsync
            self._send(output.promises)
            self._core.persisted(now_ms)
            self._tell_decided(now_ms)
            if not self._core.has_more():
                break
        self._arm(now_ms)

    def _arm(self, now_ms: int) -> None:
        self.mailbox.wake_at(self._core.next_tick_ms)
        ask_ms = self._inquiry.tick(self._neighbours, now_ms) if self._neighbours else None
        end_ms = self._verdicts.carry_out(now_ms)
        for wake_ms in (self._shipping.next_wake_ms(), ask_ms, end_ms):
            if wake_ms is not None:
                self.mailbox.wake_at(wake_ms)

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
        if decided.membership is not None and self._neighbours is not None:
            self._neighbours.follow(decided.membership)
        if decided.standing is not None:
            self._tell_standing(decided.standing)
        if decided.committed:
            send(self.ring.store, Apply(for_store(decided.committed)))
        for read_id, cluster_ms in decided.reads:
            _, questions = self._reading.pop(read_id, (0, []))
            if questions:
                send(self.ring.store, ConfirmedRead(tuple(questions), cluster_ms))
        for tickets, name, outcome_unknown in decided.failed:
            send(self.ring.gateway, Failed(tickets, Failure(name), outcome_unknown))
        if decided.certain is not None:
            send(self.ring.store, ConfirmedRead((question_of(decided.certain),), cluster_ms=0))
        for target, succeeded in decided.transferred:
            for mover in self._movers.pop(target, ()):
                mover(succeeded)
        self._send(self._shipping.serve(decided.behind, self.ring.store, now_ms))
        if decided.is_proven and self._neighbours is not None:
            self._inquiry.proven(self._neighbours, now_ms)
        self._verdicts.take(decided, self.ring.store, now_ms)

    # --- peers ---

    def _step(self, frames: Iterable[bytes]) -> None:
        now_ms = self._clock()
        for frame in frames:
            try:
                message = self._codec.decode(frame)
            except WireError as error:
                # A peer's oddity is not our failure: whatever it was, Raft sends again.
                self._complaints.say(*complaint_of(frame, error))
                continue
            if isinstance(message, JoinRequest | Introduction | Welcome):
                self._meet(message, now_ms)
            elif self._admits(message, now_ms):
                self._core.step(message, now_ms)
                self._ship(message, now_ms)

    def _admits(self, message: Message, now_ms: int) -> bool:
        """Whether the core may see a message; if not, that is said, and who it is from asked."""
        refusal = self._admission.refusal(message)
        if not refusal and isinstance(message, SnapshotChunk | SnapshotAck):
            refusal = self._shipping.refusal(message)
        if refusal:
            self._complain(message, message.source, refusal)
            if self._neighbours is not None and self._admission.is_news(message, refusal):
                self._neighbours.ask(now_ms)
        return not refusal

    def _ship(self, message: Message, now_ms: int) -> None:
        if isinstance(message, SnapshotChunk):
            ack = self._shipping.received(message, self.ring.store)
            if ack is not None:
                self._send([ack])
        elif isinstance(message, SnapshotAck):
            self._shipping.acknowledged(message, now_ms)

    def _meet(self, message: JoinRequest | Introduction | Welcome, now_ms: int) -> None:
        if self._neighbours is None:
            return
        match message:
            case JoinRequest():
                self._neighbours.welcome(message, now_ms)
            case Introduction():
                refusal = self._neighbours.introduced(message)
                self._complain(message, message.member_id, refusal)
            case Welcome():
                by_core = self._core.welcomed(message, now_ms)
                refusal = self._neighbours.welcomed(message, is_believed=by_core)
                self._complain(message, message.source, refusal)

    def _complain(self, message: object, source: int, refusal: str) -> None:
        if refusal:
            kind = type(message).__name__
            self._complaints.say(refusal, f"ignored a {kind} of member {source:x}: {refusal}")

    def _send(self, messages: Iterable[Message]) -> None:
        if self._neighbours is not None:
            self._neighbours.send(messages, self._clock())

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
            is_learner=not self._core.is_voter,
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
        leadership = Leadership(standing.leader, standing.term, clock, standing.is_learner)
        log.info("term %d: leader %x", standing.term, standing.leader)
        for address in (self.ring.gateway, self.ring.store, self.ring.lease, self.ring.watch):
            send(address, leadership)

    def _move_leader(self, target: int, ticket: Ticket) -> None:
        def answer(moved: bool) -> None:
            if moved:
                send(self.ring.gateway, Moved(ticket))
            else:
                send(self.ring.gateway, Failed((ticket,), Failure("TimeoutLeaderTransfer"), False))

        refusal = self._transfer(target, answer)
        if refusal:
            send(self.ring.gateway, Failed((ticket,), Failure(refusal), False))

    def _transfer(self, target: int, then: Callable[[bool], None]) -> MaybeFault:
        """Begin a transfer, and call `then` with how it ended; or the name of what refuses it."""
        refusal = self._core.transfer(target, self._clock()) if target else "NotLeader"
        if refusal:
            return refusal
        self._movers.setdefault(target, []).append(then)
        return ""

    # --- the disk ---

    def _look_for_room(self, now_ms: int) -> None:
        """Refuse writes before the disk is full, and take them again when there is room."""
        if now_ms < self._look_for_room_ms:
            return
        self._look_for_room_ms = now_ms + LOOK_FOR_ROOM_MS
        is_full = not self._storage.has_room()
        if is_full != self._core.is_full:
            log.warning("the disk %s", "is nearly full: refusing writes" if is_full else "has room")
            self._core.is_full = is_full

    def _forget_log(self, applied_index: int) -> None:
        keep_after = self._shipping.keep_after
        if keep_after is not None:
            applied_index = min(applied_index, keep_after)
        index = self._core.compact(applied_index, *self._retention)
        self._storage.cut(index)
