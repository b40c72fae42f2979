"""The replicated state machine: what each command does, and what each query sees.

A pure function of the entries applied - index, cluster time, command, sequence - so that all nodes
agree. It composes keys, leases, sessions and members, and gathers what others must be told or the
backend must keep; it refuses to know who asked, and what a message or a file is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, assert_never

from actors.store.commands import (
    AdvanceClock,
    Change,
    Command,
    DeleteDone,
    DeleteRange,
    Done,
    Event,
    Expiry,
    Failure,
    KeyValue,
    LeaseExpire,
    LeaseGrant,
    LeaseGranted,
    LeaseKeepAlive,
    LeaseKeptAlive,
    LeaseLeases,
    LeaseLife,
    LeaseRevoke,
    LeaseRevoked,
    Leases,
    LeaseTimeToLive,
    Member,
    MemberList,
    MemberPublish,
    Members,
    Put,
    PutDone,
    Query,
    Range,
    Result,
    Sequence,
    SessionOpen,
    SessionOpened,
    Status,
    StatusDone,
)
from actors.store.leases import Leases as LeaseTable
from actors.store.mvcc import RevisionStore
from actors.store.sessions import Sessions
from actors.store.storage import Backend, Changes, Meta, StorageError

KEY_NOT_FOUND: Final = Failure("KeyNotFound")
LEASE_NOT_FOUND: Final = Failure("LeaseNotFound")
LEASE_EXISTS: Final = Failure("LeaseExist")


class Machine:
    """The state of one node, as the entries up to `applied_index` have made it.

    `members` are those the cluster was founded with; a backend that has members knows better.
    """

    def __init__(self, backend: Backend, members: Iterable[Member]) -> None:
        meta, leases, sessions, stored_members = backend.load()
        self.applied_index = meta.applied_index
        self.committed_index = meta.applied_index
        self.cluster_ms = meta.cluster_ms
        self.store = RevisionStore(backend, meta.revision, meta.compact_revision)
        self.leases = LeaseTable(leases)
        self.sessions = Sessions(sessions)
        self.members = {member.id: member for member in stored_members or members}
        # Whether somebody watches with prev_kv: reading each old value is not free.
        self.gather_previous = False
        self._members_changed = not stored_members
        self._backend = backend
        for key, live in self.store.index.live.items():
            if live[3] and live[3] not in self.leases.table:
                raise StorageError(f"the store's key {key!r} names the missing lease {live[3]}")
            self.leases.move(key, 0, live[3])

    # --- entries ---

    def apply(
        self, index: int, time_ms: int, command: Command, sequence: Sequence | None
    ) -> Result:
        """Apply the entry at `index`, the one after the last, and return its answer."""
        assert index == self.applied_index + 1, f"entry {index} after {self.applied_index}"
        self.applied_index = index
        if time_ms > self.cluster_ms:  # noqa: PLR1730 - max() costs a call on each entry
            self.cluster_ms = time_ms
        if sequence is None:
            return self._execute(command)
        result = self.sessions.admit(index, self.cluster_ms, sequence)
        if result is None:
            result = self._execute(command)
            self.sessions.keep(sequence, result)
        return result

    def skip(self, index: int, time_ms: int) -> None:
        """Pass an entry without a command: only the log's place and the clock move."""
        assert index == self.applied_index + 1, f"entry {index} after {self.applied_index}"
        self.applied_index = index
        # Cluster time never goes back, whatever the entry says.
        self.cluster_ms = max(self.cluster_ms, time_ms)

    def _execute(self, command: Command) -> Result:
        match command:
            case Put():
                return self._put(command)
            case LeaseKeepAlive(lease_id):
                ttl_ms = self.leases.keep_alive(lease_id, self.cluster_ms)
                return LeaseKeptAlive(self.store.revision, lease_id, ttl_ms)
            case DeleteRange():
                return self._delete_range(command)
            case LeaseGrant(lease_id, ttl_ms):
                if not self.leases.grant(lease_id, ttl_ms, self.cluster_ms):
                    return LEASE_EXISTS
                return LeaseGranted(self.store.revision, lease_id, ttl_ms)
            case LeaseRevoke(lease_id):
                if not self._end_lease(lease_id, Change.LEASE_REVOKED):
                    return LEASE_NOT_FOUND
                return LeaseRevoked(self.store.revision)
            case LeaseExpire(expiries):
                return self._expire(expiries)
            case AdvanceClock():
                return Done(self.store.revision)
            case SessionOpen():
                session_id = self.sessions.open(self.applied_index, self.cluster_ms)
                return SessionOpened(self.store.revision, session_id)
            case MemberPublish():
                return self._publish(command)
            case _:
                assert_never(command)

    def _put(self, command: Put) -> Result:
        key, value, lease, prev_kv, ignore_value, ignore_lease = command
        if lease and lease not in self.leases.table:
            return LEASE_NOT_FOUND
        store = self.store
        before = store.index.live.get(key)
        previous: KeyValue | None = None
        lease_before = 0
        if before is not None:
            lease_before = before[3]
            if prev_kv or ignore_value or self.gather_previous:
                previous = store.read(before[0]).kv
                value = previous.value if ignore_value else value
            lease = lease_before if ignore_lease else lease
        elif ignore_value or ignore_lease:
            return KEY_NOT_FOUND
        if lease != lease_before:
            self.leases.move(key, lease_before, lease)
        revision = store.put(key, value, lease, before, previous)
        return PutDone(revision, previous if prev_kv else None)

    def _delete_range(self, command: DeleteRange) -> Result:
        key, range_end, prev_kv = command
        index = self.store.index
        keys = list(index.keys(key, range_end))
        for each in keys:
            self.leases.move(each, index.live[each][3], 0)
        events = self.store.delete(keys, Change.DELETED, prev_kv or self.gather_previous)
        previous = [event.prev_kv for event in events if event.prev_kv] if prev_kv else []
        return DeleteDone(self.store.revision, len(events), tuple(previous))

    def _end_lease(self, lease_id: int, change: Change) -> bool:
        keys = self.leases.end(lease_id)
        if keys is None:
            return False
        self.store.delete(keys, change, self.gather_previous)
        return True

    def _expire(self, expiries: tuple[Expiry, ...]) -> Result:
        # Checked again here: a renewal may have come first, or a deposed leader have proposed this.
        for lease_id, deadline_ms in expiries:
            if self.leases.is_due(lease_id, deadline_ms, self.cluster_ms):
                self._end_lease(lease_id, Change.LEASE_EXPIRED)
        return Done(self.store.revision)

    def _publish(self, command: MemberPublish) -> Result:
        member = self.members.get(command.member_id)
        # A member that was removed meanwhile has nothing to publish.
        if member is not None:
            self.members[member.id] = member._replace(
                name=command.name, client_urls=command.client_urls
            )
            self._members_changed = True
        return Done(self.store.revision)

    # --- queries ---

    @property
    def revision(self) -> int:
        """The store's revision: that of the last change, 1 when there was none."""
        return self.store.revision

    def query(self, query: Query, cluster_ms: int) -> Result:
        """Answer from the state as it is; `cluster_ms` is the time for what is left of a TTL."""
        match query:
            case Range():
                return self.store.range(query)
            case LeaseTimeToLive():
                return self._time_to_live(query, max(cluster_ms, self.cluster_ms))
            case LeaseLeases():
                return Leases(self.revision, tuple(self.leases.by_deadline()))
            case MemberList():
                return Members(self.revision, tuple(self._members_by_id()))
            case Status(raft):
                assert raft is not None, "raft fills in its part of a status first"
                size, in_use = self._backend.size()
                return StatusDone(self.revision, size, in_use, self.applied_index, raft)
            case _:
                assert_never(query)

    def history(
        self, key: bytes, range_end: bytes, from_revision: int, with_previous: bool
    ) -> tuple[Event, ...]:
        """Every change in an interval from a revision on, in order: the backlog of a watch."""
        return self.store.history(key, range_end, from_revision, with_previous)

    def _time_to_live(self, query: LeaseTimeToLive, now_ms: int) -> Result:
        lease = self.leases.table.get(query.id)
        if lease is None:
            return LeaseLife(self.revision, query.id, remaining_ms=-1, granted_ms=0)
        remaining_ms = max(0, lease.deadline_ms - now_ms)
        keys = tuple(sorted(lease.keys)) if query.keys else None
        return LeaseLife(self.revision, lease.id, remaining_ms, lease.ttl_ms, keys)

    def _members_by_id(self) -> list[Member]:
        return sorted(self.members.values(), key=lambda member: member.id)

    # --- what others must be told ---

    def take_events(self) -> tuple[Event, ...]:
        """The events since the last call, in order; revisions are whole."""
        events = tuple(self.store.events)
        self.store.events = []
        return events

    def take_lease_facts(self) -> list[tuple[int, int]]:
        """Leases granted, renewed or ended since the last call, in order: id, deadline or 0."""
        facts = self.leases.facts
        self.leases.facts = []
        return facts

    @property
    def uncommitted(self) -> int:
        """How much the backend has not been given yet: entries, or changes if these are more."""
        return max(self.applied_index - self.committed_index, len(self.store.fresh))

    def take_changes(self) -> Changes:
        """All that the backend has not been given yet; reads look there for it from now on."""
        store = self.store
        meta = Meta(self.applied_index, self.cluster_ms, store.revision, store.compact_revision)
        members = tuple(self._members_by_id()) if self._members_changed else ()
        changes = Changes(
            meta, store.fresh, self.leases.take_changes(), self.sessions.take_changes(), members
        )
        store.fresh = {}
        self._members_changed = False
        self.committed_index = self.applied_index
        return changes
