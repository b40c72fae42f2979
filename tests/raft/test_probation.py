"""A member whose disk shows no log promises nothing before the others have told what they know."""

from __future__ import annotations

import pytest

from actors.language.members import Peer, RemoveMember, ReplaceMember
from actors.raft.health import health_of
from actors.raft.leader import Leader
from actors.raft.membership import Membership, encode, first_membership, plan
from actors.raft.outcome import Removed, WasHere
from actors.raft.probation import ANSWERS_MAX, Probation
from actors.raft.rpc import (
    AppendRequest,
    AppendResponse,
    ChangeRequest,
    ForwardRequest,
    HardState,
    Heartbeat,
    HeartbeatResponse,
    JoinRequest,
    Message,
    VoteRequest,
    VoteResponse,
    Welcome,
)
from tests.raft.harness import ELECTION_MS, Solo, entries, make_core, peer, voters
from tests.raft.test_membership import EVERYBODY

NONCE = 77
OWN = 1


def says(
    source: int,
    term: int = 1,
    last_index: int = 1,
    stream: int = 0,
    membership: Membership | None = None,
) -> Welcome:
    """What a member answers to member 1."""
    packed = encode(membership or voters(3))
    return Welcome(source, OWN, 7, NONCE, packed, False, term, last_index, term, stream)


def on_probation(members: int = 3) -> Solo:
    """Member 1, a founder with an empty disk."""
    probation = Probation(NONCE)
    return Solo(make_core(OWN, members, (1,), HardState(1, 0, 1), probation=probation))


def catching_up(term: int = 5, last_index: int = 3) -> Solo:
    """The same, when the others have answered: member 2 leads that term."""
    solo = on_probation()
    for answer in (says(2, term, last_index, stream=9), says(3, term, last_index)):
        solo.core.welcomed(answer, solo.now_ms)
    solo.flush()
    return solo


# --- whose answers are needed -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "needed"), [(1, 0), (2, 1), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)]
)
def test_enough_answer_when_any_quorum_it_was_part_of_has_answered(
    members: int, needed: int
) -> None:
    probation = Probation(NONCE)
    for source in range(2, needed + 1):
        probation.take(says(source, membership=voters(members)))
    if needed:
        assert probation.awaited(OWN, voters(members))
        probation.take(says(needed + 1, membership=voters(members)))
    assert probation.awaited(OWN, voters(members)) == frozenset()


def test_nobody_is_awaited_by_name_before_anybody_is_known() -> None:
    assert Probation(NONCE).awaited(OWN, first_membership(())) is None


def test_both_sets_of_a_change_under_way_must_answer_but_not_one_that_is_past() -> None:
    joint = plan(voters(3), ReplaceMember(3, Peer(OWN + 8, ("tcp://host9:2380",))), EVERYBODY)
    assert isinstance(joint, Membership)
    probation = Probation(NONCE)
    probation.take(says(2, membership=joint))
    assert probation.awaited(OWN, voters(3)) == frozenset({3, 9})
    # Once the change is done, member 3 is gone, and so is every quorum with it.
    probation.take(says(2, term=2, membership=joint.final()))
    assert probation.awaited(OWN, voters(3)) == frozenset({9})
    probation.take(says(9, membership=joint.final()))
    assert probation.awaited(OWN, voters(3)) == frozenset()


def test_a_learner_asks_a_majority_of_those_who_count() -> None:
    membership = voters(4)._replace(voters=frozenset({2, 3, 4}), learners=frozenset({OWN}))
    probation = Probation(NONCE)
    probation.take(says(2, membership=membership))
    assert probation.awaited(OWN, first_membership(())) == frozenset({3, 4})
    probation.take(says(3, membership=membership))
    assert probation.awaited(OWN, first_membership(())) == frozenset()


def test_an_answer_to_another_life_or_of_a_stranger_too_many_is_not_kept() -> None:
    probation = Probation(NONCE)
    assert not probation.take(says(2, term=9)._replace(nonce=NONCE + 1))
    for source in range(2, ANSWERS_MAX + 9):
        probation.take(says(source))
    assert not probation.take(says(ANSWERS_MAX + 9, term=9))
    assert probation.term == 1


def test_an_answer_that_was_overtaken_says_nothing_more() -> None:
    probation = Probation(NONCE)
    probation.take(says(2, term=5, last_index=9, stream=5))
    probation.take(says(2, term=4, last_index=8))
    assert probation.goal(5, 2) == 9
    assert probation.may_follow(2, 5, 5)


# --- asking -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        VoteRequest(2, OWN, 9, True, 9, 9),
        VoteRequest(2, OWN, 9, False, 9, 9),
        AppendRequest(2, OWN, 9, 9, 1, 1, 1, entries(2, 9)),
        Heartbeat(2, OWN, 9, 9, 1, 1, 1, 0, True),
    ],
)
def test_who_asks_takes_no_part_not_even_in_terms(message: Message) -> None:
    solo = on_probation()
    flushed = solo.step(message)
    assert (flushed.said, flushed.hard_states, solo.core.term) == ([], [], 1)


def test_who_asks_never_stands_however_long_it_takes() -> None:
    solo = on_probation()
    solo.core.read_index(solo.now_ms)
    for _ in range(5):
        before_ms = solo.now_ms
        assert solo.tick().said == []
        assert solo.core.next_tick_ms > before_ms


def test_it_gives_the_vote_of_the_greatest_term_away_before_it_says_anything() -> None:
    solo = on_probation()
    solo.core.welcomed(says(2, term=4, last_index=7), solo.now_ms)
    assert solo.flush().hard_states == [], "member 3 has not answered"
    solo.core.welcomed(says(3, term=5, last_index=2), solo.now_ms)
    assert solo.flush().hard_states == [HardState(5, OWN, 1)]
    assert not solo.step(VoteRequest(2, OWN, 5, False, 9, 9)).only(VoteResponse).granted


def test_founders_that_are_all_new_are_full_members_at_once() -> None:
    solo = on_probation()
    for source in (2, 3):
        assert not any(each.is_proven for each in solo.flush().decided)
        solo.core.welcomed(says(source), solo.now_ms)
    first, *_ = solo.flush().decided
    assert first.is_proven, "after what it adopted was saved"
    solo.core.admit(solo.now_ms)
    assert solo.step(VoteRequest(2, OWN, 2, False, 1, 1)).only(VoteResponse).granted


def test_a_cluster_that_starts_does_not_wait_for_election_timeouts() -> None:
    solo = on_probation()
    for source in (2, 3):
        solo.core.welcomed(says(source), solo.now_ms)
    solo.flush()
    solo.core.admit(solo.now_ms)
    assert solo.core.next_tick_ms < solo.now_ms + ELECTION_MS // 2
    assert len(solo.tick().all(VoteRequest)) == 2
    # Those who are not full members yet refuse: it asks them soon again.
    assert solo.core.next_tick_ms < solo.now_ms + ELECTION_MS // 2


def test_the_only_member_needs_no_answers() -> None:
    solo = on_probation(members=1)
    assert any(each.is_proven for each in solo.flush().decided)


def test_one_answer_that_it_was_here_is_enough_for_it_to_stop() -> None:
    solo = on_probation()
    answer = says(3)._replace(was_here=True, client_urls=("tcp://host3:2379",))
    solo.core.welcomed(answer, solo.now_ms)
    solo.core.welcomed(says(2), solo.now_ms)
    (decided, *_) = solo.flush().decided
    assert (decided.ending, decided.is_proven) == (WasHere(("tcp://host3:2379",)), False)


def test_one_that_was_removed_is_told_and_who_has_its_place() -> None:
    gone = plan(voters(3), RemoveMember(OWN), EVERYBODY)
    assert isinstance(gone, Membership)
    now = gone.final()
    now = now._replace(peers=(*now.peers, Peer(9, peer(OWN).peer_urls)))
    solo = on_probation()
    solo.core.welcomed(says(2, membership=now), solo.now_ms)
    assert solo.flush().decided[0].ending == Removed(successor=9)


# --- catching up ------------------------------------------------------------------------------


def vote_of(solo: Solo, last_index: int, last_term: int, pre: bool) -> bool:
    """Whether it votes for member 3 in term 6, with a log that ends there."""
    request = VoteRequest(3, OWN, 6, pre, last_index, last_term)
    return solo.step(request).only(VoteResponse).granted


@pytest.mark.parametrize("pre", [True, False])
def test_who_catches_up_votes_only_for_who_holds_all_that_the_others_did(pre: bool) -> None:
    for last_index, last_term, may in ((2, 5, False), (99, 4, False), (3, 5, True), (1, 6, True)):
        solo = catching_up(term=5, last_index=3)
        assert vote_of(solo, last_index, last_term, pre) is may


def test_who_catches_up_votes_for_nobody_while_one_has_not_answered() -> None:
    """Whoever is silent may hold a vote, or count acknowledgements, of an earlier life."""
    solo = on_probation(members=5)
    for source in (2, 3, 4):
        answer = says(source, term=5, last_index=3, membership=voters(5))
        solo.core.welcomed(answer, solo.now_ms)
    solo.flush()
    assert solo.core.term == 5, "enough have answered for it to take part"
    assert not vote_of(solo, 99, 6, pre=True)
    solo.core.welcomed(says(5, term=5, last_index=3, membership=voters(5)), solo.now_ms)
    assert vote_of(solo, 99, 6, pre=True)


@pytest.mark.parametrize("joint", [False, True])
def test_its_only_fellow_gets_its_vote_in_a_later_term(joint: bool) -> None:
    membership = voters(2)
    if joint:  # member 2 was alone, and has added this one
        membership = membership._replace(outgoing=frozenset({2}))
    solo = on_probation(members=2)
    solo.core.welcomed(says(2, term=5, last_index=3, membership=membership), solo.now_ms)
    solo.flush()
    assert not solo.step(VoteRequest(2, OWN, 5, False, 3, 5)).only(VoteResponse).granted
    assert solo.step(VoteRequest(2, OWN, 6, True, 3, 5)).only(VoteResponse).granted
    assert solo.step(VoteRequest(2, OWN, 6, False, 3, 5)).only(VoteResponse).granted


def test_who_catches_up_does_not_stand() -> None:
    solo = catching_up()
    solo.tick()
    solo.step(VoteResponse(2, OWN, 6, True, True), VoteResponse(3, OWN, 6, True, True))
    assert solo.core.term == 5


def test_it_follows_only_a_stream_that_began_in_its_own_life() -> None:
    solo = catching_up()
    earlier = AppendRequest(2, OWN, 5, 8, 1, 1, 3, entries(2, 1, 5))
    assert solo.step(earlier, Heartbeat(2, OWN, 5, 8, 3, 3, 0, 0, True)).said == []
    flushed = solo.step(earlier._replace(stream=9, commit=1))
    assert flushed.only(AppendResponse).index == 3


def test_it_is_proven_when_it_holds_what_the_leader_held_and_an_entry_of_its_term() -> None:
    solo = catching_up(last_index=3)
    flushed = solo.step(AppendRequest(2, OWN, 5, 9, 1, 1, 1, entries(2, 1)))
    assert not flushed.decided[-1].is_proven, "it lacks an entry"
    flushed = solo.step(AppendRequest(2, OWN, 5, 9, 2, 1, 1, entries(3, 5)))
    assert flushed.decided[-1].is_proven
    assert flushed.all(AppendResponse)[-1].index == 3


def test_entries_of_earlier_terms_do_not_prove_it() -> None:
    solo = catching_up(last_index=3)
    flushed = solo.step(AppendRequest(2, OWN, 5, 9, 1, 1, 1, entries(2, 1, 4, 4)))
    assert not flushed.decided[-1].is_proven


def test_a_later_leader_must_have_answered_too() -> None:
    solo = catching_up(last_index=3)
    append = AppendRequest(3, OWN, 6, 6, 1, 1, 1, entries(2, 1, 5, 6))
    assert solo.step(append).said == []
    solo.core.welcomed(says(3, term=6, last_index=4, stream=6), solo.now_ms)
    assert solo.step(append).decided[-1].is_proven


def test_what_it_is_asked_to_put_in_the_log_waits_until_it_is_a_full_member() -> None:
    """Its name above all: published, it would speak against this very life after a restart."""
    solo = catching_up(last_index=2)
    solo.propose(b"my name")
    solo.core.change_members(RemoveMember(3), 9, solo.now_ms)
    flushed = solo.step(AppendRequest(2, OWN, 5, 9, 1, 1, 1, entries(2, 5)))
    beat = Heartbeat(2, OWN, 5, 9, 1, 2, 0, 0, True)
    said = flushed.said + solo.step(beat).said
    assert not [each for each in said if isinstance(each, ForwardRequest | ChangeRequest)]
    solo.core.admit(solo.now_ms)
    (proposal,) = solo.flush().only(ForwardRequest).proposals
    assert proposal.command == b"my name"


def test_its_leader_hears_that_it_does_not_vote_yet() -> None:
    solo = catching_up()
    beat = Heartbeat(2, OWN, 5, 9, 0, 1, 0, 0, True)
    assert solo.step(beat).only(HeartbeatResponse).on_probation
    solo.core.admit(solo.now_ms)
    assert not solo.step(beat).only(HeartbeatResponse).on_probation


# --- what a leader makes of it ----------------------------------------------------------------


def leading() -> Solo:
    """Member 1 leads term 2 of three."""
    solo = Solo(make_core(OWN, 3, (1,), HardState(1, 0, 1)))
    solo.tick()
    for pre in (True, False):
        solo.step(VoteResponse(2, OWN, 2, pre, True))
    solo.propose(b"a", b"b")
    return solo


def role(solo: Solo) -> Leader:
    assert isinstance(solo.core.role, Leader)
    return solo.core.role


def test_a_leader_forgets_what_an_earlier_life_acknowledged() -> None:
    solo = leading()
    stream = solo.core.peers.streams()[2]
    solo.step(AppendResponse(2, OWN, 2, stream, 2, False, 0, 0))
    question = JoinRequest(NONCE, 2, (), on_probation=True)
    anew = solo.core.peers.stream_for(2, question, solo.now_ms)
    assert anew not in (0, stream)
    assert role(solo).peers[2].match == 0
    # What the earlier life has sent arrives, and counts for nothing.
    solo.step(AppendResponse(2, OWN, 2, stream, 4, False, 0, 0))
    assert (role(solo).peers[2].match, solo.core.replica.commit) == (0, 2)


def test_a_leader_does_not_forget_what_the_same_life_acknowledges() -> None:
    solo = leading()
    question = JoinRequest(NONCE, 2, (), on_probation=True)
    stream = solo.core.peers.stream_for(2, question, solo.now_ms)
    solo.step(AppendResponse(2, OWN, 2, stream, 4, False, 0, 0))
    assert solo.core.peers.stream_for(2, question, solo.now_ms) == stream
    assert role(solo).peers[2].match == 4
    # A member that only asks who it is has forgotten nothing.
    other = JoinRequest(NONCE + 1, 2, ())
    assert solo.core.peers.stream_for(2, other, solo.now_ms) == stream


def test_no_change_of_members_counts_on_who_is_on_probation() -> None:
    solo = leading()
    question = JoinRequest(NONCE, 2, (), on_probation=True)
    stream = solo.core.peers.stream_for(2, question, solo.now_ms)
    answer = HeartbeatResponse(2, OWN, 2, stream, 4, 4, 0, on_probation=True)
    solo.step(AppendResponse(2, OWN, 2, stream, 4, False, 0, 0), answer)
    assert 2 not in health_of(role(solo), solo.now_ms, ELECTION_MS).active
    solo.step(answer._replace(on_probation=False))
    assert 2 in health_of(role(solo), solo.now_ms, ELECTION_MS).active
