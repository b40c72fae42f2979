"""The elector alone: what each input makes of term, vote and role, and what it says of that."""

from __future__ import annotations

import pytest

from actors.language.members import NOBODY
from actors.raft.elector import Elector
from actors.raft.elector_events import Answered, AskedForVotes, Followed, Won
from actors.raft.facts import Cause
from actors.raft.leader import Leader
from actors.raft.membership import Membership
from actors.raft.probation import Probation
from actors.raft.roles import Candidate, Follower
from actors.raft.rpc import (
    AppendRequest,
    AppendResponse,
    HardState,
    Heartbeat,
    VoteRequest,
    VoteResponse,
)
from actors.raft.terms import Verdict
from tests.raft.harness import ELECTION_MS, START_MS, peer
from tests.raft.parts import Parts

LATER_MS = START_MS + 2 * ELECTION_MS


def candidate(members: int = 3) -> Elector:
    """An elector that has won its pre-vote, and stands in term 2; nothing is saved yet."""
    elector = Parts(members, terms=[1]).elector
    elector.tick(LATER_MS)
    for voter in range(2, members // 2 + 2):
        elector.take_vote(VoteResponse(voter, 1, 2, True, True), LATER_MS)
    assert isinstance(elector.role, Candidate) and not elector.role.pre
    return elector


def test_it_begins_as_a_follower_of_nobody_in_the_saved_term() -> None:
    elector = Parts(hard_state=HardState(7, 3, 0)).elector
    assert isinstance(elector.role, Follower)
    assert (elector.term, elector.vote, elector.leader) == (7, 3, NOBODY)
    assert not elector.is_unsaved


def test_before_its_timeout_it_does_nothing() -> None:
    elector = Parts().elector
    assert elector.tick(elector.due_ms - 1) == ()


def test_after_its_timeout_it_asks_whether_it_would_get_votes_and_promises_nothing() -> None:
    elector = Parts(terms=[1, 1]).elector
    (asked,) = elector.tick(elector.due_ms)
    assert asked == AskedForVotes([VoteRequest(1, n, 2, True, 2, 1, False) for n in (2, 3)])
    assert (elector.term, elector.vote, elector.is_unsaved) == (1, 0, False)


def test_with_enough_pre_votes_it_stands_in_a_term_of_its_own_that_must_be_saved() -> None:
    elector = Parts(terms=[1]).elector
    elector.tick(LATER_MS)
    (asked,) = elector.take_vote(VoteResponse(2, 1, 2, True, True), LATER_MS)
    assert asked == AskedForVotes([VoteRequest(1, n, 2, False, 1, 1, False) for n in (2, 3)])
    assert (elector.term, elector.vote, elector.is_unsaved) == (2, 1, True)
    elector.give_out()
    assert elector.is_unsaved
    elector.persisted()
    assert not elector.is_unsaved


def test_its_own_vote_counts_only_once_it_is_saved() -> None:
    elector = candidate()
    assert elector.take_vote(VoteResponse(2, 1, 2, False, True), LATER_MS) == ()
    assert elector.own_vote_saved(LATER_MS) == (Won(),)


def test_it_leads_with_what_its_owner_has_made_for_it() -> None:
    parts = Parts()
    leader = parts.lead()
    assert (parts.elector.role, parts.elector.leader) == (leader, 1)


def test_a_single_member_needs_nobody_but_its_disk() -> None:
    elector = Parts(1).elector
    assert elector.tick(LATER_MS) == (AskedForVotes([]), AskedForVotes([]))
    assert elector.own_vote_saved(LATER_MS) == (Won(),)


def test_a_vote_that_cannot_be_won_any_more_ends_its_candidacy() -> None:
    elector = candidate()
    elector.own_vote_saved(LATER_MS)
    assert elector.take_vote(VoteResponse(2, 1, 2, False, False), LATER_MS) == ()
    lost = elector.take_vote(VoteResponse(3, 1, 2, False, False), LATER_MS)
    assert lost == (Followed(NOBODY, is_new_term=False, was=None),)
    assert elector.vote == 1, "its vote in this term stays given"


def test_a_vote_counts_though_the_candidacy_has_timed_out() -> None:
    elector = candidate()
    elector.own_vote_saved(LATER_MS)
    elector.tick(elector.due_ms)
    assert isinstance(elector.role, Candidate) and elector.role.pre
    assert elector.take_vote(VoteResponse(2, 1, 2, False, True), LATER_MS) == (Won(),)


def test_a_leader_of_a_later_term_is_followed_and_the_vote_is_free_again() -> None:
    elector = candidate()
    append = AppendRequest(3, 1, 5, 5, 0, 0, 0, ())
    verdict = elector.judge(append, LATER_MS)
    assert verdict is Verdict.FOLLOW_SENDER
    assert elector.carry_out(verdict, append, LATER_MS) == (Followed(3, True, None),)
    assert (elector.term, elector.vote, elector.leader) == (5, NOBODY, 3)


def test_a_leader_of_an_earlier_term_is_told_of_this_one() -> None:
    elector = candidate()
    append = AppendRequest(3, 1, 1, 9, 0, 0, 0, ())
    (answered,) = elector.carry_out(elector.judge(append, LATER_MS), append, LATER_MS)
    assert answered == Answered(AppendResponse(1, 3, 2, 9, 0, True, 0, 0))
    assert elector.leader == NOBODY


def test_a_leader_that_is_heard_again_is_no_news() -> None:
    elector = Parts(terms=[1]).elector
    assert elector.follow(2, START_MS) == (Followed(2, False, None),)
    assert elector.follow(2, START_MS + 50) == ()
    assert elector.due_ms == START_MS + 50 + ELECTION_MS


def test_two_leaders_of_one_term_are_not_heard() -> None:
    parts = Parts()
    parts.lead()
    assert parts.elector.judge(Heartbeat(2, 1, 1, 1, 0, 0, 0, 0, True), START_MS) is Verdict.IGNORE


def test_who_steps_down_gives_back_what_it_knew_as_a_leader() -> None:
    parts = Parts()
    leader: Leader = parts.lead()
    assert parts.elector.step_down(START_MS, Cause.NO_QUORUM) == (Followed(NOBODY, False, leader),)
    assert isinstance(parts.elector.role, Follower)


def test_one_vote_a_term_and_the_same_again_for_the_same_candidate() -> None:
    elector = Parts(hard_state=HardState(4, 0, 0)).elector
    request = VoteRequest(2, 1, 4, False, 0, 0, False)
    granted = (Answered(VoteResponse(1, 2, 4, False, True)),)
    assert elector.answer_vote(request, START_MS) == granted
    assert elector.is_unsaved
    assert elector.answer_vote(request, START_MS) == granted
    (refused,) = elector.answer_vote(request._replace(source=3), START_MS)
    assert refused == Answered(VoteResponse(1, 3, 4, False, False))


def test_a_broken_connection_to_the_leader_makes_it_stand_soon_and_to_others_nothing() -> None:
    elector = Parts(terms=[1]).elector
    elector.follow(2, START_MS)
    elector.lost(3, START_MS)
    assert (elector.leader, elector.due_ms) == (2, START_MS + ELECTION_MS)
    elector.lost(2, START_MS)
    assert (elector.leader, elector.due_ms) == (NOBODY, START_MS)


def test_leadership_is_taken_over_from_nobody_but_the_leader() -> None:
    elector = Parts(terms=[1]).elector
    elector.follow(2, START_MS)
    assert elector.take_over(3, START_MS) == ()
    (asked,) = elector.take_over(2, START_MS)
    assert isinstance(asked, AskedForVotes) and all(each.transfer for each in asked.requests)
    assert (elector.term, elector.vote) == (2, 1)


def test_a_learner_never_stands_but_asks_with_a_log_that_wins_nothing() -> None:
    membership = Membership((peer(1), peer(2)), frozenset({2}), learners=frozenset({1}))
    elector = Parts(membership, terms=[1, 1]).elector
    followed, asked = elector.tick(LATER_MS)
    assert followed == Followed(NOBODY, False, None)
    assert asked == AskedForVotes([VoteRequest(1, 2, 2, True, 0, 0, False)])
    assert (elector.term, elector.vote) == (1, 0)


@pytest.mark.parametrize(("term", "expected"), [(2, (3, 0)), (3, (3, 1)), (9, (9, 1))])
def test_a_vote_is_given_away_in_no_term_that_is_past(term: int, expected: tuple[int, int]) -> None:
    elector = Parts(hard_state=HardState(3, 0, 0)).elector
    elector.give_vote_away(term)
    assert (elector.term, elector.vote) == expected


def test_on_probation_it_neither_stands_nor_votes_and_after_it_does() -> None:
    probation = Probation(5)
    elector = Parts(hard_state=HardState(1, 0, 0), probation=probation).elector
    request = VoteRequest(2, 1, 1, False, 9, 1, False)
    assert elector.answer_vote(request, START_MS) == (
        Answered(VoteResponse(1, 2, 1, False, False)),
    )
    assert isinstance(elector.tick(LATER_MS)[0], Followed)
    elector.end_probation(LATER_MS)
    assert elector.due_ms == LATER_MS, "a cluster that starts waits for nobody"
    assert elector.answer_vote(request, LATER_MS) == (Answered(VoteResponse(1, 2, 1, False, True)),)
