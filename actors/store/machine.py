"""The replicated state machine: what each command does.

It is a pure function of the applied entries (index, cluster time, command, sequence), so all nodes
agree. It composes keys, leases, sessions, members and alarms, and gathers what others must be told
and what the backend must keep. It refuses to know who asked, and what a message or a file is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self, assert_never

from actors.language.auth import NOBODY, AuthCommand, Principal
from actors.language.commands import (
    AdvanceClock,
    AlarmActivate,
    AlarmDeactivate,
    Command,
    Compact,
    DeleteRange,
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
    Sequence,
    SessionOpen,
    SetMembers,
    Txn,
)
from actors.language.results import (
    Alarms,
    Done,
    Failure,
    LeaseGranted,
    LeaseKeptAlive,
    Members,
    Result,
    SessionOpened,
)
from actors.store.alarms import AlarmTable
from actors.store.auth.check import fault_of, may_at_once
from actors.store.auth.needs import Asked
from actors.store.auth.table import AuthTable
from actors.store.deletion import EventsAside, Told
from actors.store.integrity import Check, hash_state
from actors.store.leases import LEASES_MAX
from actors.store.loading import Found, read_all
from actors.store.mvcc import RevisionStore
from actors.store.naming import by_id, named
from actors.store.sessions import SESSION_LIMITS, SessionLimits, SessionTable
from actors.store.steps import Steps, finish, step, take_apart
from actors.store.storage import Backend, Batch, Meta
from actors.store.writes import Writes
from cluster.faults import MaybeFault

Administration = (
    AdvanceClock
    | MemberPublish
    | SetMembers
    | AlarmActivate
    | AlarmDeactivate
    | IntegrityCheck
    | IntegrityReport
)


class Machine:
    """The state of one node, as the entries up to `applied_index` have made it.

    `members` are those that the cluster was founded with; a backend that has members overrides
    them. The limits decide what commands do, so all nodes of a cluster must have the same. `found`
    is what the backend holds, if it was read before.
    """

    def __init__(
        self,
        backend: Backend,
        members: Iterable[Member],
        session_limits: SessionLimits = SESSION_LIMITS,
        leases_max: int = LEASES_MAX,
        found: Found | None = None,
    ) -> None:
        if found is None:
            found = finish(read_all(backend, leases_max, at_once=True))
        (meta, _, sessions, stored_members, alarms, auth), index, self.leases = found
        self.applied_index = meta.applied_index
        self.applied_term = meta.applied_term
        self.membership = meta.membership
        self.committed_index = self._taken_index = meta.applied_index
        self.cluster_ms = meta.cluster_ms
        history = meta.revision, meta.compact_revision, meta.swept_revision
        self.store = RevisionStore(backend, index, *history)
        self.sweeper = self.store.sweeper
        self.sessions = SessionTable(sessions, session_limits)
        self._limits = (session_limits, leases_max)
        self.members = {member.id: member for member in stored_members or members}
        self.alarms = AlarmTable(alarms)
        self.auth = AuthTable(auth)
        self.leases.max_of = lambda user_id: self.auth.limits_of(user_id).leases
        # Kept for the actor until it takes them; no part of the state.
        self.checks: list[Check | IntegrityReport] = []
        self.writes = Writes(self.store, self.leases)
        # Whether an entry is under way; then these say how it goes on, and what was before it.
        self.is_busy = False
        self._long_steps: Steps[Result] | None = None
        self._long_sequence: Sequence | None = None
        self._revision_before = 0
        self._events_aside = EventsAside([], [])
        self._members_changed = not stored_members
        self.backend = backend

    def reopened(self, backend: Backend) -> Steps[Self]:
        """A machine with this one's limits, in the state that another backend holds."""
        session_limits, leases_max = self._limits
        found = yield from read_all(backend, leases_max)
        return type(self)(backend, (), session_limits, leases_max, found)

    def take_apart(self) -> Steps[None]:
        """Free the large tables; nobody uses this machine any more."""
        yield from self.store.index.take_apart()
        yield from take_apart(self.leases.table)
        yield from take_apart(self.sessions.table)

    # --- entries ---

    def apply(
        self,
        index: int,
        term: int,
        time_ms: int,
        command: Command,
        sequence: Sequence | None,
        principal: Principal = NOBODY,
    ) -> Result:
        """Apply the entry at `index`, the next one, as a whole, and return its answer."""
        result = self.begin_entry(index, term, time_ms, command, sequence, principal)
        while result is None:
            result = self.go_on()
        return result

    def begin_entry(
        self,
        index: int,
        term: int,
        time_ms: int,
        command: Command,
        sequence: Sequence | None,
        principal: Principal,
    ) -> Result | None:
        """Apply the entry at `index`, the next one; None: it is under way, `go_on` with it.

        Meanwhile the machine shows the state before the entry, but for leases; nothing else may
        change it, and nothing of it may be committed.
        """
        assert index == self.applied_index + 1, f"entry {index} after {self.applied_index}"
        self.applied_index = index
        self.applied_term = term
        if time_ms > self.cluster_ms:  # noqa: PLR1730 - max() costs a call on each entry
            self.cluster_ms = time_ms
        if sequence is None:
            return self._execute(command, principal)
        if self.auth.enabled:
            refusal = self.sessions.refusal(sequence.session, principal)
            if refusal is not None:
                return refusal
        result = self.sessions.admit(index, self.cluster_ms, sequence)
        if result is None:
            result = self._execute(command, principal)
            if result is None:
                self._long_sequence = sequence
            else:
                self.sessions.keep(sequence, result)
        return result

    def go_on(self) -> Result | None:
        """Do the next step of the entry under way; returns its answer at the last one."""
        assert self._long_steps is not None, "no entry is under way"
        result = step(self._long_steps)
        if result is None:
            return None
        sequence, self._long_steps, self._long_sequence = self._long_sequence, None, None
        self.is_busy = False
        self.store.put_events_back(self._take_aside())
        self.applied_index += 1
        if sequence is not None:
            self.sessions.keep(sequence, result)
        return result

    def _begin(self, steps: Steps[Result]) -> Result | None:
        """Do the first step of a command; most have no other."""
        store = self.store
        revision, earlier = store.revision, store.put_events_aside()
        result = step(steps)
        if result is not None:
            store.put_events_back(earlier)
            return result
        # Until the end everybody sees what was before.
        self.is_busy, self._revision_before, self._events_aside = True, revision, earlier
        self._long_steps = steps
        self.applied_index -= 1
        return None

    def skip(self, index: int, term: int, time_ms: int) -> None:
        """Pass over an entry without a command: only the log's place and the clock move."""
        assert index == self.applied_index + 1, f"entry {index} after {self.applied_index}"
        self.applied_index = index
        self.applied_term = term
        # Cluster time never goes back, whatever the entry says.
        self.cluster_ms = max(self.cluster_ms, time_ms)

    def _execute(self, command: Command, principal: Principal) -> Result | None:
        # Before any alarm: who may not do something is told that, and not how the cluster is.
        if self.auth.enabled and not may_at_once(self.auth, principal, command):
            if fault := self.fault_of(principal, command):
                return Failure(fault)
            # What is allowed at once grants no lease.
            self.leases.asker = principal.user_id
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
                return self._begin(self.writes.transact(command, self.cluster_ms))
            case DeleteRange():
                at_once = self.writes.delete_late(command)
                return at_once or self._begin(self.writes.delete_range(command))
            case Increment():
                return self.writes.increment(command)
            case LeaseGrant():
                return self._grant(command)
            case LeaseRevoke(lease_id):
                return self._begin(self.writes.revoke(lease_id))
            case LeaseExpire(expiries):
                return self._begin(self.writes.expire(expiries, self.cluster_ms))
            case SessionOpen(session_id):
                return self._open_session(session_id, principal.user_id)
            case Compact(revision):
                return self.store.compact(revision) or Done(self.store.revision)
            case _ if isinstance(command, AuthCommand):
                return self._begin(self._change_auth(command, self.applied_index))
            case _:
                return self._administer(command)

    def _administer(self, command: Administration) -> Result:
        """Commands that change neither keys nor leases, and that no alarm refuses."""
        match command:
            case AdvanceClock():
                return Done(self.store.revision)
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

    def _change_auth(self, command: AuthCommand, index: int) -> Steps[Result]:
        """In two steps: what comes before the change is told before it, and what follows after."""
        yield
        fault = self.auth.do(command, index)
        if not self.auth.enabled:
            self.leases.asker = 0
        return Failure(fault) if fault else Done(self.store.revision)

    def _open_session(self, session_id: int, owner: int) -> Result:
        owner = max(owner, 0)  # below are those who are no users
        fault = self.sessions.open(session_id, self.applied_index, self.cluster_ms, owner)
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
            tables = self.leases, self.sessions, members, self.alarms, self.auth
            found = hash_state(self.applied_index, *tables)
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

    # --- what it shows ---

    @property
    def revision(self) -> int:
        """The revision of the last change that is whole, 1 when there was none."""
        return self._revision_before if self.is_busy else self.store.revision

    def fault_of(self, principal: Principal, asked: Asked) -> MaybeFault:
        """Why the principal may not have this now; empty: it may."""
        return fault_of(self.auth, principal, asked, self.writes.keys_of)

    @property
    def gather_previous(self) -> bool:
        """Whether events carry the previous value, because somebody watches with prev_kv."""
        return self.store.gather_previous

    @gather_previous.setter
    def gather_previous(self, gather: bool) -> None:
        self.store.gather_previous = gather

    # --- what others must be told ---

    def take_events(self) -> Told:
        """The events since the last call, in order; revisions are whole, and entries, too."""
        return self._take_aside().told if self.is_busy else self.store.take_events()

    def _take_aside(self) -> EventsAside:
        aside, self._events_aside = self._events_aside, EventsAside([], [])
        return aside

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
        """How much no commit has taken yet: entries, or changes if these are more."""
        entries, changed = self.applied_index - self._taken_index, self.leases.changed
        return max(entries, len(self.store.fresh), self.sweeper.removed, len(changed))

    def take_batch(self) -> Batch:
        """Everything that the backend does not have yet, for a commit; `committed` tells its end.

        Until then reads find here what the batch holds. A batch is never given twice.
        """
        assert not self.is_busy, "a commit has whole entries only"
        store = self.store
        fresh = store.take_fresh()
        log = self.applied_index, self.applied_term, self.cluster_ms
        history = store.revision, store.compact_revision, self.sweeper.swept_revision
        members = by_id(self.members) if self._members_changed else ()
        leases, sessions = self.leases.take_changes(), self.sessions.take_changes()
        self._members_changed = False
        self._taken_index = self.applied_index
        meta = Meta(*log, *history, self.membership)
        rest = self.alarms.take_changes(), self.auth.take_changes()
        return Batch(meta, fresh, leases, sessions, members, *rest)

    def committed(self, meta: Meta) -> None:
        """The commit of the last batch is durable; this is its meta record."""
        self.committed_index = meta.applied_index
        self.store.committed(meta.revision)
