"""StoreActor: carries committed entries to the state machine, and what comes of it round the ring.

It decides in which order others hear of an entry - the waiting client, the watchers, the leases -
when the backend makes it durable, and when there is time to sweep away what a compaction has
outdated. What a command means is the machine's; when to compact, without being told, `retention`'s.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, cast

from actors.language.codec import decode_command, encode_command
from actors.language.commands import Compact
from actors.language.entries import NO_TICKET, Entry, Proposal
from actors.language.errors import StorageError
from actors.language.members import NOBODY
from actors.language.messages import (
    Accuse,
    Apply,
    Compacted,
    ConfirmedRead,
    Congestion,
    Connection,
    ConnectionGone,
    CopyMade,
    Defragment,
    Drained,
    Durable,
    Events,
    History,
    HistoryCut,
    InstallSnapshot,
    Leadership,
    LeaseFact,
    LeaseFacts,
    Lengthy,
    LocalRead,
    Propose,
    Question,
    ReadHistory,
    Refused,
    Replies,
    Skipped,
    SnapshotInstalled,
    SnapshotPart,
    TakeSnapshot,
    Tick,
    Ticket,
    WatchBegin,
    WatchCancel,
    WatchOpen,
    WatchProgress,
)
from actors.language.results import Result
from actors.runtime.base import Clock, NodeActor, send
from actors.store.backlog import Spans, portion
from actors.store.compactor import Compactor
from actors.store.long_queries import PAUSE_MS, LongQueries
from actors.store.machine import Machine
from actors.store.retention import Retention
from actors.store.storage import Backend
from actors.store.upkeep import Settings, Upkeep

COMMIT_INTERVAL_MS: Final = 100
"""What is new is durable in the backend after so long; until then the log has it."""

COMMIT_CHANGES_MAX: Final = 10_000
"""So many entries or revisions are committed at once, without waiting for the interval."""

COMMIT_BYTES_MAX: Final = 64 * 1024 * 1024
"""So many bytes of commands, likewise: they are held in memory until the commit."""

NO_UPKEEP: Final = Settings()
"""No quota, and no snapshots for clients: a store by itself."""

log = logging.getLogger("leasehold.store")

Message = (
    Apply
    | ConfirmedRead
    | LocalRead
    | Tick
    | Drained
    | WatchOpen
    | WatchCancel
    | WatchProgress
    | ReadHistory
    | Congestion
    | ConnectionGone
    | Leadership
    | TakeSnapshot
    | InstallSnapshot
    | SnapshotPart
    | Refused
    | Defragment
    | CopyMade
    | Compacted
    | Accuse
)


class StoreActor(NodeActor):
    """One node's store, with a `retention` to compact by while it leads; it alone touches it."""

    def __init__(
        self,
        machine: Machine,
        backend: Backend,
        member_id: int,
        clock: Clock,
        retention: Retention | None = None,
        upkeep: Settings = NO_UPKEEP,
    ) -> None:
        super().__init__()
        self._machine = machine
        self._backend = backend
        self._member_id = member_id
        self._clock = clock
        self._uncommitted_bytes = 0
        self._commit_at_ms: int | None = None
        self._compactor = Compactor(retention)
        self._long_queries = LongQueries()
        self._upkeep = Upkeep(upkeep, self, member_id, clock)
        # False while an entry is half applied or a commit half done: nothing of it may be told.
        self._is_whole = True
        # Connections that watch here; the second set with prev_kv.
        self._watching: set[Connection] = set()
        self._prev_kv_connections: set[Connection] = set()

    @property
    def machine(self) -> Machine:
        """The state as it is; another machine after a snapshot was installed."""
        return self._machine

    @property
    def backend(self) -> Backend:
        """Where the state is kept; likewise."""
        return self._backend

    @property
    def applied_index(self) -> int:
        """The index of the last entry applied."""
        return self._machine.applied_index

    def open(self) -> None:
        """Tell the neighbours what the recovered state holds."""
        self.announce()
        self._upkeep.open()
        self._arm()

    def announce(self) -> None:
        """Tell Lease of every lease there is, and Watch of the revision, before all else."""
        send(self.ring.watch, Events(self._machine.revision, ()))
        self._tell_leases(gone=())

    def receive(self, message: Any) -> None:
        """Handle one message."""
        message = cast(Message, message)
        match message:
            case Apply(entries):
                self._apply(entries)
            case ConfirmedRead(questions, cluster_ms):
                self._answer(questions, cluster_ms)
            case LocalRead(questions):
                self._answer(questions, self._machine.cluster_ms)
            case Drained():
                pass  # everything is told at once, nothing is gathered here
            case Tick(now_ms):
                self._on_tick(now_ms)
            case WatchOpen():
                self._open_watch(message)
            case ReadHistory(from_revision, spans, prev_kv):
                self._read_history(from_revision, spans, prev_kv)
            case WatchCancel() | WatchProgress() | Congestion():
                if not self._watching:  # then nothing was told for some time
                    send(self.ring.watch, Events(self.machine.revision, ()))
                send(self.ring.watch, message)
            case ConnectionGone(connection):
                self._forget_connection(connection)
                send(self.ring.watch, message)
            case Leadership(clock=clock):
                self._compactor.leads = clock is not None
                self._upkeep.checker.lead(clock is not None)
                self._arm()
            case InstallSnapshot(path):
                self._install_snapshot(path)
            case _:
                self._upkeep.receive(message)
                self._arm()

    def close(self) -> None:
        """Commit what is new and close the backend, unless a failure left the state half done."""
        if self._is_whole:
            self.commit()
        self._backend.close()

    # --- entries ---

    def _apply(self, entries: tuple[Entry, ...]) -> None:
        machine = self._machine
        apply = machine.apply
        owe = self._compactor.owe
        member_id = self._member_id
        revision, compact_revision = machine.revision, machine.store.compact_revision
        replies: list[tuple[Ticket, Result]] = []
        self._is_whole = False
        for index, term, time_ms, origin, ticket, data in entries:
            if not data:
                machine.skip(index, term, time_ms)
                continue
            try:
                command, sequence = decode_command(data)
            except ValueError as error:
                # The same on every member: none of them could ever go on behind it.
                machine.skip(index, term, time_ms)
                self._upkeep.unreadable(index, term, error)
                continue
            result = apply(index, term, time_ms, command, sequence)
            self._uncommitted_bytes += len(data)
            if not ticket or origin != member_id:
                continue
            if type(command) is not Compact or not owe(machine.sweeper, command, ticket, result):
                replies.append((ticket, result))
        self._is_whole = True
        # The client that waits first, then those who watch.
        self._reply(replies)
        events = machine.take_events()
        if machine.revision != revision and self._watching:
            send(self.ring.watch, Events(machine.revision, events))
        if machine.store.compact_revision != compact_revision and self._watching:
            send(self.ring.watch, HistoryCut())
        if facts := machine.take_lease_facts():
            told = tuple([LeaseFact(*fact) for fact in facts])
            send(self.ring.lease, LeaseFacts(told, machine.cluster_ms))
        if not self._long_queries.is_older_than(machine.store.compact_revision):
            self._compactor.keep_pace(machine.sweeper, len(events))
        self._upkeep.applied(self._uncommitted_bytes)
        self._commit_soon()
        self._arm()

    def _on_tick(self, now_ms: int) -> None:
        if self._commit_at_ms is not None and now_ms >= self._commit_at_ms:
            self.commit()
        self._compact_unasked(now_ms)
        self._go_on()
        self._upkeep.tick(now_ms)
        self._sweep()
        self._arm()

    def _arm(self) -> None:
        """Ask to be woken for whatever comes first."""
        if self._commit_at_ms is not None:
            self.mailbox.wake_at(self._commit_at_ms)
        now_ms = self._clock()
        wake_ms = self._compactor.next_wake_ms(self._machine.sweeper, now_ms)
        if self._long_queries:
            self.mailbox.wake_at(now_ms + PAUSE_MS)
        for due_ms in (wake_ms, self._upkeep.next_wake_ms()):
            if due_ms is not None:
                self.mailbox.wake_at(due_ms)

    def _commit_soon(self) -> None:
        """Commit now if much is new, or else by the end of the interval."""
        uncommitted = self._machine.uncommitted
        if uncommitted >= COMMIT_CHANGES_MAX or self._uncommitted_bytes >= COMMIT_BYTES_MAX:
            self.commit()
        elif uncommitted and self._commit_at_ms is None:
            self._commit_at_ms = self._clock() + COMMIT_INTERVAL_MS

    def commit(self) -> None:
        """Make durable what is new, and answer those who waited for that."""
        machine = self._machine
        self._commit_at_ms = None
        if machine.uncommitted:
            # What a failed commit has taken is not offered again: the log has it.
            self._is_whole = False
            self._backend.commit(machine.take_changes())
            self._is_whole = True
            self._uncommitted_bytes = 0
            send(self.ring.raft, Durable(machine.applied_index))
            self._upkeep.committed()
        self._reply(self._compactor.take_done(machine.sweeper))

    def _sweep(self) -> None:
        machine = self._machine
        if not self._long_queries.is_older_than(machine.store.compact_revision):
            self._compactor.use_time(machine.sweeper, self._clock)
        if self._compactor.is_awaited() and not machine.sweeper.is_due:
            self.commit()
        self._commit_soon()

    def _compact_unasked(self, now_ms: int) -> None:
        """Propose to compact what is too old, if this member leads."""
        revision = self._compactor.due(self._machine.store, now_ms)
        if revision:
            command = encode_command(Compact(revision), None)
            send(self.ring.raft, Propose((Proposal(NOBODY, NO_TICKET, command),)))

    # --- snapshots ---

    def _install_snapshot(self, path: Path) -> None:
        """Let a copy take the place of everything here, unless it is damaged or not newer."""
        # Should the copy be no use, what is here stays, and Raft takes it for durable.
        self.commit()
        found = self._open_snapshot(path)
        if found is None:
            self._backend.discard_copy(path)
        else:
            self._switch(*found)
        now = self._machine
        send(
            self.ring.raft,
            SnapshotInstalled(now.applied_index, now.applied_term, now.cluster_ms, now.membership),
        )
        self.commit()
        self._arm()

    def _open_snapshot(self, path: Path) -> tuple[Backend, Machine] | None:
        """The copy and the state in it, all of which was read and checked; None if it is no use."""
        copy: Backend | None = None
        try:
            copy = self._backend.open_copy(path)
            machine = self._machine.reopened(copy)
            if machine.applied_index > self._machine.applied_index:
                return copy, machine
            log.info("the snapshot ends at %d, which is not new", machine.applied_index)
        except StorageError as error:
            log.error("the snapshot is not installed: %s", error)
        if copy is not None:
            copy.close()
        return None

    def _switch(self, copy: Backend, machine: Machine) -> None:
        self._is_whole = False
        copy.install()
        old, self._machine, self._backend = self._machine, machine, copy
        self._is_whole = True
        machine.gather_previous = old.gather_previous
        self._long_queries.begin_again()
        if self._compactor.is_awaited():
            machine.sweeper.hurry()
        self._tell_leases(gone=old.leases.table.keys() - machine.leases.table.keys())
        self._upkeep.tell_members()
        if self._watching and machine.revision > old.revision:
            # Nothing was told of what happened in between: Watch reads it.
            send(self.ring.watch, Skipped(machine.revision))

    def _tell_leases(self, gone: Iterable[int]) -> None:
        """Tell Lease of every lease there is, and of those that are gone."""
        table = self._machine.leases.table
        facts = [LeaseFact(lease_id, 0) for lease_id in sorted(gone)]
        facts += [LeaseFact(lease.id, lease.deadline_ms) for lease in table.values()]
        if facts:
            send(self.ring.lease, LeaseFacts(tuple(facts), self._machine.cluster_ms))

    # --- reads and watches ---

    def _answer(self, questions: tuple[Question, ...], cluster_ms: int) -> None:
        self._reply(self._long_queries.answer(self._machine, questions, cluster_ms))
        if self._long_queries:
            if begun := self._long_queries.take_begun():
                send(self.ring.gateway, Lengthy(begun))
            self._arm()

    def _go_on(self) -> None:
        """Spend some time on queries that take long."""
        self._reply(self._long_queries.work(self._machine, self._clock))

    def _reply(self, replies: Iterable[tuple[Ticket, Result]]) -> None:
        if replies := tuple(replies):
            send(self.ring.gateway, Replies(replies))

    def _open_watch(self, watch: WatchOpen) -> None:
        machine = self._machine
        self._watching.add(watch.connection)
        if watch.prev_kv:
            self._prev_kv_connections.add(watch.connection)
            machine.gather_previous = True
        send(self.ring.watch, WatchBegin(watch, machine.revision))

    def _read_history(self, from_revision: int, spans: Spans, with_previous: bool) -> None:
        """Answer Watch: it can go on, live, when this has reached the present revision."""
        store = self._machine.store
        if from_revision < store.compact_revision:
            told = History(from_revision, 0, store.revision, (), store.compact_revision)
        else:
            reached, events = portion(store, from_revision, spans, with_previous)
            told = History(from_revision, reached, store.revision, events)
        send(self.ring.watch, told)

    def _forget_connection(self, connection: Connection) -> None:
        self._watching.discard(connection)
        self._prev_kv_connections.discard(connection)
        self._machine.gather_previous = bool(self._prev_kv_connections)
