"""Planted bugs in membership, snapshots, leases, sessions, watches and the client's core."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final
from unittest.mock import patch

from actors.lease.book import LeaseBook
from actors.raft.actor import RaftActor
from actors.raft.core import RaftCore
from actors.raft.leader import Leader
from actors.raft.log import LogStart, RaftLog
from actors.raft.membership import Change, Health, Membership, plan
from actors.raft.quorum import Configuration
from actors.raft.replica import Replica
from actors.raft.rpc import AppendResponse, Entry, HardState, SnapshotChunk
from actors.raft.shipping import Shipping
from actors.raft.wal import Wal
from actors.store.actor import StoreActor
from actors.store.backlog import portion
from actors.store.commands import Sequence as Numbered
from actors.store.leases import Leases
from actors.store.machine import Machine
from actors.store.mvcc import RevisionStore
from actors.store.results import Result
from actors.store.sessions import Sessions
from actors.store.storage import Changes
from actors.watch.audience import View
from actors.watch.frames import EventBatch, Reply
from cluster.client import core as client_core
from cluster.client.call import Call
from tests.simulation.mutants import Mutant, both

# --- membership -------------------------------------------------------------------------------


def changes_before_the_own_term_is_committed() -> AbstractContextManager[Any]:
    """A new leader changes the members at once (the single-server bug, raft-dev 2015)."""
    begin = RaftCore._begin_change

    def careless(core: RaftCore, leader: Leader, *arguments: Any) -> str:
        start, leader.start_index = leader.start_index, 0
        try:
            return begin(core, leader, *arguments)
        finally:
            leader.start_index = start

    return patch.object(RaftCore, "_begin_change", careless)


def several_changes_at_a_time() -> AbstractContextManager[Any]:
    """A change begins while the one before it is not committed."""
    return patch.object(Replica, "membership_committed", property(lambda replica: True))


def only_the_new_voters_count() -> AbstractContextManager[Any]:
    """In a joint membership the old voters are not asked any more."""
    return patch.object(Configuration, "_sets", lambda configuration: (configuration.voters,))


def learners_count() -> AbstractContextManager[Any]:
    """Learners are part of the majority."""

    def sets(configuration: Configuration) -> tuple[frozenset[int], ...]:
        voters = configuration.voters | configuration.learners
        return (voters, configuration.outgoing) if configuration.outgoing else (voters,)

    return patch.object(Configuration, "_sets", sets)


def voters_change_in_one_step() -> AbstractContextManager[Any]:
    """Several voters change at once without a joint membership."""

    def careless(now: Membership, change: Change, health: Health) -> Membership | str:
        planned = plan(now, change, health)
        return planned if isinstance(planned, str) else planned.final()

    return patch("actors.raft.membership.plan", careless)


def a_change_ends_before_it_is_committed() -> AbstractContextManager[Any]:
    """The final membership is appended right behind the joint one (Zeebe 60086)."""

    def careless(core: RaftCore, leader: Leader, now_ms: int) -> None:
        joint = core.replica.membership
        if joint.is_joint:
            core._append_membership(leader, joint.final(), joint.answer, now_ms)

    return patch.object(RaftCore, "_finish_change", careless)


def a_restart_forgets_uncommitted_members() -> AbstractContextManager[Any]:
    """What the log says of members counts only if it is committed when it is read (Zeebe 57389)."""
    init = Replica.__init__

    def careless(replica: Replica, *arguments: Any) -> None:
        init(replica, *arguments)
        held = [pair for pair in replica._memberships if pair[0] <= replica.commit]
        replica._memberships = held or replica._memberships[:1]

    return patch.object(Replica, "__init__", careless)


def truncation_keeps_the_members() -> AbstractContextManager[Any]:
    """A membership holds though its entry was replaced."""
    truncate = Replica._truncate_from

    def careless(replica: Replica, index: int) -> None:
        kept = list(replica._memberships)
        truncate(replica, index)
        replica._memberships = kept

    return patch.object(Replica, "_truncate_from", careless)


# --- snapshots and compaction -----------------------------------------------------------------


def a_snapshot_is_acknowledged_when_it_has_arrived() -> AbstractContextManager[Any]:
    """The leader is told before the snapshot is installed."""
    received = Shipping.received

    def careless(shipping: Shipping, chunk: SnapshotChunk, store: Any) -> Any:
        was = shipping._installing
        ack = received(shipping, chunk, store)
        if shipping._installing is not was:
            core = shipping._core
            core._promise(
                AppendResponse(
                    core.config.member_id,
                    chunk.source,
                    core.term,
                    chunk.session,
                    chunk.last_index,
                    False,
                    0,
                    0,
                )
            )
        return ack

    return patch.object(Shipping, "received", careless)


def a_snapshot_keeps_what_contradicts_it() -> AbstractContextManager[Any]:
    """What stands behind a snapshot's end stays, though the log differs there (openraft 531)."""

    def careless(log: RaftLog, index: int, term: int) -> list[Entry]:
        kept = [entry for entry in log._entries if entry.index > index]
        log._entries = kept
        log.size_bytes = sum(len(entry.command) for entry in kept)
        log._previous_index, log._previous_term = index, term
        return []

    return patch.object(RaftLog, "restart_after", careless)


def the_log_is_cut_before_the_store_is_durable() -> AbstractContextManager[Any]:
    """What is applied counts as durable."""
    forget = RaftActor._forget_log

    def careless(actor: RaftActor, applied_index: int) -> None:
        forget(actor, actor._core.replica.handed_out)

    return patch.object(RaftActor, "_forget_log", careless)


def a_reset_log_forgets_the_vote() -> AbstractContextManager[Any]:
    """After an installed snapshot the log begins without the vote of the present term."""
    reset = Wal.reset

    def careless(
        wal: Wal, hard_state: HardState, entries: tuple[Entry, ...], start: LogStart
    ) -> None:
        reset(wal, hard_state._replace(vote=0), entries, start)

    return patch.object(Wal, "reset", careless)


def a_snapshot_brings_its_own_members() -> AbstractContextManager[Any]:
    """Members stay as they were before the snapshot (openraft 1808)."""
    installed = Shipping.installed

    def careless(shipping: Shipping, message: Any) -> None:
        installed(shipping, message._replace(membership=b""))

    return patch.object(Shipping, "installed", careless)


def sessions_are_left_out_of_snapshots() -> AbstractContextManager[Any]:
    """A retry after an installed snapshot is applied again."""
    reopened = Machine.reopened

    def careless(machine: Machine, backend: Any) -> Machine:
        opened = reopened(machine, backend)
        opened.sessions.table.clear()
        return opened

    return patch.object(Machine, "reopened", careless)


def watchers_miss_what_a_snapshot_brought() -> AbstractContextManager[Any]:
    """Only what is applied is told to watchers."""
    return patch.object(StoreActor, "_tell_missed", lambda store, old_revision: None)


def leases_of_a_snapshot_never_end() -> AbstractContextManager[Any]:
    """The lease actor does not hear of leases that a snapshot brought."""
    switch = StoreActor._switch

    def careless(store: StoreActor, *arguments: Any) -> None:
        with patch.object(StoreActor, "_tell_leases", lambda store, gone: None):
            switch(store, *arguments)

    return patch.object(StoreActor, "_switch", careless)


def data_and_index_are_kept_apart() -> AbstractContextManager[Any]:
    """The applied index lags behind the data beside it (etcd 3.5.0)."""
    take = Machine.take_changes

    def careless(machine: Machine) -> Changes:
        changes = take(machine)
        meta = changes.meta
        return changes._replace(meta=meta._replace(applied_index=meta.applied_index - 1))

    return patch.object(Machine, "take_changes", careless)


# --- leases and time --------------------------------------------------------------------------


def leases_end_early() -> AbstractContextManager[Any]:
    """The leader proposes what is not due yet, and the store believes it."""
    expire = LeaseBook.expire

    def careless(book: LeaseBook, cluster_ms: int, expiries_max: int) -> Any:
        return expire(book, cluster_ms + 200, expiries_max)

    return both(patch.object(LeaseBook, "expire", careless), expiries_are_not_checked_again())


def expiries_are_not_checked_again() -> AbstractContextManager[Any]:
    """An expiry ends a lease that was renewed meanwhile (etcd 15247)."""

    def is_due(leases: Leases, lease_id: int, deadline_ms: int, now_ms: int) -> bool:
        return lease_id in leases.table

    return patch.object(Leases, "is_due", is_due)


def cluster_time_starts_anew_with_each_leader() -> AbstractContextManager[Any]:
    """Deadlines that another leader set mean nothing to this one."""
    start_clock = Replica.start_clock
    return patch.object(Replica, "start_clock", lambda replica: start_clock(replica) + 1_000)


# --- sessions and clients ---------------------------------------------------------------------


def retries_are_applied_again() -> AbstractContextManager[Any]:
    """The session table forgets."""
    admit = Sessions.admit

    def careless(sessions: Sessions, index: int, now_ms: int, sequence: Numbered) -> Result | None:
        admit(sessions, index, now_ms, sequence)
        return None

    return patch.object(Sessions, "admit", careless)


def session_results_are_not_kept_on_disk() -> AbstractContextManager[Any]:
    """A restart forgets what was answered."""
    take = Sessions.take_changes

    def careless(sessions: Sessions) -> Any:
        return tuple(change._replace(kept=(), forgotten=()) for change in take(sessions))

    return patch.object(Sessions, "take_changes", careless)


def each_attempt_is_a_new_command() -> AbstractContextManager[Any]:
    """The client gives a retry another number."""
    send = client_core.Core._send_attempt

    def careless(core: client_core.Core, call: Call, endpoint: str, now: float) -> None:
        if call.session is not None and call.attempts:
            call.session.end(call.seq)
            call.seq = call.session.begin(now)
        send(core, call, endpoint, now)

    return patch.object(client_core.Core, "_send_attempt", careless)


def a_refused_retry_had_no_effect() -> AbstractContextManager[Any]:
    """The client takes a refusal of its last attempt for the fate of all of them."""
    return patch.object(client_core, "NO_VERDICT", frozenset())


# --- watches ----------------------------------------------------------------------------------


def _portions_from(shifted: Callable[[RevisionStore, int], int]) -> AbstractContextManager[Any]:
    """What a watch that is behind reads begins at another revision than it should."""

    def careless(store: RevisionStore, start: int, *more: Any) -> Any:
        return portion(store, shifted(store, start), *more)

    return patch("actors.store.actor.portion", careless)


def watches_resume_one_too_late() -> AbstractContextManager[Any]:
    """The first event after a watch moves to another node is left out."""
    return _portions_from(lambda store, start: start + 1 if start > 1 else start)


def watches_resume_one_too_early() -> AbstractContextManager[Any]:
    """A watch is told again what it has seen last."""
    return _portions_from(lambda store, start: max(1, start - 1, store.compact_revision))


def revisions_are_split() -> AbstractContextManager[Any]:
    """What one revision did reaches watchers in two messages."""
    replies = EventBatch.replies

    def careless(batch: EventBatch, positions: Sequence[int], view: View) -> list[Reply]:
        middle = len(positions) // 2
        parts = [part for part in (positions[:middle], positions[middle:]) if part]
        return [reply for part in parts for reply in replies(batch, part, view)]

    return patch.object(EventBatch, "replies", careless)


MUTANTS_BEYOND: Final[tuple[Mutant, ...]] = (
    changes_before_the_own_term_is_committed,
    several_changes_at_a_time,
    only_the_new_voters_count,
    learners_count,
    voters_change_in_one_step,
    a_change_ends_before_it_is_committed,
    a_restart_forgets_uncommitted_members,
    truncation_keeps_the_members,
    a_snapshot_is_acknowledged_when_it_has_arrived,
    a_snapshot_keeps_what_contradicts_it,
    the_log_is_cut_before_the_store_is_durable,
    a_reset_log_forgets_the_vote,
    a_snapshot_brings_its_own_members,
    sessions_are_left_out_of_snapshots,
    watchers_miss_what_a_snapshot_brought,
    leases_of_a_snapshot_never_end,
    data_and_index_are_kept_apart,
    leases_end_early,
    expiries_are_not_checked_again,
    cluster_time_starts_anew_with_each_leader,
    retries_are_applied_again,
    session_results_are_not_kept_on_disk,
    each_attempt_is_a_new_command,
    a_refused_retry_had_no_effect,
    watches_resume_one_too_late,
    watches_resume_one_too_early,
    revisions_are_split,
)
