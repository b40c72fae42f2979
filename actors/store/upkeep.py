"""What a StoreActor does beside entries and reads: its quota, copies of its file, integrity checks.

It belongs to one StoreActor, in whose thread all of it runs; the actor says when something was
applied, committed, or is due. When a store is full, and what a snapshot's file is, others decide.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, assert_never

from actors.language.codec import encode_command
from actors.language.commands import (
    AlarmActivate,
    AlarmDeactivate,
    AlarmMember,
    AlarmType,
    Member,
)
from actors.language.entries import NO_TICKET, Proposal
from actors.language.errors import StorageError
from actors.language.messages import (
    Accuse,
    Compacted,
    CopyMade,
    Defragment,
    Propose,
    Published,
    Refused,
    Replies,
    Room,
    SnapshotPart,
    SnapshotTaken,
    TakeSnapshot,
    Ticket,
)
from actors.language.results import Done, Failure, Result, SnapshotBlob
from actors.runtime.base import Address, Clock, Ring, send
from actors.runtime.complaints import Complaints
from actors.store.checker import Checker
from actors.store.disk.snapshot_file import seal
from actors.store.disk.spool import Part, Spool
from actors.store.machine import Machine
from actors.store.quota import Quota
from actors.store.raiser import AlarmRaiser
from actors.store.storage import Backend

WAITING_MAX: Final = 64
"""So many clients may wait for the next copy."""

COPY_AGAIN_MS: Final = 100
"""How soon to look again whether another copy is out of the way."""

SWEEP_MS_MAX: Final = 10_000
"""A defragmentation waits so long for what a compaction has outdated to go."""

PROPOSE_AGAIN_MS: Final = 1_000
"""A proposal may be lost."""

log = logging.getLogger("leasehold.store")

Message = Accuse | TakeSnapshot | SnapshotPart | Refused | CopyMade | Defragment | Compacted


class Settings(NamedTuple):
    """What a node's flags say of its upkeep; without a spool no client gets a snapshot.

    While the member leads, it has all members compared every `check_ms`; 0 is never.
    """

    quota_bytes: int = 0
    spool: Spool | None = None
    check_ms: int = 0


class Store(Protocol):
    """The StoreActor, as far as its upkeep may see and use it."""

    ring: Ring

    @property
    def actor_ref(self) -> Address:
        """Where a copier's thread tells that it is done."""

    @property
    def machine(self) -> Machine:
        """The state as it is; another one after a snapshot was installed."""

    @property
    def backend(self) -> Backend:
        """Likewise."""

    def commit(self) -> None:
        """Make durable what is new."""


class Upkeep:
    """The upkeep of one store."""

    def __init__(self, settings: Settings, store: Store, member_id: int, clock: Clock) -> None:
        self._store = store
        self._member_id = member_id
        self._clock = clock
        self._own_alarm = AlarmMember(member_id, AlarmType.NOSPACE)
        self._quota_bytes = settings.quota_bytes
        self._quota = Quota(settings.quota_bytes, self._has_alarm())
        self._in_use = 0
        self._told_room: int | None = None
        self._spool = settings.spool
        # Who waits for the next copy, and who for the one that is being made.
        self._waiting: list[Ticket] = []
        self._served: list[Ticket] = []
        # Who waits for the file to become smaller; and since when, as long as it is not begun.
        self._defragmenting: list[Ticket] = []
        self._sweeping_since_ms: int | None = None
        self.checker = Checker(store, member_id, clock, settings.check_ms)
        self._raiser = AlarmRaiser(store, member_id, clock)
        self._complaints = Complaints(clock, log)
        self._told_members: dict[int, Member] | None = store.machine.members
        # What was proposed of the alarm, and when to propose it again: None when it came true.
        self._wished = False
        self._propose_at_ms: int | None = None
        self._copy_at_ms: int | None = None

    def receive(self, message: Message) -> None:
        """Handle one of the messages that are its business."""
        match message:
            case Accuse(member_id):
                self._accuse(member_id)
            case TakeSnapshot(path):
                self._take_snapshot(path)
            case SnapshotPart(ticket, name, offset):
                self._send_part(ticket, name, offset)
            case Refused():
                self._quota.refused()
                self._look_at_quota()
            case CopyMade():
                self._copy_made(message)
            case Defragment(ticket):
                self._defragment(ticket)
            case Compacted():
                self._change_over()
            case _:
                assert_never(message)

    def open(self) -> None:
        """Look at what there is; before this nothing may be told."""
        self._told_members = None
        self.tell_members()
        self.committed()

    def tell_members(self) -> None:
        """Raft tells a member that lost its disk whether it has been here, by its name."""
        members = self._store.machine.members
        if members is not self._told_members:
            self._told_members = members
            named = [(each.id, each.client_urls) for each in members.values() if each.name]
            send(self._store.ring.raft, Published(tuple(named)))

    def applied(self, uncommitted_bytes: int) -> None:
        """Entries were applied; so many bytes of commands have come since the last commit."""
        self.tell_members()
        used = self._in_use + uncommitted_bytes
        if self._quota_bytes and used > self._quota_bytes and not self._has_alarm():
            # What commands take on disk is measured there: a guess would raise, and clear again.
            self._store.commit()
        if self._store.machine.checks:
            self.checker.heard(self._store.machine.take_checks())

    def unreadable(self, index: int, term: int, error: ValueError) -> None:
        """An entry of the log could not be read, and was skipped."""
        text = f"entry {index} of term {term} cannot be read, and is skipped: {error}"
        self._complaints.say("unreadable", text)
        self._raiser.raise_soon(AlarmMember(self._member_id, AlarmType.UNREADABLE))

    def _accuse(self, member_id: int) -> None:
        """A member lacks, or contradicts, what the cluster has committed: so it was found."""
        member = self._store.machine.members.get(member_id)
        alarm = AlarmMember(member_id, AlarmType.DATA_LOSS)
        if member is not None and self._raiser.raise_soon(alarm):
            log.critical(
                "member %s (%x) lacks, or contradicts, what the cluster has committed: its disk "
                "was rolled back, or is another's. Raising DATA_LOSS; replace that member",
                member.name or "without a name",
                member_id,
            )

    def committed(self) -> None:
        """What was new is on disk."""
        if not (self._quota_bytes or self._has_alarm()):
            return
        self._in_use = self._store.backend.size()[1]
        self._look_at_quota()

    def tick(self, now_ms: int) -> None:
        """Do what is due."""
        self.checker.tick(now_ms)
        self._raiser.tick(now_ms)
        self._complaints.tick(now_ms)
        if self._spool is not None:
            self._spool.end_idle(now_ms)
        if self._propose_at_ms is not None and now_ms >= self._propose_at_ms:
            self._look_at_quota()
        if self._copy_at_ms is not None and now_ms >= self._copy_at_ms:
            self._copy_at_ms = None
            self._begin_compact(now_ms)
            self._begin_copy()

    def next_wake_ms(self) -> int | None:
        """When something is due."""
        idle_ms = self._spool.next_end_ms() if self._spool else None
        check_ms = self.checker.next_wake_ms()
        raise_ms = self._raiser.next_wake_ms()
        times = (self._propose_at_ms, self._copy_at_ms, idle_ms, check_ms, raise_ms)
        return min((each for each in times if each is not None), default=None)

    # --- quota ---

    def _has_alarm(self) -> bool:
        return self._own_alarm in self._store.machine.alarms

    def _look_at_quota(self) -> None:
        """Raise or clear the alarm of this member, by the log; tell Gateway how much it may take.

        What is outdated but still on disk goes first when room gets scarce.
        """
        wish = self._quota.wish(self._in_use, self._has_alarm())
        if wish is None:
            self._propose_at_ms = None
        else:
            self._wish_for(wish)
        room = self._quota.room(self._in_use)
        if room != self._told_room:
            self._told_room = room
            send(self._store.ring.gateway, Room(room))
        sweeper = self._store.machine.sweeper
        if self._quota.is_tight(self._in_use) and sweeper.lingers:
            sweeper.hurry()

    def _wish_for(self, raised: bool) -> None:
        """Propose to raise or clear the alarm, and again if that is lost."""
        now_ms = self._clock()
        again_ms = self._propose_at_ms
        if again_ms is not None and now_ms < again_ms and raised == self._wished:
            return
        self._propose_at_ms, self._wished = now_ms + PROPOSE_AGAIN_MS, raised
        if raised:
            log.warning("%d bytes are in use, the quota is exceeded: raising NOSPACE", self._in_use)
        else:
            log.warning("%d bytes are in use: clearing NOSPACE", self._in_use)
        make = AlarmActivate if raised else AlarmDeactivate
        command = encode_command(make(*self._own_alarm), None)
        send(self._store.ring.raft, Propose((Proposal(self._member_id, NO_TICKET, command),)))

    # --- snapshots ---

    def _take_snapshot(self, path: Path) -> None:
        """Copy what is applied now, while the store is used on; Raft hears when it is complete."""
        store = self._store
        store.commit()
        index, term = store.machine.committed_index, store.machine.applied_term
        raft = store.ring.raft

        def done(error: StorageError | None) -> None:
            # In the copy's own thread: nothing of the actor may be touched here.
            if error is None:
                send(raft, SnapshotTaken(path, index, term))
            else:
                log.error("no snapshot was taken: %s", error)
                send(raft, SnapshotTaken(path, 0, 0))

        store.backend.copy(path, done)

    def _send_part(self, ticket: Ticket, name: str, offset: int) -> None:
        if self._spool is None:
            self._reply([ticket], Failure("CopyFailed"))
        elif name:
            part = self._spool.read(name, offset, self._clock())
            self._reply([ticket], self._answer(part))
        elif len(self._waiting) >= WAITING_MAX:
            self._reply([ticket], Failure("TooManyRequests"))
        else:
            self._waiting.append(ticket)
            self._begin_copy()

    def _begin_copy(self) -> None:
        """Copy for all who wait: what they saw acknowledged before they asked is in it."""
        if not self._waiting or self._served or self._spool is None:
            return
        store = self._store
        if store.backend.is_copying:
            self._copy_at_ms = self._clock() + COPY_AGAIN_MS
            return
        path = self._spool.make_room()
        if path is None:
            waiting, self._waiting = self._waiting, []
            self._reply(waiting, Failure("TooManyRequests"))
            return
        self._served, self._waiting = self._waiting, []
        store.commit()
        itself = store.actor_ref

        def done(error: StorageError | None) -> None:
            # In the copy's own thread: nothing of the actor may be touched here.
            made = CopyMade(path, 0, b"")
            try:
                if error is None:
                    made = CopyMade(path, *seal(path))
                else:
                    log.error("no snapshot was made for a client: %s", error)
            except OSError as failure:
                log.error("no snapshot was made for a client: %s: %s", path, failure)
            send(itself, made)

        store.backend.copy(path, done)

    def _copy_made(self, made: CopyMade) -> None:
        assert self._spool is not None, "a copy is made in the spool"
        served, self._served = self._served, []
        answer: Result = Failure("CopyFailed")
        now_ms = self._clock()
        if made.total_bytes:
            name = self._spool.keep(made.path, made.total_bytes, made.sha256, now_ms)
            answer = self._answer(self._spool.read(name, 0, now_ms))
        else:
            made.path.unlink(missing_ok=True)
        self._reply(served, answer)
        self._begin_copy()

    # --- defragmentation ---

    def _defragment(self, ticket: Ticket) -> None:
        """Write the file anew without what it does not use; who asks meanwhile gets the same."""
        if len(self._defragmenting) >= WAITING_MAX:
            self._reply([ticket], Failure("TooManyRequests"))
            return
        self._defragmenting.append(ticket)
        if len(self._defragmenting) == 1:
            now_ms = self._sweeping_since_ms = self._clock()
            self._store.machine.sweeper.hurry()
            self._begin_compact(now_ms)

    def _begin_compact(self, now_ms: int) -> None:
        """Copy what is in use, once what is outdated is swept away, or that takes too long."""
        since_ms, store = self._sweeping_since_ms, self._store
        if since_ms is None:
            return
        is_swept = not store.machine.sweeper.is_due or now_ms - since_ms >= SWEEP_MS_MAX
        if not is_swept or store.backend.is_copying:
            self._copy_at_ms = now_ms + COPY_AGAIN_MS
            return
        self._sweeping_since_ms = None
        store.commit()
        itself = store.actor_ref
        # In the copy's own thread: nothing of the actor may be touched there.
        store.backend.compact(lambda _: send(itself, Compacted()))

    def _change_over(self) -> None:
        store = self._store
        before = store.backend.size()[0]
        store.commit()
        error = store.backend.change_over()
        result: Result = Done(store.machine.revision)
        if error is None:
            log.info("defragmented: %d bytes, before %d", store.backend.size()[0], before)
        else:
            log.error("not defragmented: %s", error)
            result = Failure("CopyFailed")
        waiting, self._defragmenting = self._defragmenting, []
        self._reply(waiting, result)
        self.committed()

    def _answer(self, part: Part | None) -> Result:
        if part is None:
            return Failure("SnapshotNotFound")
        return SnapshotBlob(self._store.machine.revision, *part)

    def _reply(self, tickets: list[Ticket], result: Result) -> None:
        if tickets:
            replies: Any = tuple([(ticket, result) for ticket in tickets])
            send(self._store.ring.gateway, Replies(replies))
