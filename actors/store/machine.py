"""The replicated state machine: what each command does, and what each query sees.

It is a pure function of the applied entries (index, cluster time, command, sequence), so all nodes
agree. It composes keys, leases, sessions, members and alarms, and gathers what others must be told
and what the backend must keep. It refuses to know who asked, and what a message or a file is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Self, assert_never

from actors.language.commands import (
    AdvanceClock,
    AlarmActivate,
    AlarmDeactivate,
    Change,
    Command,
    Compact,
    DeleteRange,
    Event,
    Increment,
    IntegrityCheck,
    IntegrityReport,
    LeaseExpire,
    LeaseGrant,
    LeaseKeepAlive,
    LeaseRevoke,
    Member,
    MemberPublish,
    Put,
    Range,
    Sequence,
    SessionOpen,
    SetMembers,
    Txn,
)
from actors.language.errors import StorageError
from actors.language.queries import (
    AlarmList,
    HashKV,
    History,
    LeaseLeases,
    LeaseTimeToLive,
    MemberList,
    MembersToCome,
    Page,
    Query,
    Status,
    WholeHash,
)
from actors.language.results import (
    Alarms,
    Done,
    LeaseGranted,
    LeaseKeptAlive,
    LeaseLife,
    LeaseRevoked,
    Leases,
    Members,
    Result,
    SessionOpened,
    StatusDone,
)
from actors.store.alarms import AlarmTable
from actors.store.digest import read_hash
from actors.store.history import read_history
from actors.store.integrity import Check, hash_state
from actors.store.leases import LEASE_NOT_FOUND, LEASES_MAX, LeaseTable
from actors.store.mvcc import RevisionStore
from actors.store.naming import by_id, named
from actors.store.ranges import get, read_range
from actors.store.sessions import SESSION_LIMITS, SessionLimits, SessionTable
from actors.store.steps import Steps, finish, sort
from actors.store.storage import Backend, Batch, Meta
from actors.store.txn import read_txn
from actors.store.whole_hash import hash_whole
from actors.store.writes import Writes

Administration = (
    AdvanceClock
    | SessionOpen
    | MemberPublish
    | SetMembers
    | AlarmActivate
    | AlarmDeactivate
    | IntegrityCheck
    | IntegrityReport
)

_OF_ONE_KEY: Final = Range(b"")[1:]


class Machine:
    """The state of one node, as the entries up to `applied_index` have made it.

    `members` are those that the cluster was founded with; a backend that has members overrides
    them. The limits decide what commands do, so all nodes of a cluster must have the same.
    """

    def __init__(
        self,
        backend: Backend,
        members: Iterable[Member],
        session_limits: SessionLimits = SESSION_LIMITS,
        leases_max: int = LEASES_MAX,
    ) -> None:
        meta, leases, sessions, stored_members, alarms = backend.load()
        self.applied_index = meta.applied_index
        self.applied_term = meta.applied_term
        self.membership = meta.membership
        self.committed_index = meta.applied_index
        self.cluster_ms = meta.cluster_ms
        self.store = RevisionStore(
            backend, meta.revision, meta.compact_revision, meta.swept_revision
        )
        self.sweeper = self.store.sweeper
        self.leases = LeaseTable(leases, leases_max)
        self.sessions = SessionTable(sessions, session_limits)
        self._limits = (session_limits, leases_max)
        self.members = {member.id: member for member in stored_members or members}
        self.alarms = AlarmTable(alarms)
        # Kept for the actor until it takes them; no part of the state.
        self.checks: list[Check | IntegrityReport] = []
        self.writes = Writes(self.store, self.leases)
        self._members_changed = not stored_members
        self._backend = backend
        # The backend keeps no lease's keys: each key's last change names its lease.
        for key, live in self.store.index.live.items():
            if live[3] and live[3] not in self.leases.table:
                raise StorageError(f"the store's key {key!r} names the missing lease {live[3]}")
            self.leases.move(key, 0, live[3])

    def reopened(self, backend: Backend) -> Self:
        """A machine with this one's limits, in the state that another backend holds."""
        return type(self)(backend, (), *self._limits)

    # --- entries ---

    def apply(
        self, index: int, term: int, time_ms: int, command: Command, sequence: Sequence | None
    ) -> Result:
        """Apply the entry at `index`, the next one, and return its answer."""
        assert index == self.applied_index + 1, f"entry {index} after {self.applied_index}"
        self.applied_index = index
        self.applied_term = term
        if time_ms > self.cluster_ms:  # noqa: PLR1730 - max() costs a call on each entry
            self.cluster_ms = time_ms
        if sequence is None:
            return self._execute(command)
        result = self.sessions.admit(index, self.cluster_ms, sequence)
        if result is None:
            result = self._execute(command)
            self.sessions.keep(sequence, result)
        return result

    def skip(self, index: int, term: int, time_ms: int) -> None:
        """Pass over an entry without a command: only the log's place and the clock move."""
        assert index == self.applied_index + 1, f"entry {index} after {self.applied_index}"
        self.applied_index = index
        self.applied_term = term
        # Cluster time never goes back, whatever the entry says.
        self.cluster_ms = max(self.cluster_ms, time_ms)

    def _execute(self, command: Command) -> Result:
        # Refused here and not in the gateway: so every member refuses the same entries.
        if self.alarms.is_refusing:
            refusal = self.alarms.refusal(command)
            if refusal is not None:
                return refusal
        match command:
            case Put():
                return self.writes.put(command, self.cluster_ms)
            case LeaseKeepAlive(lease_id):
                ttl_ms = self.leases.keep_alive(lease_id, self.cluster_ms)
                return LeaseKeptAlive(self.store.revision, lease_id, ttl_ms)
            case Txn():
                return self.writes.transact(command, self.cluster_ms)
            case DeleteRange():
                return self.writes.delete_range(command)
            case Increment():
                return self.writes.increment(command)
            case LeaseGrant():
                return self._grant(command)
            case LeaseRevoke(lease_id):
                if self.writes.end_lease(lease_id, Change.LEASE_REVOKED) is None:
                    return LEASE_NOT_FOUND
                return LeaseRevoked(self.store.revision)
            case LeaseExpire(expiries):
                self.writes.expire(expiries, self.cluster_ms)
                return Done(self.store.revision)
            case Compact(revision):
                return self.store.compact(revision) or Done(self.store.revision)
            case _:
                return self._administer(command)

    def _administer(self, command: Administration) -> Result:
        """Commands that change neither keys nor leases, and that no alarm refuses."""
        match command:
            case AdvanceClock():
                return Done(self.store.revision)
            case SessionOpen(session_id):
                return self._open_session(session_id)
            case MemberPublish():
                return self._publish(command)
            case SetMembers():
                return self._set_members(command)
            case AlarmActivate():
                return Alarms(self.revision, self.alarms.activate(command))
            case AlarmDeactivate():
                return Alarms(self.revision, self.alarms.deactivate(command))
            case IntegrityCheck():
                self.checks.append(self._check(command))
                return Done(self.revision)
            case IntegrityReport():
                self.checks.append(command)
                return Done(self.revision)
            case _:
                assert_never(command)

    def _open_session(self, session_id: int) -> Result:
        fault = self.sessions.open(session_id, self.applied_index, self.cluster_ms)
        return fault or SessionOpened(self.store.revision, session_id)

    def _grant(self, command: LeaseGrant) -> Result:
        lease_id, ttl_ms = command
        fault = self.leases.fault_of(lease_id, ttl_ms)
        if fault is not None:
            return fault
        self.leases.grant(lease_id, ttl_ms, self.cluster_ms)
        return LeaseGranted(self.store.revision, lease_id, ttl_ms)

    def _check(self, command: IntegrityCheck) -> Check:
        """What a check needs to remember of the state at its entry.

        The first check of a round hashes all state but the keys here, before the next entry.
        """
        compact_revision = self.store.compact_revision
        found = 0
        if not command.start_revision:
            members = by_id(self.members)
            found = hash_state(self.applied_index, self.leases, self.sessions, members, self.alarms)
        return Check(self.applied_index, command, compact_revision, found)

    def _publish(self, command: MemberPublish) -> Result:
        member = self.members.get(command.member_id)
        # A member that was removed meanwhile has nothing to publish.
        if member is not None:
            published = member._replace(name=command.name, client_urls=command.client_urls)
            # A new dict: `Upkeep` sees by its identity that a member has changed.
            self.members = {**self.members, member.id: published}
            self._members_changed = True
        return Done(self.store.revision)

    def _set_members(self, command: SetMembers) -> Result:
        members = named(command.members, self.members)
        self.alarms.forget(self.members.keys() - members.keys())
        self.members = members
        self.membership = command.membership
        self._members_changed = True
        return Members(self.revision, by_id(members))

    # --- queries ---

    @property
    def revision(self) -> int:
        """The store's revision: that of the last change, 1 when there was none."""
        return self.store.revision

    @property
    def gather_previous(self) -> bool:
        """Whether events carry the previous value, because somebody watches with prev_kv."""
        return self.store.gather_previous

    @gather_previous.setter
    def gather_previous(self, gather: bool) -> None:
        self.store.gather_previous = gather

    def query(self, query: Query, cluster_ms: int) -> Result:
        """Answer from the state as it is; a lease's remaining time is counted at `cluster_ms`."""
        answer = self.begin(query, cluster_ms)
        return answer if isinstance(answer, tuple) else finish(answer)

    def begin(self, query: Query, cluster_ms: int) -> Result | Steps[Result]:
        """The answer, or the steps to one that may take long: of the state at the first step.

        Until the last step, nothing may be swept that a later compaction outdates.
        """
        store = self.store
        match query:
            case Range():
                if query[1:] == _OF_ONE_KEY:
                    return get(store, query.key)
                return read_range(store, query)
            case Page(page):
                return read_range(store, page, counts=False)
            case Txn():
                return read_txn(store, query, store.revision)
            case LeaseTimeToLive():
                return self._time_to_live(query, max(cluster_ms, self.cluster_ms))
            case History():
                return read_history(store, query)
            case HashKV():
                return read_hash(store, query)
            case WholeHash():
                members = by_id(self.members)
                return hash_whole(store, self.leases, self.sessions, members, self.alarms)
            case LeaseLeases():
                return self._list_leases()
            case MemberList():
                return Members(self.revision, by_id(self.members))
            case MembersToCome(peers):
                return Members(self.revision, by_id(named(peers, self.members)), waiting=True)
            case AlarmList(kind):
                return Alarms(self.revision, self.alarms.of(kind))
            case Status(raft):
                assert raft is not None, "raft fills in its part of a status first"
                sizes = self._backend.size()
                alarms = tuple(self.alarms)
                return StatusDone(self.revision, *sizes, self.applied_index, raft, alarms)
            case _:
                assert_never(query)

    def _time_to_live(self, query: LeaseTimeToLive, now_ms: int) -> Steps[LeaseLife]:
        lease, revision = self.leases.table.get(query.id), self.revision
        if lease is None:
            return LeaseLife(revision, query.id, remaining_ms=-1, granted_ms=0)
        remaining_ms = max(0, lease.deadline_ms - now_ms)
        keys: list[bytes] | None = None
        if query.keys:
            keys = yield from sort(list(lease.keys), key=bytes)
        tuple_of_keys = None if keys is None else tuple(keys)
        return LeaseLife(revision, lease.id, remaining_ms, lease.ttl_ms, tuple_of_keys)

    def _list_leases(self) -> Steps[Leases]:
        revision, leases = self.revision, list(self.leases.table.values())
        ordered = yield from sort(leases, key=lambda lease: (lease.deadline_ms, lease.id))
        return Leases(revision, tuple([lease.id for lease in ordered]))

    # --- what others must be told ---

    def take_events(self) -> tuple[Event, ...]:
        """The events since the last call, in order; revisions are whole."""
        events = tuple(self.store.events)
        self.store.events = []
        return events

    def take_checks(self) -> list[Check | IntegrityReport]:
        """The integrity checks and reports since the last call, in order."""
        checks, self.checks = self.checks, []
        return checks

    def take_lease_facts(self) -> list[tuple[int, int]]:
        """Leases granted, renewed or ended since the last call, in order: id, deadline or 0."""
        facts = self.leases.facts
        self.leases.facts = []
        return facts

    @property
    def uncommitted(self) -> int:
        """How much the backend does not have yet: entries, or changes if these are more."""
        changes = max(len(self.store.fresh), self.sweeper.removed, len(self.leases.changed))
        return max(self.applied_index - self.committed_index, changes)

    def take_batch(self) -> Batch:
        """Everything that the backend does not have yet, for a commit that must follow at once.

        From now on reads ask the backend for it.
        """
        store = self.store
        fresh = store.take_fresh()
        meta = Meta(
            self.applied_index,
            self.applied_term,
            self.cluster_ms,
            store.revision,
            store.compact_revision,
            self.sweeper.swept_revision,
            self.membership,
        )
        members = by_id(self.members) if self._members_changed else ()
        batch = Batch(
            meta,
            fresh,
            self.leases.take_changes(),
            self.sessions.take_changes(),
            members,
            self.alarms.take_changes(),
        )
        self._members_changed = False
        self.committed_index = self.applied_index
        return batch
