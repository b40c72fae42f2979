"""Planted bugs in elections, logs, commitment and reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest.mock import patch

from actors.language.entries import Entry, Proposal
from actors.language.members import NOBODY
from actors.raft import elector
from actors.raft.elector import Elector
from actors.raft.elector_events import AskedForVotes, ElectorEvents
from actors.raft.leader import Leader
from actors.raft.leading import Leading
from actors.raft.log import RaftLog
from actors.raft.outbox import Outbox
from actors.raft.progress import Progress, Rejection
from actors.raft.reads import LocalReads, ReadyRead
from actors.raft.replica import Replica
from actors.raft.rounds import PendingRead, ReadRounds
from actors.raft.rpc import AppendRequest, AppendResponse, Heartbeat, Message, VoteRequest
from actors.raft.terms import Verdict, judge
from actors.raft.transfers import Handover, Transfers
from tests.simulation.mutants.planting import both, mutant


@mutant
def vote_not_saved() -> AbstractContextManager[Any]:
    """Only a new term is saved, a vote is not (PySyncObj 84)."""

    answer, persisted = Elector.answer_vote, Elector.persisted

    def careless(elector: Elector, request: VoteRequest, now_ms: int) -> ElectorEvents:
        events = answer(elector, request, now_ms)
        elector.is_unsaved = elector.term != elector.saved[0]
        return events

    def still_careless(elector: Elector) -> None:
        persisted(elector)
        elector.is_unsaved = elector.term != elector.saved[0]

    return both(
        patch.object(Elector, "answer_vote", careless),
        patch.object(Elector, "persisted", still_careless),
    )


@mutant
def own_vote_counts_before_it_is_saved() -> AbstractContextManager[Any]:
    """A candidate that crashes may vote again in a term that it has won."""
    take = Outbox.take

    def at_once(outbox: Outbox) -> tuple[Message, ...]:
        asked = [each for each in outbox.promises if isinstance(each, VoteRequest)]
        outbox.promises = [each for each in outbox.promises if each not in asked]
        return *take(outbox), *asked

    def counting(step: Callable[..., ElectorEvents]) -> Callable[..., ElectorEvents]:
        def careless(elector: Elector, *arguments: Any) -> ElectorEvents:
            events = step(elector, *arguments)
            if any(isinstance(event, AskedForVotes) for event in events):
                events += elector.own_vote_saved(arguments[-1])
            return events

        return careless

    return both(
        patch.object(Outbox, "take", at_once),
        patch.object(Elector, "tick", counting(Elector.tick)),
        patch.object(Elector, "take_vote", counting(Elector.take_vote)),
        patch.object(Elector, "take_over", counting(Elector.take_over)),
    )


@mutant
def old_terms_are_counted() -> AbstractContextManager[Any]:
    """Whatever a majority holds is committed (Raft figure 8)."""
    maybe_commit = Leading.maybe_commit

    def careless(leading: Leading, leader: Leader, now_ms: int) -> bool:
        with patch.object(leader, "start_index", 0):
            return maybe_commit(leading, leader, now_ms)

    return patch.object(Leading, "maybe_commit", careless)


@mutant
def promises_leave_before_the_save() -> AbstractContextManager[Any]:
    """Acknowledge first, save later."""
    take = Outbox.take

    def careless(outbox: Outbox) -> tuple[Message, ...]:
        promises, outbox.promises = outbox.promises, []
        return *take(outbox), *promises

    return patch.object(Outbox, "take", careless)


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

    def careless(log: RaftLog, entries: Sequence[Entry]) -> int | None:
        return entries[0].index if entries else None

    return patch.object(RaftLog, "first_conflict", careless)


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
    give_out = Replica.give_out

    def careless(replica: Replica) -> tuple[Entry, ...]:
        replica.stable_index = replica.log.last_index
        return give_out(replica)

    return patch.object(Replica, "give_out", careless)


@mutant
def votes_again_in_the_same_term() -> AbstractContextManager[Any]:
    """A refused candidate's voter thinks that its vote is free again (eliben/raft, 2026)."""
    answer = Elector.answer_vote

    def careless(elector: Elector, request: VoteRequest, now_ms: int) -> ElectorEvents:
        events = answer(elector, request, now_ms)
        is_granted = elector.vote == request.source
        if not is_granted and not request.pre and not isinstance(elector.role, Leader):
            elector.vote, elector.is_unsaved = NOBODY, True
        return events

    return patch.object(Elector, "answer_vote", careless)


@mutant
def heartbeats_commit_what_they_do_not_know() -> AbstractContextManager[Any]:
    """The commit index of a heartbeat is the leader's, whatever the follower's log holds."""
    messages, heartbeats, hear = Leader.messages, Leader.heartbeats, Replica.hear

    def committing(make: Callable[..., Sequence[Message]]) -> Callable[..., list[Message]]:
        def careless(leader: Leader, commit: int, now_ms: int) -> list[Message]:
            made = make(leader, commit, now_ms)
            return [m._replace(commit=commit) if isinstance(m, Heartbeat) else m for m in made]

        return careless

    def hearing(replica: Replica, message: Heartbeat) -> None:
        hear(replica, message._replace(commit=min(message.commit, replica.log.last_index)))

    return both(
        patch.object(Leader, "messages", committing(messages)),
        patch.object(Leader, "heartbeats", committing(heartbeats)),
        patch.object(Replica, "hear", hearing),
    )


@mutant
def read_ids_begin_anew() -> AbstractContextManager[Any]:
    """An answer to a read of the last process confirms a read of this one."""
    init = LocalReads.__init__
    return patch.object(LocalReads, "__init__", lambda reads, first_id: init(reads, 0))


@mutant
def a_transfer_succeeds_whatever_ends_the_leadership() -> AbstractContextManager[Any]:
    """Another winner is taken for the target, and so is nobody."""
    outcome = Handover.outcome

    def careless(handover: Handover, leader: int, term: int, now_ms: int) -> bool | None:
        return term > handover.term or outcome(handover, leader, term, now_ms)

    return patch.object(Handover, "outcome", careless)


@mutant
def votes_though_it_hears_a_leader() -> AbstractContextManager[Any]:
    """A member that was cut off comes back and deposes a leader that works (dissertation 4.2.3).

    No promise is broken, and nothing is lost: only the spec forbids it.
    """

    def careless(message: Message, own_term: int, _: bool) -> Verdict:
        return judge(message, own_term, False)

    return patch.object(elector, "judge", careless)


@mutant
def takes_proposals_while_it_hands_over() -> AbstractContextManager[Any]:
    """A leader that never has its whole log at the target hands over late (dissertation 3.10)."""
    append = Leading.append

    def careless(
        leading: Leading, leader: Leader, proposals: Sequence[Proposal], now_ms: int
    ) -> None:
        with patch.object(Transfers, "target", NOBODY):
            append(leading, leader, proposals, now_ms)

    return patch.object(Leading, "append", careless)
