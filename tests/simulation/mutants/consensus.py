"""Planted bugs in elections, logs, commitment and reads."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest.mock import patch

from actors.language.entries import Entry
from actors.language.members import NOBODY
from actors.raft.core import RaftCore
from actors.raft.elector import AskedForVotes, Elector, ElectorEvents
from actors.raft.leader import Leader
from actors.raft.leading import Leading
from actors.raft.log import RaftLog
from actors.raft.progress import Progress, Rejection
from actors.raft.reads import LocalReads, ReadyRead
from actors.raft.replica import Replica
from actors.raft.roles import Candidate
from actors.raft.rounds import PendingRead, ReadRounds
from actors.raft.rpc import AppendRequest, AppendResponse, Heartbeat, VoteRequest, VoteResponse
from actors.raft.transfers import Transfers
from tests.simulation.mutants.planting import both, mutant


@mutant
def vote_not_saved() -> AbstractContextManager[Any]:
    """Only a new term is saved, a vote is not (PySyncObj 84)."""

    pledge, persisted = Elector._pledge, Elector.persisted

    def careless(elector: Elector, term: int, vote: int) -> None:
        pledge(elector, term, vote)
        elector.is_unsaved = term != elector._saved[0]

    def still_careless(elector: Elector) -> None:
        persisted(elector)
        elector.is_unsaved = elector.term != elector._saved[0]

    return both(
        patch.object(Elector, "_pledge", careless),
        patch.object(Elector, "persisted", still_careless),
    )


@mutant
def own_vote_counts_before_it_is_saved() -> AbstractContextManager[Any]:
    """A candidate that crashes may vote again in a term that it has won."""
    carry = RaftCore._carry

    def careless(core: RaftCore, events: ElectorEvents, now_ms: int) -> None:
        carry(core, events, now_ms)
        if any(isinstance(event, AskedForVotes) for event in events):
            outbox, counted = core._outbox, core.elector.own_vote_saved(now_ms)
            if isinstance(core.role, Candidate) and not core.role.pre:
                outbox.messages += outbox.promises
                outbox.promises.clear()
            carry(core, counted, now_ms)

    return patch.object(RaftCore, "_carry", careless)


@mutant
def old_terms_are_counted() -> AbstractContextManager[Any]:
    """Whatever a majority holds is committed (Raft figure 8)."""

    def careless(leading: Leading, leader: Leader, now_ms: int) -> bool:
        replica, commit = leading._replica, leading._replica.commit
        agreed = leader.agreed_index(replica.stable_index)
        if agreed > commit:
            replica.commit_to(agreed)
            leader.committed(commit, agreed, now_ms)
        return agreed > commit

    return patch.object(Leading, "maybe_commit", careless)


@mutant
def promises_leave_before_the_save() -> AbstractContextManager[Any]:
    """Acknowledge first, save later."""
    output = RaftCore.output

    def careless(core: RaftCore, now_ms: int) -> Any:
        taken = output(core, now_ms)
        return taken._replace(messages=taken.messages + core._outbox.take_promises())

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

    def careless(rounds: ReadRounds, *_: Any) -> list[PendingRead]:
        reads = list(rounds.reads)
        rounds.reads.clear()
        return reads

    return patch.object(ReadRounds, "take_confirmed", careless)


@mutant
def reads_before_the_own_term_is_committed() -> AbstractContextManager[Any]:
    """A new leader answers with a commit index that may be out of date (dissertation 6.4)."""

    def careless(leader: Leader, source: int, read_id: int, commit: int) -> None:
        leader.rounds.add(source, read_id, commit)

    return patch.object(Leader, "add_read", careless)


@mutant
def reads_overtake_what_they_must_see() -> AbstractContextManager[Any]:
    """A read is served as soon as its index is known, whether or not that is applied here."""

    def careless(reads: LocalReads, decided_index: int) -> tuple[ReadyRead, ...]:
        ready = tuple(read for _, read in reads.indexed)
        reads.indexed = []
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
    refusal = Elector._refusal

    def careless(elector: Elector, request: VoteRequest) -> VoteResponse:
        if not request.pre and not isinstance(elector.role, Leader):
            elector._pledge(elector.term, NOBODY)
        return refusal(elector, request)

    return patch.object(Elector, "_refusal", careless)


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

    def careless(transfers: Transfers, now_ms: int) -> bool:
        under_way, elector = transfers._under_way, transfers._elector
        if under_way is None or elector.term <= under_way.term:
            return maybe_end(transfers, now_ms)
        with patch.object(elector, "leader", under_way.target):
            return maybe_end(transfers, now_ms)

    return patch.object(Transfers, "maybe_end", careless)
