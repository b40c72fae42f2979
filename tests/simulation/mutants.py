"""Planted bugs: each breaks one rule, and the simulation must find it. The evidence that it can.

A mutant is a context in which some function of a node is replaced. All are mistakes that were made
in real systems, or that a careless edit would make here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from actors.lease.book import LeaseBook
from actors.raft import wal
from actors.raft.core import RaftCore
from actors.raft.leader import Leader, PendingRead
from actors.raft.log import RaftLog
from actors.raft.quorum import Configuration
from actors.raft.reads import LocalReads, ReadyRead
from actors.raft.replica import Replica
from actors.raft.rpc import AppendRequest, AppendResponse, Entry, Message, VoteResponse
from actors.raft.wal_records import Record, _read_record, read_flushes
from actors.store.commands import Result
from actors.store.commands import Sequence as Numbered
from actors.store.leases import Leases
from actors.store.machine import Machine
from actors.store.sessions import Sessions

Mutant = Callable[[], AbstractContextManager[Any]]


def vote_not_saved() -> AbstractContextManager[Any]:
    """Only a new term is saved, a vote is not (PySyncObj 84)."""

    def unsaved(core: RaftCore) -> bool:
        return core.term != core._saved[0]

    return patch.object(RaftCore, "_unsaved", unsaved)


def own_vote_counts_before_it_is_saved() -> AbstractContextManager[Any]:
    """A candidate that crashes may vote again in a term that it has won."""
    campaign = RaftCore._campaign

    def careless(core: RaftCore, now_ms: int, pre: bool, hurried_until_ms: int) -> None:
        campaign(core, now_ms, pre, hurried_until_ms)
        if not pre:
            core._messages += core._promises
            core._promises.clear()
            core._count_vote(core.config.member_id, True, False, now_ms)

    return patch.object(RaftCore, "_campaign", careless)


def old_terms_are_counted() -> AbstractContextManager[Any]:
    """Whatever a majority holds is committed (Raft figure 8)."""

    def careless(core: RaftCore, leader: Leader, now_ms: int) -> None:
        agreed, commit = leader.agreed_index(core.replica.stable_index), core.replica.commit
        if agreed > commit:
            core.replica.commit_to(agreed)
            leader.committed(commit, agreed, now_ms)

    return patch.object(RaftCore, "_advance_commit", careless)


def promises_leave_before_the_save() -> AbstractContextManager[Any]:
    """Acknowledge first, save later."""
    output = RaftCore.output

    def careless(core: RaftCore, now_ms: int) -> Any:
        taken = output(core, now_ms)
        return taken._replace(messages=taken.messages + taken.promises, promises=())

    return patch.object(RaftCore, "output", careless)


def votes_for_any_log() -> AbstractContextManager[Any]:
    """A candidate whose log lacks committed entries can win (Raft 5.4.1)."""
    return patch.object(RaftLog, "is_up_to_date", lambda *_: True)


def compares_logs_by_length() -> AbstractContextManager[Any]:
    """The longer log wins, whatever the terms of its entries."""

    def careless(log: RaftLog, last_index: int, last_term: int) -> bool:
        return last_index >= log.last_index

    return patch.object(RaftLog, "is_up_to_date", careless)


def truncates_always() -> AbstractContextManager[Any]:
    """Every append cuts off what is behind it, stale ones too (PySyncObj)."""
    accept = Replica.accept

    def careless(replica: Replica, message: AppendRequest) -> AppendResponse:
        log, behind = replica.log, message.prev_index + 1
        if log.term(message.prev_index) == message.prev_term and behind > replica.commit:
            replica._truncate_from(behind)
        return accept(replica, message)

    return patch.object(Replica, "accept", careless)


def commits_beyond_what_is_proven() -> AbstractContextManager[Any]:
    """A follower believes the leader's commit index for all that it holds."""
    accept = Replica.accept

    def careless(replica: Replica, message: AppendRequest) -> AppendResponse:
        response = accept(replica, message)
        if not response.rejected:
            replica.commit_to(min(message.commit, replica.log.last_index))
        return response

    return patch.object(Replica, "accept", careless)


def does_not_compare_the_previous_term() -> AbstractContextManager[Any]:
    """An append is taken wherever the log is long enough."""
    accept = Replica.accept

    def careless(replica: Replica, message: AppendRequest) -> AppendResponse:
        term = replica.log.term(message.prev_index)
        return accept(replica, message if term is None else message._replace(prev_term=term))

    return patch.object(Replica, "accept", careless)


def commits_on_a_minority() -> AbstractContextManager[Any]:
    """One copy too few."""

    def careless(leader: Leader, stable_index: int) -> int:
        held = sorted((*(p.match for p in leader.peers.values()), stable_index), reverse=True)
        return held[len(held) // 2 - 1]

    return patch.object(Leader, "agreed_index", careless)


def counts_votes_of_any_term() -> AbstractContextManager[Any]:
    """A vote that was given in an earlier term counts in this one."""
    step = RaftCore.step

    def careless(core: RaftCore, message: Message, now_ms: int) -> None:
        if isinstance(message, VoteResponse) and not message.pre:
            message = message._replace(term=core.term)
        step(core, message, now_ms)

    return patch.object(RaftCore, "step", careless)


def reads_without_a_quorum() -> AbstractContextManager[Any]:
    """A leader believes in itself."""

    def careless(leader: Leader) -> list[PendingRead]:
        reads = list(leader._reads)
        leader._reads.clear()
        return reads

    return patch.object(Leader, "_confirmed_reads", careless)


def reads_before_the_own_term_is_committed() -> AbstractContextManager[Any]:
    """A new leader answers with a commit index that may be out of date (dissertation 6.4)."""

    def careless(leader: Leader, source: int, read_id: int, commit: int) -> None:
        leader._add_read(source, read_id, commit)

    return patch.object(Leader, "add_read", careless)


def half_a_flush_counts() -> AbstractContextManager[Any]:
    """Of a torn write, the records that came through are kept."""

    def careless(
        path: Path, data: bytes, last_flush: int, is_last: bool
    ) -> Iterator[Sequence[Record]]:
        flushes = list(read_flushes(path, data, last_flush, is_last))
        yield from flushes
        end = flushes[-1][-1].end
        head = _first_record(data, end, flushes[-1][-1])
        if is_last and head is not None:
            yield [head]

    return patch.object(wal, "read_flushes", careless)


def _first_record(data: bytes, offset: int, before: Record) -> Record | None:
    record = _read_record(data, offset, before.crc)
    return record if record is not None and record.flush == before.flush + 1 else None


def retries_are_applied_again() -> AbstractContextManager[Any]:
    """The session table forgets."""
    admit = Sessions.admit

    def careless(sessions: Sessions, index: int, now_ms: int, sequence: Numbered) -> Result | None:
        admit(sessions, index, now_ms, sequence)
        return None

    return patch.object(Sessions, "admit", careless)


@contextmanager
def leases_end_early() -> Iterator[None]:
    """The leader proposes what is not due yet, and the store believes it."""
    expire = LeaseBook.expire

    def careless(book: LeaseBook, cluster_ms: int, expiries_max: int) -> Any:
        return expire(book, cluster_ms + 200, expiries_max)

    def is_due(leases: Leases, lease_id: int, deadline_ms: int, now_ms: int) -> bool:
        return lease_id in leases.table

    with patch.object(LeaseBook, "expire", careless), patch.object(Leases, "is_due", is_due):
        yield


def cluster_time_starts_anew_with_each_leader() -> AbstractContextManager[Any]:
    """Deadlines that another leader set mean nothing to this one."""
    init = Leader.__init__

    def careless(
        leader: Leader,
        own_id: int,
        term: int,
        configuration: Configuration,
        log: RaftLog,
        cluster_ms: int,
        now_ms: int,
    ) -> None:
        init(leader, own_id, term, configuration, log, cluster_ms + 1_000, now_ms)

    return patch.object(Leader, "__init__", careless)


def watches_resume_one_too_late() -> AbstractContextManager[Any]:
    """The first event after a watch moves to another node is left out."""
    history = Machine.history

    def careless(machine: Machine, key: bytes, end: bytes, start: int, previous: bool) -> Any:
        return history(machine, key, end, start + 1 if start > 1 else start, previous)

    return patch.object(Machine, "history", careless)


def reads_overtake_what_they_must_see() -> AbstractContextManager[Any]:
    """A read is served as soon as its index is known, whether or not that is applied here."""

    def careless(reads: LocalReads, decided_index: int) -> tuple[ReadyRead, ...]:
        ready = tuple(read for _, read in reads._indexed)
        reads._indexed = []
        return ready

    return patch.object(LocalReads, "take_ready", careless)


def tells_of_commits_before_the_save() -> AbstractContextManager[Any]:
    """Entries are applied that this member has not saved."""

    def careless(replica: Replica) -> tuple[Entry, ...]:
        replica.stable_index = replica.log.last_index
        return ()

    return patch.object(Replica, "unstable", careless)


def the_greatest_clock_heard_counts() -> AbstractContextManager[Any]:
    """A leader that was cut off ran on; its clock judges deadlines that the next one set."""

    def careless(replica: Replica, term: int, cluster_ms: int) -> None:
        replica.cluster_ms = max(replica.cluster_ms, cluster_ms)

    return patch.object(Replica, "_hear_clock", careless)


FOUND_BY_SIMULATION: Final[tuple[Mutant, ...]] = (
    vote_not_saved,
    own_vote_counts_before_it_is_saved,
    promises_leave_before_the_save,
    votes_for_any_log,
    truncates_always,
    commits_on_a_minority,
    reads_without_a_quorum,
    reads_before_the_own_term_is_committed,
    reads_overtake_what_they_must_see,
    retries_are_applied_again,
    leases_end_early,
    cluster_time_starts_anew_with_each_leader,
    watches_resume_one_too_late,
    tells_of_commits_before_the_save,
)

FOUND_BY_SCRIPT: Final[tuple[Mutant, ...]] = (
    old_terms_are_counted,
    compares_logs_by_length,
    commits_beyond_what_is_proven,
    does_not_compare_the_previous_term,
    counts_votes_of_any_term,
    half_a_flush_counts,
    the_greatest_clock_heard_counts,
)
"""These need so rare a course of events that a modest number of seeds may miss them; a test of its
own in tests/raft makes each of them."""
