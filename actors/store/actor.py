"""StoreActor: carries committed entries to the state machine, and the results round the ring.

It decides in which order others hear of an entry (the waiting client, Watch, Lease), and it commits
to the backend. What a command means is the machine's; the engines beside it decide when anything
else is done, and who hears of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import assert_never

from actors.language.commands import Compact
from actors.language.entries import Entry
from actors.language.inboxes import ToStore
from actors.language.members import NOBODY
from actors.language.messages import (
    Apply,
    Compacted,
    ConfirmedRead,
    Durable,
    Events,
    HistoryCut,
    InstallSnapshot,
    Leadership,
    Lengthy,
    LocalRead,
    Propose,
    Published,
    Question,
    ReadHistory,
    Replies,
    Room,
    Synced,
    TakeSnapshot,
    Tick,
    Ticket,
)
from actors.language.metrics import Survey
from actors.language.results import Result
from actors.runtime.base import Clock, NodeActor
from actors.store import installing
from actors.store.applying import apply_entries
from actors.store.backlog import Backlog
from actors.store.commits import Commits
from actors.store.compactor import Compactor
from actors.store.disk import reports
from actors.store.installing import Installer, NewState
from actors.store.listeners import Listeners, OfListeners
from actors.store.long_entry import ENTRY_STEPS_MAX, LongEntry
from actors.store.long_queries import QUERY_PAUSE_MS, LongQueries
from actors.store.machine import Machine
from actors.store.orders import Commit, CopyForClients, Order, Say, WriteAnew, propose
from actors.store.pace import CommitPace, earliest
from actors.store.retention import HistoryRetention
from actors.store.steps import finish
from actors.store.storage import Backend, CommitWaits
from actors.store.upkeep import NO_UPKEEP, Upkeep, UpkeepSettings


class StoreActor(NodeActor):
    """One node's store; nothing else touches machine and backend. `retention` compacts unasked."""

    def __init__(
        self,
        machine: Machine,
        backend: Backend,
        waits: CommitWaits,
        member_id: int,
        clock: Clock,
        retention: HistoryRetention | None = None,
        upkeep: UpkeepSettings = NO_UPKEEP,
        slice_steps_max: int = ENTRY_STEPS_MAX,
    ) -> None:
        super().__init__()
        self._machine = machine
        self._backend = backend
        self._member_id = member_id
        self._clock = clock
        self._pace = CommitPace()
        self._commits = Commits(self._pace, waits, lambda: self.mailbox.tell(Synced()))
        self._compactor = Compactor(retention)
        self._long_queries = LongQueries()
        self._long_entry = LongEntry(slice_steps_max)
        self._installer = Installer(slice_steps_max)
        self._upkeep = Upkeep(upkeep, member_id, machine, waits.durations)
        self._listeners = Listeners()
        self._backlog = Backlog()
        # False while an entry is half applied, or the file half replaced: `close` commits no such.
        self._is_whole = True

    @property
    def machine(self) -> Machine:
        """The machine of now; a snapshot that is installed brings another one."""
        return self._machine

    @property
    def backend(self) -> Backend:
        """The backend of now; a snapshot that is installed brings another one."""
        return self._backend

    def open(self) -> None:
        """Tell the neighbours what the recovered state holds, before anything that follows it."""
        self.ring.watch.tell(Events(self._machine.revision, ()))
        for told in finish(installing.leases_of(self._machine)):
            self.ring.lease.tell(told)
        self._carry_out(self._upkeep.members(self._machine))
        self._tell_auth()
        self._measure()
        self._arm()

    def receive(self, message: ToStore) -> None:
        machine = self._machine
        if machine.is_busy:
            passing = self._long_entry.let_pass(message, machine)
            if passing is None:
                return
            message = passing
        match message:
            case Apply(entries):
                self._apply(entries)
            case ConfirmedRead(questions, cluster_ms):
                self._answer(questions, cluster_ms)
            case LocalRead(questions):
                self._answer(questions, machine.cluster_ms)
            case Tick(now_ms):
                self._on_tick(now_ms)
            case ReadHistory():
                self._backlog.begin(message)
                self._on_tick(self._clock())
            case _ if isinstance(message, OfListeners):
                for told in self._listeners.pass_on(message, machine):
                    self.ring.watch.tell(told)
            case Leadership(clock=clock):
                self._compactor.leads = clock is not None
                self._upkeep.checker.lead(clock is not None, self._clock())
                self._arm()
            case Synced():
                self._on_tick(self._clock())
            case TakeSnapshot(path):
                self._take_snapshot(path)
            case InstallSnapshot(path):
                self._installer.begin(machine, path)
                self._go_on_installing()
            case Compacted():
                self._change_over()
            case _:
                is_copying = self._backend.is_copying or self._installer.is_busy
                orders = self._upkeep.receive(
                    message, machine, self._clock(), is_copying=is_copying
                )
                self._carry_out(orders)
                self._arm()

    def close(self) -> None:
        """Commit what is new, unless a failure left it half done, and close the backend."""
        if self._is_whole and self._commits.is_sound:
            self.commit_now()
        self._commits.close()
        self._installer.close()
        self._backend.close()

    # --- entries ---

    def _apply(
        self, entries: tuple[Entry, ...], ended: tuple[tuple[Ticket, Result], ...] = ()
    ) -> None:
        """Apply entries; `ended`: the answer, if one is due here, to a long entry that is done."""
        assert not self._installer.is_busy, "Raft hands out nothing while a snapshot is installed"
        machine, due_ms = self._machine, self._pace.due_ms
        compact_revision = machine.store.compact_revision
        self._is_whole = False
        replies, unreadable, size, left = apply_entries(
            machine, entries, self._member_id, self._compactor
        )
        self._is_whole = not left
        if left:
            self._long_entry.begin(left)
        self._pace.bytes += size
        # The waiting client first: a put's latency ends here, and watches need no order against it.
        self._reply([*ended, *replies] if ended else replies)
        events = machine.take_events()
        if events and self._listeners.connections:
            self.ring.watch.tell(Events(machine.revision, events))
        if machine.store.compact_revision != compact_revision and self._listeners.connections:
            self.ring.watch.tell(HistoryCut())
        # Of an entry under way nobody hears a part.
        if not left and (facts := machine.take_lease_facts()):
            self.ring.lease.tell(installing.told(facts, machine.cluster_ms))
        # A long query that began before the compaction may still read what a sweep would remove.
        if not self._long_queries.is_older_than(machine.store.compact_revision):
            self._compactor.keep_pace(machine.sweeper, len(events))
        if unreadable:
            reports.say_unreadable(unreadable)
            self._upkeep.unreadable(machine, self._clock())
        has_news = bool(unreadable or machine.checks or left or machine.store.index.is_late)
        if orders := self._upkeep.applied(machine, self._pace.undurable_bytes, self._clock):
            self._carry_out(orders)
        if self._pace.is_full(machine.uncommitted, self._clock):
            self.commit()
        # A put passes here. If a commit was due before and still is, its tick does what else is
        # due; only a sweep, and what upkeep has just learned, cannot wait for that.
        is_awaited = due_ms is not None and self._pace.due_ms == due_ms
        if not is_awaited or has_news or orders or machine.sweeper.is_due:
            self._arm()

    def _go_on(self) -> None:
        """Do a slice of the long entry; at its end what has waited for it comes next."""
        if (result := self._long_entry.work(self._machine, self._clock)) is None:
            return
        entry, rest, waiting = self._long_entry.end()
        self._tell_auth()
        is_owed = entry.ticket and entry.origin == self._member_id
        self._apply(rest, ended=((entry.ticket, result),) if is_owed else ())
        self.mailbox.put_back(waiting)

    # --- what is durable, and who is told, top to bottom ---

    def commit(self) -> None:
        """Begin to make durable what is new; if a commit is under way, the next one follows it."""
        machine, uncommitted = self._machine, self._machine.uncommitted
        # A commit has whole entries only: after a crash the log brings back the one under way.
        is_waiting = self._commits.is_under_way and not self._pace.is_too_full(uncommitted)
        if machine.is_busy or is_waiting:
            return
        self._continue_commit(until_end=True)
        self._pace.taken(uncommitted)
        if uncommitted:
            self._commits.begin(self._backend, machine.take_batch())
            self._continue_commit()
        else:
            self._reply(self._compactor.take_done(machine.sweeper.swept_revision))

    def _continue_commit(self, *, until_end: bool = False) -> None:
        """Write a portion of the commit under way; once it is durable, tell those who wait."""
        meta = self._commits.go_on(until_end=until_end)
        if meta is not None:
            # From now on reads find in the backend what was committed.
            self._machine.committed(meta)
            # Only now: Raft may cut the log before this index, and a crash must not need it again.
            self.ring.raft.tell(Durable(meta.applied_index))
            self._measure()
            self._reply(self._compactor.take_done(meta.swept_revision))

    def commit_now(self) -> None:
        """Make durable all that was applied, and wait for that."""
        self._continue_commit(until_end=True)
        self.commit()
        self._continue_commit(until_end=True)

    def _measure(self) -> None:
        warden, machine = self._upkeep.warden, self._machine
        if warden.is_curious(machine):
            self._carry_out(warden.measured(self._backend.size()[1], machine, self._clock()))

    # --- time ---

    def _on_tick(self, now_ms: int) -> None:
        machine = self._machine
        self._reply(self._long_queries.work(machine, self._clock))
        if machine.is_busy:
            # All else that may be due needs a whole state.
            self._go_on()
            self._arm()
            return
        self._long_entry.settle(machine.store.index, self._clock)
        self._continue_commit()
        if self._pace.is_due(now_ms):
            self.commit()
        if self._installer.is_busy:
            self._go_on_installing()
            machine = self._machine
        self._installer.tidy(self._clock)
        # Every member asks, so that the next leader has noted the past; only the leader gets one.
        if revision := self._compactor.due(machine.store, now_ms):
            self.ring.raft.tell(propose(NOBODY, [Compact(revision)]))
        self._backlog.work(machine.store, self._clock, self.ring.watch.tell)
        # Nor may a copy begin of a file that is about to go.
        is_copying = self._backend.is_copying or self._installer.is_busy
        self._carry_out(self._upkeep.tick(machine, now_ms, is_copying=is_copying))
        if not self._long_queries.is_older_than(machine.store.compact_revision):
            self._compactor.use_time(machine.sweeper, self._clock)
        is_swept = self._compactor.is_awaited() and not machine.sweeper.is_due
        if is_swept or self._pace.is_full(machine.uncommitted, self._clock):
            self.commit()
        self._arm()

    def _arm(self) -> None:
        """Ask to be woken for the first thing that will be due."""
        now_ms = self._clock()
        sweep_ms = self._compactor.next_wake_ms(self._machine.sweeper, now_ms)
        query_ms = now_ms + QUERY_PAUSE_MS if self._long_queries or self._backlog else None
        entry_ms = now_ms if self._machine.is_busy or self._machine.store.index.is_late else None
        commit_ms = self._commits.next_wake_ms(now_ms)
        others_ms = earliest(self._upkeep.next_wake_ms(), self._installer.next_wake_ms(now_ms))
        due_ms = earliest(commit_ms, sweep_ms, query_ms, entry_ms, others_ms)
        if due_ms is not None:
            self.mailbox.wake_at(due_ms)

    # --- the store's file ---

    def _take_snapshot(self, path: Path) -> None:
        """Copy what is applied now, while the store goes on; Raft hears when it is complete."""
        self.commit_now()
        # Read now: by the time the copy is complete the machine will be further.
        end = self._machine.committed_index, self._machine.applied_term
        reports.copy_for_members(self._backend, path, *end, self.ring.raft.tell)

    def _go_on_installing(self) -> None:
        """Do a slice; at the end the copy takes the whole store's place, if it is of use."""
        found = self._installer.work(self._clock, is_copying=self._backend.is_copying)
        if found is None:
            self._arm()
            return
        # If the copy is of no use, Raft is told the state of here, and takes it for durable.
        self.commit_now()
        if isinstance(found, str):
            reports.say(Say(f"the snapshot is not installed: {found}"))
            self._backend.discard_copy(self._installer.path)
        else:
            self._switch(found)
        self.ring.raft.tell(installing.done(self._machine))
        self.commit()
        self._arm()

    def _switch(self, new: NewState) -> None:
        copy, machine, lease_news = new
        self._is_whole = False
        copy.install()
        old, self._machine, self._backend = self._machine, machine, copy
        self._is_whole = True
        machine.gather_previous = old.gather_previous
        self._upkeep.counts.replaced(old)
        self._long_queries.begin_again()
        # The new machine's sweeper does not know that clients wait for the end of a sweep.
        if self._compactor.is_awaited():
            machine.sweeper.hurry()
        for told in lease_news:
            self.ring.lease.tell(told)
        reports.say_installed(machine.revision)
        self._carry_out(self._upkeep.members(machine))
        self._tell_auth()
        if self._listeners.connections and (skipped := installing.watch_news(old, machine)):
            self.ring.watch.tell(skipped)
        self._installer.free(old)

    def _change_over(self) -> None:
        """Let the compact copy take the file's place."""
        before = self._backend.size()[0]
        # The copy repeats commits: what is not committed when the files change would be lost.
        self.commit_now()
        error = self._backend.change_over()
        reports.say_defragmented(error, before, self._backend.size()[0])
        self._carry_out(self._upkeep.copies.changed_over(error, self._machine.revision))
        self._measure()
        self._arm()

    # --- what others hear ---

    def _tell_auth(self) -> None:
        """Tell of changed users and roles, before anything that comes after the change."""
        if news := self._machine.auth.news():
            self.ring.gateway.tell(news)
            for told in self._listeners.rights(self._machine):
                self.ring.watch.tell(told)

    def _answer(self, questions: tuple[Question, ...], cluster_ms: int) -> None:
        self._reply(self._long_queries.answer(self._machine, questions, cluster_ms))
        if self._long_queries:
            if begun := self._long_queries.take_begun():
                self.ring.gateway.tell(Lengthy(begun))
            self._arm()

    def _reply(self, replies: Iterable[tuple[Ticket, Result]]) -> None:
        if replies := tuple(replies):
            self.ring.gateway.tell(Replies(replies))

    def _carry_out(self, orders: Iterable[Order]) -> None:
        for order in orders:
            match order:
                case Propose() | Published():
                    self.ring.raft.tell(order)
                case Replies() | Room():
                    self.ring.gateway.tell(order)
                case Survey():
                    self.ring.watch.tell(order)
                case Say():
                    reports.say(order)
                case Commit():
                    self._pace.hurry(self._clock())
                    self.commit()
                case CopyForClients(path):
                    self.commit_now()
                    reports.copy_for_clients(self._backend, path, self.mailbox.tell)
                case WriteAnew():
                    self.commit_now()
                    self._backend.compact(lambda _: self.mailbox.tell(Compacted()))
                case _:
                    assert_never(order)
