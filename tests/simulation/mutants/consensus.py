"""Planted bugs in elections, logs, commitment and reads."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest.mock import patch

from actors.language.entries import Entry
from actors.raft.core import RaftCore
from actors.raft.leader import Leader, PendingRead
from actors.raft.log import RaftLog
from actors.raft.progress import Progress, Rejection
from actors.raft.reads import LocalReads, ReadyRead
from actors.raft.replica import Replica
from actors.raft.rpc import AppendRequest, AppendResponse, Heartbeat, VoteRequest
from actors.raft.transfers import Transfers
from tests.simulation.mutants.planting import both, mutant


@mutant
def vote_not_saved() -> AbstractContextManager[Any]:
    """Only a new term is saved, a vote is not (PySyncObj 84)."""

    def unsaved(core: RaftCore) -> bool:
        return core.term != core._saved[0]

    return patch.object(RaftCore, "_unsaved", unsaved)


@mutant
def own_vote_counts_before_it_is_saved() -> AbstractContextManager[Any]:
    """A candidate that crashes may vote again in a term that it has won."""
    campaign = RaftCore._campaign

    def careless(
        core: RaftCore, now_ms: int, pre: bool, hurried_until_ms: int, transfer: bool = False
    ) -> None:
        campaign(core, now_ms, pre, hurried_until_ms, transfer)
        if not pre:
            core._messages += core._promises
            core._promises.clear()
            core._count_vote(core.config.member_id, True, False, now_ms)

    return patch.object(RaftCore, "_campaign", careless)


@mutant
def old_terms_are_counted() -> AbstractContextManager[Any]:
    """Whatever a majority holds is committed (Raft figure 8)."""

    def careless(core: RaftCore, leader: Leader, now_ms: int) -> None:
        agreed, commit = leader.agreed_index(core.replica.stable_index), core.replica.commit
        if agreed > commit:
            core.replica.commit_to(agreed)
            leader.committed(commit, agreed, now_ms)

    return patch.object(RaftCore, "_advance_commit", careless)


@mutant
def promises_leave_before_the_save() -> AbstractContextManager[Any]:
    """Acknowledge first, save later."""
    output = RaftCore.output

    def careless(core: RaftCore, now_ms: int) -> Any:
        taken = output(core, now_ms)
        return taken._replace(messages=taken.messages + taken.promises, promises=())

    return patch.object(RaftCore, "output", careless)


@mutant
def votes_for_any_log() -> AbstractContextManager[Any]:
    """A candidate whose log lacks committed entries can win (Raft 5.4.1)."""
    return patch.object(RaftLog, "is_up_to_date", lambda *_: True)


@mutant
def compares_logs_by_length() -> AbstractContextManager[Any]:
    """The longer log wins, whatever the terms of its entries."""

    def careless(log: RaftLog, last_index: int, last_term: int) -> bool:
        return last_index >= log.last_index

    return patch.object(RaftLog, "is_up_to_date", careless)


@mutant
def truncates_always() -> AbstractContextManager[Any]:
    """Every append cuts off what is behind it, stale ones too (PySyncObj)."""
    accept = Replica.accept

    def careless(replica: Replica, message: AppendRequest) -> AppendResponse:
        log, behind = replica.log, message.prev_index + 1
        if log.term(message.prev_index) == message.prev_term and behind > replica.commit:
            replica._truncate_from(behind)
        return accept(replica, message)

    return patch.object(Replica, "accept", careless)


@mutant
def commits_beyond_what_is_proven() -> AbstractContextManager[Any]:
    """A follower believes the leader's commit index for all that it holds.

    It takes a leader that goes back further than it must: ours hits the place where logs part.
    """
    accept, maybe_reject = Replica.accept, Progress.maybe_reject

    def cautious(progress: Progress, rejected: int, resume_after: int) -> Rejection:
        return maybe_reject(progress, rejected, max(0, resume_after - 3))

    def careless(replica: Replica, message: AppendRequest) -> AppendResponse:
        response = accept(replica, message)
        if not response.rejected:
            replica.commit_to(min(message.commit, replica.log.last_index))
        return response

    both = ExitStack()
    both.enter_context(patch.object(Progress, "maybe_reject", cautious))
    both.enter_context(patch.object(Replica, "accept", careless))
    return both


@mutant
def does_not_compare_the_previous_term() -> AbstractContextManager[Any]:
    """An append is taken wherever the log is long enough."""
    accept = Replica.accept

    def careless(replica: Replica, message: AppendRequest) -> AppendResponse:
        term = replica.log.term(message.prev_index)
        return accept(replica, message if term is None else message._replace(prev_term=term))

    return patch.object(Replica, "accept", careless)


@mutant
def commits_on_a_minority() -> AbstractContextManager[Any]:
    """One copy too few."""

    def careless(leader: Leader, stable_index: int) -> int:
        held = sorted((*(p.match for p in leader.peers.values()), stable_index), reverse=True)
        return held[len(held) // 2 - 1]

    return patch.object(Leader, "agreed_index", careless)


@mutant
def reads_without_a_quorum() -> AbstractContextManager[Any]:
    """A leader believes in itself."""

    def careless(leader: Leader) -> list[PendingRead]:
        reads = list(leader._reads)
        leader._reads.clear()
        return reads

    return patch.object(Leader, "_confirmed_reads", careless)


@mutant
def reads_before_the_own_term_is_committed() -> AbstractContextManager[Any]:
    """A new leader answers with a commit index that may be out of date (dissertation 6.4)."""

    def careless(leader: Leader, source: int, read_id: int, commit: int) -> None:
        leader._add_read(source, read_id, commit)

    return patch.object(Leader, "add_read", careless)


@mutant
def reads_overtake_what_they_must_see() -> AbstractContextManager[Any]:
    """A read is served as soon as its index is known, whether or not that is applied here."""

    def careless(reads: LocalReads, decided_index: int) -> tuple[ReadyRead, ...]:
        ready = tuple(read for _, read in reads._indexed)
        reads._indexed = []
        return ready

    return patch.object(LocalReads, "take_ready", careless)


@mutant
def tells_of_commits_before_the_save() -> AbstractContextManager[Any]:
    """Entries are applied that this member has not saved."""

    def careless(replica: Replica) -> tuple[Entry, ...]:
        replica.stable_index = replica.log.last_index
        return ()

    return patch.object(Replica, "unstable", careless)


@mutant
def votes_again_in_the_same_term() -> AbstractContextManager[Any]:
    """A refused candidate's voter thinks that its vote is free again (eliben/raft, 2026)."""
    refuse = RaftCore._refuse_vote

    def careless(core: RaftCore, request: VoteRequest) -> None:
        if not request.pre and not isinstance(core.role, Leader):
            core.vote = 0
        refuse(core, request)

    return patch.object(RaftCore, "_refuse_vote", careless)


@mutant
def heartbeats_commit_what_they_do_not_know() -> AbstractContextManager[Any]:
    """The commit index of a heartbeat is the leader's, whatever the follower's log holds."""
    heartbeats = Leader._heartbeat

    def careless(
        leader: Leader, target: int, peer: Progress, commit: int, now_ms: int, answer: bool
    ) -> Heartbeat:
        beat = heartbeats(leader, target, peer, commit, now_ms, answer)
        return beat._replace(commit=commit)

    def hear(replica: Replica, message: Heartbeat) -> None:
        replica._hear_clock(message.term, message.cluster_ms)
        replica.commit_to(min(message.commit, replica.log.last_index))

    return both(patch.object(Leader, "_heartbeat", careless), patch.object(Replica, "hear", hear))


@mutant
def read_ids_begin_anew() -> AbstractContextManager[Any]:
    """An answer to a read of the last process confirms a read of this one."""
    init = LocalReads.__init__
    return patch.object(LocalReads, "__init__", lambda reads, first_id: init(reads, 0))


@mutant
def a_transfer_succeeds_whatever_ends_the_leadership() -> AbstractContextManager[Any]:
    """Another winner is taken for the target, and so is nobody."""
    maybe_end = Transfers.maybe_end

    def careless(transfers: Transfers, leader: int, term: int, now_ms: int) -> bool:
        under_way = transfers._under_way
        if under_way is not None and term > under_way.term:
            leader = under_way.target
        return maybe_end(transfers, leader, term, now_ms)

    return patch.object(Transfers, "maybe_end", careless)
