"""StoreActor: carries committed entries to the state machine, and what comes of it round the ring.

It decides in which order others hear of an entry - the waiting client, the watchers, the leases -
and when the backend makes it durable. What a command means is the machine's.
"""

from __future__ import annotations

from typing import Any, Final, assert_never, cast

from actors.base import Clock, NodeActor, send
from actors.messages import (
    Apply,
    ConfirmedRead,
    Connection,
    ConnectionGone,
    Drained,
    Durable,
    Events,
    LeaseFact,
    LeaseFacts,
    LocalRead,
    Question,
    Replies,
    Tick,
    Ticket,
    WatchBegin,
    WatchCancel,
    WatchOpen,
    WatchProgress,
)
from actors.raft.rpc import Entry
from actors.store.codec import decode_command
from actors.store.commands import Event, Result
from actors.store.machine import Machine
from actors.store.storage import Backend

COMMIT_INTERVAL_MS: Final = 100
"""What is new is durable in the backend after so long; until then the log has it."""

COMMIT_CHANGES_MAX: Final = 10_000
"""So many entries or revisions are committed at once, without waiting for the interval."""

COMMIT_BYTES_MAX: Final = 64 * 1024 * 1024
"""So many bytes of commands, likewise: they are held in memory until the commit."""

Message = (
    Apply
    | ConfirmedRead
    | LocalRead
    | Tick
    | Drained
    | WatchOpen
    | WatchCancel
    | WatchProgress
    | ConnectionGone
)


class StoreActor(NodeActor):
    """The store of one node. It alone touches the machine and the backend."""

    def __init__(self, machine: Machine, backend: Backend, member_id: int, clock: Clock) -> None:
        super().__init__()
        self._machine = machine
        self._backend = backend
        self._member_id = member_id
        self._clock = clock
        self._uncommitted_bytes = 0
        self._commit_is_due = False
        # False while an entry is half applied: such a state must not reach the disk.
        self._is_whole = True
        # Connections that watch here; the second set with prev_kv.
        self._watching: set[Connection] = set()
        self._prev_kv_connections: set[Connection] = set()

    @property
    def applied_index(self) -> int:
        """The index of the last entry applied."""
        return self._machine.applied_index

    def open(self) -> None:
        """Tell the neighbours what the recovered state holds."""
        self.announce()

    def announce(self) -> None:
        """Tell Lease of every lease there is, and Watch of the revision, before all else."""
        machine = self._machine
        send(self.ring.watch, Events(machine.revision, ()))
        facts = tuple(
            LeaseFact(lease.id, lease.deadline_ms) for lease in machine.leases.table.values()
        )
        if facts:
            send(self.ring.lease, LeaseFacts(facts, machine.cluster_ms))

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
            case Tick():
                self._commit_is_due = False
                self._commit()
            case WatchOpen():
                self._open_watch(message)
            case WatchCancel() | WatchProgress():
                send(self.ring.watch, message)
            case ConnectionGone(connection):
                self._forget_connection(connection)
                send(self.ring.watch, message)
            case _:
                assert_never(message)

    def close(self) -> None:
        """Commit what is new and close the backend, unless a failure left the state half done."""
        if self._is_whole:
            self._commit()
        self._backend.close()

    # --- entries ---

    def _apply(self, entries: tuple[Entry, ...]) -> None:
        machine = self._machine
        apply = machine.apply
        member_id = self._member_id
        revision = machine.revision
        replies: list[tuple[Ticket, Result]] = []
        self._is_whole = False
        for index, _, time_ms, origin, ticket, data in entries:
            if not data:
                machine.skip(index, time_ms)
                continue
            command, sequence = decode_command(data)
            result = apply(index, time_ms, command, sequence)
            self._uncommitted_bytes += len(data)
            if ticket and origin == member_id:
                replies.append((ticket, result))
        self._is_whole = True
        # The client that waits first, then those who watch.
        if replies:
            send(self.ring.gateway, Replies(tuple(replies)))
        events = machine.take_events()
        if machine.revision != revision and self._watching:
            send(self.ring.watch, Events(machine.revision, events))
        facts = machine.take_lease_facts()
        if facts:
            told = tuple([LeaseFact(*fact) for fact in facts])
            send(self.ring.lease, LeaseFacts(told, machine.cluster_ms))
        self._commit_soon()

    def _commit_soon(self) -> None:
        """Commit now if much is new, or else by the end of the interval."""
        machine = self._machine
        if machine.uncommitted >= COMMIT_CHANGES_MAX or self._uncommitted_bytes >= COMMIT_BYTES_MAX:
            self._commit()
        elif not self._commit_is_due:
            self._commit_is_due = True
            self.mailbox.wake_at(self._clock() + COMMIT_INTERVAL_MS)

    def _commit(self) -> None:
        machine = self._machine
        if machine.applied_index == machine.committed_index:
            return
        # What a failed commit has taken is not offered again: the log has it.
        self._backend.commit(machine.take_changes())
        self._uncommitted_bytes = 0
        send(self.ring.raft, Durable(machine.applied_index))

    # --- reads and watches ---

    def _answer(self, questions: tuple[Question, ...], cluster_ms: int) -> None:
        answer = self._machine.query
        replies = tuple([(ticket, answer(query, cluster_ms)) for ticket, query in questions])
        send(self.ring.gateway, Replies(replies))

    def _open_watch(self, watch: WatchOpen) -> None:
        machine = self._machine
        self._watching.add(watch.connection)
        if watch.prev_kv:
            self._prev_kv_connections.add(watch.connection)
            machine.gather_previous = True
        compacted = machine.store.compact_revision
        if 0 < watch.start_revision < compacted:
            send(self.ring.watch, WatchBegin(watch, machine.revision, (), compacted))
            return
        backlog: tuple[Event, ...] = ()
        if watch.start_revision > 0:
            backlog = machine.history(
                watch.key, watch.range_end, watch.start_revision, watch.prev_kv
            )
        send(self.ring.watch, WatchBegin(watch, machine.revision, backlog))

    def _forget_connection(self, connection: Connection) -> None:
        self._watching.discard(connection)
        self._prev_kv_connections.discard(connection)
        self._machine.gather_previous = bool(self._prev_kv_connections)
