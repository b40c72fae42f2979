"""What a member's parts note of an election for people, beside what they decide."""

from __future__ import annotations

import pytest

from actors.language.members import NOBODY
from actors.raft.elector import Elector
from actors.raft.facts import (
    FACTS_MAX,
    Cause,
    Elected,
    Fact,
    FactBook,
    Follows,
    LateHeartbeats,
    NearMiss,
    PeerLost,
    Stood,
    Suspected,
    Voted,
    VoteRefusal,
)
from actors.raft.probation import Probation
from actors.raft.roles import Candidate
from actors.raft.rpc import HardState, Heartbeat, Message, TimeoutNow, VoteRequest, VoteResponse
from tests.raft.harness import ELECTION_MS, START_MS, Solo, make_core
from tests.raft.parts import Parts

HEARD_MS = START_MS + 5
LATER_MS = START_MS + 2 * ELECTION_MS


def follower(*, leader: int = 2) -> Elector:
    """Member 1, which follows a leader in term 1, and has heard it at HEARD_MS."""
    elector = Parts(terms=[1]).elector
    elector.follow(leader, START_MS)
    elector.follow(leader, HEARD_MS)
    elector.facts.take()
    return elector


def leading() -> Solo:
    """Member 1 of three, which has just begun to lead term 2."""
    solo = Solo(make_core(hard_state=HardState(1, 0, 0)))
    solo.tick()
    for pre in (True, False):
        solo.step(VoteResponse(2, 1, 2, pre, True))
    solo.core.elector.facts.take()
    return solo


def asks(candidate: int, term: int, *, pre: bool = False, last_term: int = 1) -> VoteRequest:
    return VoteRequest(candidate, 1, term, pre, 9, last_term, False)


def voted(elector: Elector, request: VoteRequest, now_ms: int = LATER_MS) -> Fact:
    """What is noted of a vote, whatever else is."""
    verdict = elector.judge(request, now_ms)
    elector.carry_out(verdict, request, now_ms)
    if verdict.name in ("HANDLE", "STEP_DOWN"):
        elector.answer_vote(request, now_ms)
    (fact,) = [each for each in elector.facts.take() if isinstance(each, Voted)]
    return fact


# --- the leader is missed ---


def test_a_leader_whose_connection_broke_is_suspected_once() -> None:
    elector = follower()
    elector.lost(3, HEARD_MS)
    assert elector.facts.take() == ()
    elector.lost(2, HEARD_MS + 7)
    elector.lost(2, HEARD_MS + 8)
    assert elector.facts.take() == (Suspected(2, "connection", 1, 7),)
    elector.tick(LATER_MS)
    assert elector.facts.take() == (Stood(2, True, (2, 3), True),)


def test_a_leader_that_is_silent_is_suspected_before_this_member_stands() -> None:
    elector = follower()
    elector.tick(elector.due_ms)
    silent_ms = ELECTION_MS
    assert elector.facts.take() == (
        Suspected(2, "timeout", 1, silent_ms),
        Stood(2, True, (2, 3), True),
    )


def test_a_leader_that_hands_over_is_not_taken_for_lost_in_silence() -> None:
    elector = follower()
    elector.take_over(2, HEARD_MS + 3)
    assert elector.facts.take() == (
        Suspected(2, "transfer", 1, 3),
        Stood(2, False, (2, 3), True),
    )


@pytest.mark.parametrize(("silent_ms", "is_near"), [(ELECTION_MS // 2, False), (200, True)])
def test_a_word_of_the_leader_that_comes_late_is_a_near_miss(silent_ms: int, is_near: bool) -> None:
    elector = follower()
    elector.follow(2, HEARD_MS + silent_ms)
    near = (NearMiss(2, silent_ms, ELECTION_MS),)
    assert elector.facts.take() == (near if is_near else ())


@pytest.mark.parametrize("late_ms", [ELECTION_MS // 2, ELECTION_MS // 2 + 1])
def test_a_leader_notes_how_late_its_heartbeats_leave(late_ms: int) -> None:
    solo = leading()
    leader = solo.core.elector.leads_as
    assert leader is not None
    leader.quorum_check_due_ms = leader.heartbeat_due_ms + ELECTION_MS
    solo.core.tick(leader.heartbeat_due_ms + late_ms)
    late = (LateHeartbeats(late_ms),)
    assert solo.core.elector.facts.take() == (late if 2 * late_ms > ELECTION_MS else ())


# --- votes ---


def test_a_vote_that_is_given_is_noted() -> None:
    elector = Parts(terms=[1]).elector
    assert voted(elector, asks(3, 2)) == Voted(3, 2, False, None, NOBODY)
    assert voted(elector, asks(3, 3, pre=True)) == Voted(3, 3, True, None, NOBODY)


def test_a_vote_that_is_refused_is_noted_with_its_reason() -> None:
    elector = Parts(terms=[1, 4]).elector
    assert voted(elector, asks(3, 5, last_term=1)) == Voted(
        3, 5, False, VoteRefusal.LOG_BEHIND, NOBODY
    )
    assert voted(elector, asks(2, 5, last_term=4)) == Voted(2, 5, False, None, NOBODY)
    assert voted(elector, asks(3, 5, last_term=4)) == Voted(3, 5, False, VoteRefusal.HAS_VOTED, 2)
    assert voted(elector, asks(3, 4, pre=True)) == Voted(3, 4, True, VoteRefusal.PAST_TERM, NOBODY)


def test_one_on_probation_refuses_because_it_may_have_forgotten_a_vote() -> None:
    elector = Parts(probation=Probation(5)).elector
    assert voted(elector, asks(3, 2)) == Voted(3, 2, False, VoteRefusal.ON_PROBATION, NOBODY)


def test_a_candidate_that_a_healthy_leader_keeps_away_is_refused_without_an_answer() -> None:
    elector = follower()
    request = asks(3, 2, pre=True)
    assert voted(elector, request, HEARD_MS + 1) == Voted(3, 2, True, VoteRefusal.HEARS_LEADER, 2)
    assert elector.carry_out(elector.judge(request, HEARD_MS), request, HEARD_MS) == ()


# --- who leads ---


def test_an_election_is_noted_with_its_votes_and_from_when_this_member_first_stood() -> None:
    elector = Parts(members=5, terms=[1]).elector
    elector.tick(LATER_MS)
    for voter in (2, 4):
        elector.take_vote(VoteResponse(voter, 1, 2, True, True), LATER_MS + 1)
    elector.facts.take()
    elector.take_vote(VoteResponse(3, 1, 2, False, False), LATER_MS + 5)
    elector.take_vote(VoteResponse(5, 1, 2, False, True), LATER_MS + 6)
    elector.take_vote(VoteResponse(2, 1, 2, False, True), LATER_MS + 7)
    elector.own_vote_saved(LATER_MS + 9)
    assert elector.facts.take() == (Elected(2, (1, 2, 5), 9),)


def test_a_candidate_that_is_outvoted_follows_nobody() -> None:
    elector = Parts(terms=[1]).elector
    elector.tick(LATER_MS)
    assert isinstance(elector.role, Candidate)
    elector.facts.take()
    for voter in (2, 3):
        elector.take_vote(VoteResponse(voter, 1, 1, True, False), LATER_MS)
    assert elector.facts.take() == (Follows(NOBODY, 1, False, Cause.OUTVOTED, 1),)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Heartbeat(3, 1, 5, 5, 0, 0, 0, 0, True), Follows(3, 5, True, Cause.LEADER, 3)),
        (VoteResponse(3, 1, 5, False, False), Follows(NOBODY, 5, True, Cause.NEWER_TERM, 3)),
        (
            VoteRequest(3, 1, 5, False, 9, 9, True),
            Follows(NOBODY, 5, True, Cause.HANDED_OVER, 3),
        ),
    ],
)
def test_a_leader_that_steps_down_notes_why(message: Message, expected: Follows) -> None:
    parts = Parts()
    parts.lead()
    elector = parts.elector
    elector.carry_out(elector.judge(message, START_MS), message, START_MS)
    assert elector.facts.take() == (expected,)


def test_a_leader_without_a_quorum_notes_that() -> None:
    solo = leading()
    while solo.core.leader:
        solo.tick()
    assert solo.core.elector.facts.take() == (Follows(NOBODY, 2, True, Cause.NO_QUORUM, 1),)


def test_one_without_a_vote_asks_whether_it_is_still_a_member() -> None:
    core = make_core(member=7)
    core.tick(core.next_tick_ms)
    assert core.elector.facts.take()[-1] == Stood(1, True, (1, 2, 3), False)


def test_a_leaders_request_to_take_over_reaches_the_facts_through_the_core() -> None:
    core = make_core(terms=(1,))
    core.step(Heartbeat(2, 1, 1, 1, 0, 0, 0, 0, True), START_MS)
    core.step(TimeoutNow(2, 1, 1), START_MS + 1)
    kinds = [type(each) for each in core.elector.facts.take()]
    assert kinds == [Follows, Suspected, Stood]


def test_facts_beyond_the_limit_are_dropped_until_they_are_taken() -> None:
    facts = FactBook()
    for member in range(2 * FACTS_MAX):
        facts.note(PeerLost(member, "timeout"))
    assert len(facts.take()) == FACTS_MAX
    facts.note(PeerLost(1, "timeout"))
    assert facts.take() == (PeerLost(1, "timeout"),)
