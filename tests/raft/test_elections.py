"""Elections (Raft 5.2, 5.4.1), pre-vote and check-quorum (dissertation 9.6, 6.2)."""

from __future__ import annotations

from random import Random

import pytest

from actors.raft.leader import Leader
from actors.raft.roles import Candidate, Follower
from actors.raft.rpc import HardState, Heartbeat, VoteRequest, VoteResponse
from tests.raft.harness import (
    ELECTION_MS,
    START_MS,
    Cluster,
    Solo,
    load,
    make_core,
)


def campaign(members: int = 3, terms: tuple[int, ...] = ()) -> Solo:
    """A core that has just begun a real campaign in term 2."""
    solo = Solo(make_core(members=members, terms=terms, hard_state=HardState(1, 0, 0)))
    solo.tick()
    for voter in range(2, members // 2 + 2):
        solo.step(VoteResponse(voter, 1, 2, True, True))
    assert (isinstance(solo.core.role, Candidate) and not solo.core.role.pre) or members == 1
    return solo


# --- timeouts ---


def test_election_timeouts_take_every_value_from_one_to_two_timeouts() -> None:
    random = Random(1)
    seen = {
        make_core(chance=random.randrange).next_tick_ms - START_MS for _ in range(20 * ELECTION_MS)
    }
    assert seen == set(range(ELECTION_MS, 2 * ELECTION_MS))


def test_of_five_members_few_time_out_together() -> None:
    random = Random(2)
    conflicts = 0
    for _ in range(1_000):
        due = sorted(make_core(chance=random.randrange).next_tick_ms for _ in range(5))
        conflicts += due[1] == due[0]
    assert conflicts < 50


def test_a_vote_that_took_longer_than_a_timeout_counts_as_long_as_the_term_lasts() -> None:
    solo = campaign()
    solo.tick()
    assert isinstance(solo.core.role, Candidate) and solo.core.role.pre
    solo.step(VoteResponse(3, 1, 2, False, False))
    solo.step(VoteResponse(2, 1, 2, False, True))
    assert isinstance(solo.core.role, Leader)
    assert solo.core.term == 2


def test_a_late_vote_of_a_term_in_which_this_process_never_stood_makes_no_leader() -> None:
    solo = Solo(make_core(hard_state=HardState(2, 1, 0)))
    solo.tick()
    solo.step(VoteResponse(2, 1, 2, False, True))
    solo.step(VoteResponse(3, 1, 2, False, True))
    assert isinstance(solo.core.role, Candidate) and solo.core.role.pre


def test_a_follower_that_hears_nothing_asks_everybody_for_a_pre_vote() -> None:
    solo = Solo(make_core(terms=(1, 1, 2)))
    said = solo.tick()
    assert solo.now_ms == START_MS + ELECTION_MS
    assert said.said == [VoteRequest(1, 2, 3, True, 3, 2), VoteRequest(1, 3, 3, True, 3, 2)]
    assert not said.hard_states, "a pre-vote changes nothing that is durable"
    assert (solo.core.term, solo.core.elector.vote) == (2, 0)


def test_a_leader_that_is_heard_keeps_a_follower_from_standing() -> None:
    solo = Solo(make_core())
    for _ in range(20):
        solo.now_ms += ELECTION_MS - 1
        solo.step(Heartbeat(2, 1, 1, 1, 0, 0, 0, 0, True))
        solo.core.tick(solo.now_ms)
        assert isinstance(solo.core.role, Follower)


def test_a_won_pre_vote_begins_a_real_campaign_in_the_next_term_with_a_vote_for_oneself() -> None:
    solo = Solo(make_core(terms=(1,)))
    solo.tick()
    said = solo.step(VoteResponse(3, 1, 2, True, True))
    assert said.said == [VoteRequest(1, 2, 2, False, 1, 1), VoteRequest(1, 3, 2, False, 1, 1)]
    assert said.hard_states == [HardState(2, 1, 0)]


def test_a_candidate_whose_campaign_leads_to_nothing_stands_again_in_a_later_term() -> None:
    solo = campaign()
    said = solo.tick()
    assert {request.term for request in said.all(VoteRequest)} == {3}
    assert all(request.pre for request in said.all(VoteRequest))


# --- winning and losing ---


@pytest.mark.parametrize("members", [1, 3, 5])
def test_a_candidate_leads_with_the_votes_of_a_majority_its_own_included(members: int) -> None:
    solo = campaign(members)
    for voter in range(2, members // 2 + 2):
        assert isinstance(solo.core.role, Candidate)
        solo.step(VoteResponse(voter, 1, 2, False, True))
    assert isinstance(solo.core.role, Leader)
    assert solo.core.term == 2


def test_a_candidate_that_a_majority_refuses_becomes_a_follower() -> None:
    solo = campaign(5)
    for voter in (2, 3):
        solo.step(VoteResponse(voter, 1, 2, False, False))
        assert isinstance(solo.core.role, Candidate)
    solo.step(VoteResponse(4, 1, 2, False, False))
    assert isinstance(solo.core.role, Follower)


def test_a_vote_that_arrives_many_times_counts_once() -> None:
    solo = campaign(5)
    for _ in range(5):
        solo.step(VoteResponse(2, 1, 2, False, True))
    assert isinstance(solo.core.role, Candidate)


def test_a_vote_of_a_stranger_does_not_count() -> None:
    solo = campaign()
    solo.step(VoteResponse(9, 1, 2, False, True))
    assert isinstance(solo.core.role, Candidate)


def test_a_pre_vote_does_not_count_as_a_vote() -> None:
    solo = campaign()
    solo.step(VoteResponse(2, 1, 3, True, True), VoteResponse(2, 1, 2, True, True))
    assert isinstance(solo.core.role, Candidate)


def test_a_vote_for_an_earlier_campaign_does_not_count() -> None:
    solo = campaign()
    solo.tick()
    solo.step(VoteResponse(3, 1, 3, True, True))
    assert solo.core.term == 3
    solo.step(VoteResponse(2, 1, 2, False, True))
    assert isinstance(solo.core.role, Candidate)


def test_a_pre_vote_granted_to_an_earlier_campaign_does_not_count() -> None:
    solo = campaign()
    solo.tick()
    assert isinstance(solo.core.role, Candidate) and solo.core.role.pre
    solo.step(VoteResponse(2, 1, 2, True, True))
    assert solo.core.role.pre, "the pre-vote for term 2 says nothing about term 3"


def test_late_votes_do_not_disturb_a_leader() -> None:
    solo = campaign(5)
    solo.step(VoteResponse(2, 1, 2, False, True), VoteResponse(3, 1, 2, False, True))
    assert isinstance(solo.core.role, Leader)
    leader = solo.core.role
    solo.step(VoteResponse(4, 1, 2, False, False), VoteResponse(5, 1, 2, True, True))
    assert solo.core.role is leader


# --- voting ---


@pytest.mark.parametrize(
    ("vote", "candidate", "granted"),
    [(0, 2, True), (0, 3, True), (2, 2, True), (3, 3, True), (2, 3, False), (3, 2, False)],
)
def test_a_member_votes_once_in_a_term_and_repeats_that_vote(
    vote: int, candidate: int, granted: bool
) -> None:
    solo = Solo(make_core(hard_state=HardState(2, vote, 0)))
    said = solo.step(VoteRequest(candidate, 1, 2, False, 0, 0))
    assert said.only(VoteResponse) == VoteResponse(1, candidate, 2, False, granted)


@pytest.mark.parametrize("pre", [True, False])
@pytest.mark.parametrize(
    ("log", "last_index", "last_term", "granted"),
    [
        ((), 0, 0, True),
        ((1,), 1, 1, True),
        ((1,), 2, 1, True),
        ((1, 1), 1, 1, False),
        ((1,), 1, 2, True),
        ((1, 1), 1, 2, True),
        ((2,), 1, 1, False),
        ((2,), 5, 1, False),
        ((1, 2), 3, 2, True),
        ((1, 2), 2, 2, True),
    ],
)
def test_a_vote_goes_only_to_a_log_that_is_as_up_to_date(
    log: tuple[int, ...], last_index: int, last_term: int, granted: bool, pre: bool
) -> None:
    solo = Solo(make_core(terms=log, hard_state=HardState(3, 0, 0)))
    answer = solo.step(VoteRequest(2, 1, 4, pre, last_index, last_term)).only(VoteResponse)
    assert answer.granted is granted
    assert solo.core.elector.vote == (2 if granted and not pre else 0)


def test_a_member_that_knows_the_leader_of_the_term_gives_no_vote_in_it() -> None:
    solo = Solo(make_core(hard_state=HardState(2, 0, 0)))
    solo.step(Heartbeat(3, 1, 2, 2, 0, 0, 0, 0, True))
    said = solo.step(VoteRequest(2, 1, 2, False, 0, 0))
    assert not said.only(VoteResponse).granted


def test_a_vote_survives_a_restart() -> None:
    cluster = Cluster()
    cluster.step(VoteRequest(2, 1, 1, False, 0, 0))
    cluster.crash(1)
    core = cluster.restart(1)
    assert (core.term, core.elector.vote) == (1, 2)
    cluster.step(VoteRequest(3, 1, 1, False, 0, 0))
    assert core.elector.vote == 2


def test_granting_a_vote_puts_off_the_own_campaign() -> None:
    solo = Solo(make_core())
    solo.now_ms += ELECTION_MS - 1
    solo.step(VoteRequest(2, 1, 1, False, 0, 0))
    assert solo.core.next_tick_ms == solo.now_ms + ELECTION_MS


# --- whole clusters ---


@pytest.mark.parametrize("size", [1, 3, 5])
def test_every_member_in_turn_can_become_the_leader(size: int) -> None:
    cluster = Cluster(size)
    for member in cluster.members:
        cluster.elect(member)
        assert cluster.leader == member
        assert all(core.leader == member for core in cluster.cores.values())


@pytest.mark.parametrize(
    ("away", "wins"), [((), True), ((2,), True), ((2, 3), True), ((2, 3, 4), False)]
)
def test_a_majority_of_five_elects_a_leader_and_a_minority_does_not(
    away: tuple[int, ...], wins: bool
) -> None:
    cluster = Cluster(5)
    for member in away:
        cluster.crash(member)
    cluster.run(3 * ELECTION_MS)
    assert any(isinstance(core.role, Leader) for core in cluster.cores.values()) is wins
    assert wins or all(core.term == 0 for core in cluster.cores.values()), "pre-votes cost no term"


def test_the_member_with_the_better_log_wins_although_it_stands_last() -> None:
    cluster = Cluster()
    load(cluster, [[1], [1], [1, 1]])
    cluster.isolate(2)
    cluster.run(5 * ELECTION_MS)
    assert cluster.leader == 3
    assert cluster.terms(1) == cluster.terms(3)


def test_a_member_that_was_cut_off_returns_without_deposing_the_leader() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.isolate(3)
    cluster.run(10 * ELECTION_MS)
    assert cluster.cores[3].term == 1, "pre-votes that nobody answers move no term"
    cluster.heal()
    cluster.run(2 * ELECTION_MS)
    assert cluster.leader == 1 and cluster.cores[1].term == 1


def test_a_member_whose_term_ran_ahead_is_freed_and_the_cluster_goes_on() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.propose(1, b"kept")
    cluster.crash(3)
    cluster.disks[3].hard_state = HardState(9, 3, 0)
    cluster.restart(3)
    cluster.run(6 * ELECTION_MS)
    assert cluster.cores[cluster.leader].term > 9
    assert {core.term for core in cluster.cores.values()} == {cluster.cores[cluster.leader].term}
    assert cluster.commands(3) == [b"kept"]


def test_a_leader_without_a_quorum_steps_down() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.isolate(1)
    cluster.run(2 * ELECTION_MS)
    assert not isinstance(cluster.cores[1].role, Leader)
    assert cluster.leader != 1


def test_a_leader_that_hears_a_majority_stays() -> None:
    cluster = Cluster(5)
    cluster.elect(1)
    cluster.crash(4)
    cluster.crash(5)
    cluster.run(10 * ELECTION_MS)
    assert cluster.leader == 1 and cluster.cores[1].term == 1


def test_two_leaders_of_different_terms_end_as_one() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.isolate(1)
    cluster.elect(2)
    assert isinstance(cluster.cores[1].role, Leader)
    cluster.heal()
    cluster.run(2 * ELECTION_MS)
    assert cluster.leader == 2
    assert isinstance(cluster.cores[1].role, Follower)
