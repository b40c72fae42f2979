"""RaftActor: carries the core's decisions out, by the peers' sockets, the WAL and the other actors.

`settle` says what is durable, who is told, and in which order. Refuses to know any rule of Raft.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import assert_never

from actors.language.inboxes import ToRaft
from actors.language.members import Knock
from actors.language.messages import (
    Accuse,
    Apply,
    ChangeMembers,
    ConfirmedRead,
    Durable,
    Failed,
    HandOver,
    InstallSnapshot,
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
    Synced,
    TakeSnapshot,
    Tick,
)
from actors.language.metrics import Survey
from actors.language.queries import Status
from actors.language.results import Failure
from actors.raft.admission import Admission
from actors.raft.callers import Callers, Complaint
from actors.raft.codec import PeerCodec
from actors.raft.core import RaftCore
from actors.raft.counts import Counts
from actors.raft.disk.mark import Mark
from actors.raft.disk.room import RoomWatch
from actors.raft.disk.shipping import Shipping, Told
from actors.raft.for_store import for_store, leadership_of, question_of, status_of
from actors.raft.gathering import Gathering
from actors.raft.inquiry import Inquiry
from actors.raft.keyring import Keyring
from actors.raft.last_words import LastWords
from actors.raft.movers import Mover, Movers, answer
from actors.raft.narrator import Narrator
from actors.raft.neighbours import Neighbours
from actors.raft.outcome import Decided, LeaderNews
from actors.raft.probation import Probation
from actors.raft.readers import Readers
from actors.raft.rpc import SnapshotAck, SnapshotChunk
from actors.raft.seams import Links, Storage, Waits
from actors.raft.surroundings import LogRetention, Surroundings
from actors.runtime.base import Clock, NodeActor
from actors.runtime.telling import tell_all
from cluster.logs import complain

log = logging.getLogger("leasehold.raft")


class RaftActor(NodeActor):
    """One member's consensus; the `mark` on its disk stands while it is on probation."""

    # From `open` on: links belong to the actor's thread.
    _neighbours: Neighbours
    _callers: Callers

    def __init__(
        self,
        core: RaftCore,
        storage: Storage,
        waits: Waits,
        mark: Mark,
        codec: PeerCodec,
        shipping: Shipping,
        retention: LogRetention,
        surroundings: Surroundings,
        clock: Clock,
    ) -> None:
        super().__init__()
        self.core = core
        self.mark = mark
        self._storage = storage
        self._waits = waits
        # Messages that touch the disk, and have come while a save was under way.
        self._postponed: list[Durable | SnapshotInstalled] = []
        self._codec = codec
        self._shipping = shipping
        self._retention = retention
        self._surroundings = surroundings
        self._clock = clock
        self._links: Links | None = None
        self._gathering = Gathering(core.under_way)
        self._readers = Readers()
        self._movers = Movers()
        self._inquiry = Inquiry(core, surroundings.own_urls)
        self._last_words = LastWords()
        self._room = RoomWatch(core, storage)
        self._keyring: Keyring | None = None  # none: the members have no keys
        self._facts = core.elector.facts.noted
        self._narrator = Narrator(core.elector, core.roster, surroundings.names)
        self.counts = Counts(core, self._narrator, surroundings.clock_ns)

    def open(self) -> None:
        core, surroundings, admission = self.core, self._surroundings, Admission(self.core)
        self._links = surroundings.open_links(self.mailbox)
        self._neighbours = Neighbours(
            core, self._codec, self._links, admission, surroundings, self.counts.trips
        )
        if surroundings.keys is not None:
            self._keyring = Keyring(core, admission, surroundings.keys(), self._neighbours.asked)
            self._keyring.lock()
        others = self._neighbours, self._narrator.names, self._shipping.refusal, self._keyring
        self._callers = Callers(core, self._codec, admission, *others)
        tell_all(self._narrator.look(core.term), log)
        self.settle()
        self.mailbox.wake_at(self._neighbours.ping(self._clock()))

    def receive(self, message: ToRaft) -> None:
        match message:
            case Propose(proposals):
                self._gathering.proposals += proposals
            case PeerFrames(frames):
                self._hear(frames)
            case Read(questions):
                self._read(questions)
            case Tick(now_ms):
                self._on_tick(now_ms)
            case Synced():
                self._synced()
            case Durable() | SnapshotInstalled() if self._waits.is_busy:
                self._postponed.append(message)
            case Durable(applied_index):
                self._forget_log(applied_index)
            case ChangeMembers(change, ticket):
                if self._keyring is None or not self._keyring.takes(message, self._clock()):
                    self.core.change_members(change, ticket, self._clock())
            case SnapshotTaken():
                self._shipping.taken(message, self._clock())
            case SnapshotInstalled():
                self._shipping.installed(message)
            case MoveLeader(target):
                self._transfer(message, target)
            case HandOver():
                self._transfer(message, self.core.transferee or self.core.best_successor)
            case Published(members):
                self._neighbours.know({each.member_id: each.client_urls for each in members})
                self._narrator.names.learn({each.member_id: each.name for each in members})
            case PeersDown(member_ids):
                self._neighbours.lost(member_ids, self._clock())
                self.mailbox.wake_at(self._neighbours.ping(self._clock()))
            case Knock(key):
                complain(log, *self._callers.knocked(key, self._clock()))
            case Survey():
                counted = self._waits.durations, self._readers.slow, self._shipping.shipped
                self.ring.store.tell(message._replace(raft=self.counts.read(*counted)))
            case _:
                assert_never(message)

    def close(self) -> None:
        if self._links is not None:
            self._links.close()
        self._shipping.close()
        self._waits.close()
        self._storage.close()

    # --- the durability contract, top to bottom ---

    def settle(self) -> bool:
        core, waits, now_ms = self.core, self._waits, self._clock()
        if self._facts:
            tell_all(self._narrator.take(), log)
        leads = core.elector.leads_as is not None
        # What came in may have committed entries. Clients of the leader wait for those, so they are
        # told before the next save takes its time. And a message may be for a new member.
        if leads and self._tell_decided(now_ms):
            return True
        # A follower's answers leave first: for what is decided there, nobody waits as much.
        is_told = not self._hand_over(now_ms) and leads
        while True:
            if not waits.is_busy and core.has_output(now_ms):
                self._put_out(now_ms)
            elif is_told:
                break
            self._tell_decided(now_ms)
            is_told = True
        if waits.is_busy:
            # Only what needs no save is said meanwhile; `_synced` goes on.
            self._neighbours.send(core.speak(now_ms), now_ms)
        self._arm(now_ms)
        return False

    def _put_out(self, now_ms: int) -> None:
        """Send what may be sent, save what must be saved, and only then promise."""
        output = self.core.output(now_ms)
        # Entries go to the peers first: their disks write while this one does (10.2.1).
        if output.messages:
            self._neighbours.send(output.messages, now_ms)
        if output.save is not None:
            self._storage.write(*output.save)
            # It is told in the thread that waited.
            if not self._waits.run(self._storage.sync, lambda: self.mailbox.tell(Synced())):
                return
        self._promise(now_ms)

    def _promise(self, now_ms: int) -> None:
        """After a crash this member would still know what it has decided: so promises leave."""
        promises = self.core.persisted(now_ms)
        if promises:
            self._neighbours.send(promises, self._clock())  # a save takes its time

    def _synced(self) -> None:
        self._waits.end()
        self._promise(self._clock())
        postponed, self._postponed = self._postponed, []
        for message in postponed:
            self.receive(message)

    def _hand_over(self, now_ms: int) -> bool:
        """Give the core the proposals and reads that have gathered; whether there were any."""
        gathering, readers, found = self._gathering, self._readers, False
        if gathering.proposals and not gathering.should_wait(now_ms):
            self.core.propose(gathering.take(), now_ms)
            found = True
        if readers.waiting:
            readers.begin(self.core.read_index(now_ms), now_ms)
            found = True
        return found

    def _tell_decided(self, now_ms: int) -> bool:
        """Tell the others what is decided: first the entries, then the reads that must see them.

        Returns whether Store has something to do for a client.
        """
        if self._facts:
            tell_all(self._narrator.take(), log)
        if self._keyring is not None:
            self._keyring.lock()
        if not self.core.decisions.may_be_some() and self._shipping.courier.snapshot is None:
            return False
        decided = self.core.decided(now_ms)
        if decided.membership is not None:
            # First of all: the next messages may be for a member that is new in it.
            self._neighbours.follow(decided.membership)
        if decided.leader_news is not None:
            self._tell_leader_news(decided.leader_news)
        if decided.committed:
            self.ring.store.tell(Apply(for_store(decided.committed)))
        for read_id, cluster_ms in decided.reads:
            if questions := self._readers.confirmed(read_id, now_ms):
                self.ring.store.tell(ConfirmedRead(tuple(questions), cluster_ms))
        for tickets, name, outcome_unknown in decided.failed:
            self.ring.gateway.tell(Failed(tickets, Failure(name), outcome_unknown))
        if decided.certain is not None:
            self.ring.store.tell(ConfirmedRead((question_of(decided.certain),), cluster_ms=0))
        for target, succeeded in decided.transferred:
            for told in self._movers.ended(target, succeeded=succeeded):
                self._tell_mover(told)
        if decided.behind or self._shipping.courier.snapshot is not None:
            self._tell(self._shipping.serve(decided.behind, now_ms))
        if decided.is_proven:
            self._end_probation(now_ms)
        if decided.ending is not None or decided.accused or decided.at_odds:
            self._judge(decided, now_ms)
        return bool(decided.committed or decided.reads)

    def _end_probation(self, now_ms: int) -> None:
        """End the probation: first on the disk, then in the core, so that a crash repeats it."""
        self.mark.remove()
        self.core.admit(now_ms)
        self._neighbours.forget_asked()
        log.info("no promise of an earlier life of this member is lost: it is a full member")

    # --- time ---

    def _on_tick(self, now_ms: int) -> None:
        # The gateway has answered these reads with a timeout, so no client waits for them.
        for read_id in self._readers.give_up(now_ms - self.core.config.hold_ms):
            self.core.forget_read(read_id)
        if now_ms >= self._room.due_ms:
            self._room.look(now_ms)
        ping_ms = self._neighbours.ping_due_ms
        self.mailbox.wake_at(ping_ms if now_ms < ping_ms else self._neighbours.ping(now_ms))
        if self._keyring is not None:
            self._keyring.tick(now_ms)
        self.core.tick(now_ms)

    def _arm(self, now_ms: int) -> None:
        core, gathering, last_words = self.core, self._gathering, self._last_words
        replica, wake_at = core.replica, self.mailbox.wake_at
        wake_at(core.next_tick_ms)
        if gathering.until_ms is not None:
            wake_at(gathering.until_ms)
        if replica.handed_out < replica.commit and replica.has_committed():
            wake_at(now_ms)  # the rest of many entries, after the others had their turn
        if self._shipping.courier.snapshot is not None:
            resend_ms = self._shipping.next_wake_ms()
            if resend_ms is not None:
                wake_at(resend_ms)
        probation = self.core.elector.probation
        if probation is not None:
            self._inquire(probation, now_ms)
        if last_words.due_ms is not None:
            wake_at(last_words.due_ms)
            ending = last_words.take_due(now_ms)
            if ending is not None:
                self._surroundings.on_ending(ending)

    def _inquire(self, probation: Probation, now_ms: int) -> None:
        """Ask the others what an earlier life of this member has promised, when it is time."""
        if now_ms >= self._inquiry.due_ms:
            question, complaint = self._inquiry.ask(probation, now_ms)
            self._neighbours.inquire(question)
            if complaint:
                log.warning("%s", complaint)
        self.mailbox.wake_at(self._inquiry.due_ms)

    # --- peers ---

    def _hear(self, frames: Iterable[bytes]) -> None:
        now_ms = self._clock()
        for each in self._callers.hear(frames, now_ms):
            match each:
                case SnapshotChunk():
                    # The last one writes to the log. The leader sends one again that is dropped.
                    if not self._waits.is_busy:
                        self._tell(self._shipping.received(each))
                case SnapshotAck():
                    self._shipping.acknowledged(each, now_ms)
                case Complaint(kind, text):
                    complain(log, kind, text)

    def _judge(self, decided: Decided, now_ms: int) -> None:
        """Say which logs contradict this one, raise alarms for wrong members, and perhaps stop."""
        for member_id in decided.at_odds:
            name = self._narrator.names.of(member_id)
            text = f"the log of {name} and the log of this member contradict each other"
            complain(log, f"at odds with {name}", text)
        for member_id in decided.accused:
            self.ring.store.tell(Accuse(member_id))
        if decided.ending is not None:
            self._last_words.begin(decided.ending, now_ms)

    # --- what people, the other actors and members are told ---

    def _tell(self, told: Sequence[Told]) -> None:
        for each in told:
            if isinstance(each, TakeSnapshot | InstallSnapshot):
                self.ring.store.tell(each)
            else:
                self._neighbours.send((each,), self._clock())

    def _tell_leader_news(self, leader_news: LeaderNews) -> None:
        leadership = leadership_of(leader_news)
        tell_all(self._narrator.look(leader_news.term), log)
        self.counts.led(leader_news.leader)
        for address in (self.ring.gateway, self.ring.store, self.ring.lease, self.ring.watch):
            address.tell(leadership)

    def _read(self, questions: tuple[Question, ...]) -> None:
        own, refused = self._readers.take_in(questions)
        # A member's own status needs no quorum, and operators ask for it when there is none.
        for ticket in own:
            question = Question(ticket, Status(status_of(self.core)))
            self.ring.store.tell(ConfirmedRead((question,), cluster_ms=0))
        for ticket in refused:
            busy = Failed((ticket,), Failure("TooManyRequests"), outcome_unknown=False)
            self.ring.gateway.tell(busy)

    def _transfer(self, mover: Mover, target: int) -> None:
        """Begin a transfer, whose end is told later; a refusal is told at once."""
        refusal = self.core.transfer(target, self._clock())
        if refusal:
            self._tell_mover(answer(mover, refusal))
        else:
            self._movers.wait(mover, target)

    def _tell_mover(self, told: Moved | Failed | HandOver) -> None:
        if isinstance(told, HandOver):
            told.done()
        else:
            self.ring.gateway.tell(told)

    # --- the disk ---

    def _forget_log(self, applied_index: int) -> None:
        keep_after = self._shipping.keep_after
        if keep_after is not None:
            # The receiver of a snapshot needs the entries after it, or another snapshot.
            applied_index = min(applied_index, keep_after)
        self._storage.cut(self.core.compact(applied_index, *self._retention))
