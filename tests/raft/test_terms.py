"""What a message's term means to each role (Raft 5.1; the table in the reference, 4.1)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from actors.raft.leader import Leader
from actors.raft.roles import Candidate, Follower
from actors.raft.rpc import (
    AppendRequest,
    AppendResponse,
    ForwardRefusal,
    ForwardRequest,
    HardState,
    Heartbeat,
    HeartbeatResponse,
    Message,
    ReadRequest,
    ReadResponse,
    VoteRequest,
    VoteResponse,
)
from tests.raft.harness import Solo, make_core

APPEND = AppendRequest(2, 1, 5, 5, 0, 0, 0, ())
HEARTBEAT = Heartbeat(2, 1, 5, 5, 0, 0, 0, 0, True)


def follower() -> Solo:
    return Solo(make_core(hard_state=HardState(1, 0, 0)))


def candidate() -> Solo:
    solo = follower()
    solo.tick()
    solo.step(VoteResponse(2, 1, 2, True, True))
    assert isinstance(solo.core.role, Candidate) and solo.core.term == 2
    return solo


def leader() -> Solo:
    solo = candidate()
    solo.step(VoteResponse(3, 1, 2, False, True))
    assert isinstance(solo.core.role, Leader)
    return solo


Make = Callable[[], Solo]
ROLES = pytest.mark.parametrize("make", [follower, candidate, leader])


def test_a_core_starts_as_a_follower_in_the_saved_term() -> None:
    core = make_core(hard_state=HardState(7, 3, 0))
    assert isinstance(core.role, Follower)
    assert (core.term, core.elector.vote, core.leader) == (7, 3, 0)


@ROLES
@pytest.mark.parametrize("message", [APPEND, HEARTBEAT])
def test_every_role_follows_the_sender_of_a_newer_append_or_heartbeat(
    make: Make, message: Message
) -> None:
    solo = make()
    solo.step(message)
    assert isinstance(solo.core.role, Follower)
    assert (solo.core.term, solo.core.elector.vote, solo.core.leader) == (5, 0, 2)


@ROLES
@pytest.mark.parametrize(
    "message",
    [
        AppendResponse(2, 1, 5, 5, 0, False, 0, 0),
        HeartbeatResponse(2, 1, 5, 5, 0, 0, 0),
        VoteResponse(2, 1, 5, False, False),
        VoteResponse(2, 1, 5, True, False),
        ReadRequest(2, 1, 5, 1),
        ReadResponse(2, 1, 5, 1, 1, 0),
        ForwardRequest(2, 1, 5, ()),
        ForwardRefusal(2, 1, 5, (), ""),
    ],
)
def test_every_role_steps_down_for_any_other_newer_message_and_knows_no_leader(
    make: Make, message: Message
) -> None:
    solo = make()
    solo.step(message)
    assert isinstance(solo.core.role, Follower)
    assert (solo.core.term, solo.core.elector.vote, solo.core.leader) == (5, 0, 0)


def test_a_granted_pre_vote_of_a_later_term_changes_nobodys_term() -> None:
    solo = follower()
    solo.step(VoteResponse(2, 1, 5, True, True))
    assert solo.core.term == 1


@pytest.mark.parametrize("make", [follower, candidate])
def test_a_newer_vote_request_is_granted_by_every_role_that_hears_no_leader(
    make: Make,
) -> None:
    solo = make()
    said = solo.step(VoteRequest(2, 1, 5, False, 9, 9))
    assert said.only(VoteResponse) == VoteResponse(1, 2, 5, False, True)
    assert (solo.core.term, solo.core.elector.vote) == (5, 2)


def test_a_pre_vote_request_changes_neither_role_nor_term_nor_vote() -> None:
    solo = candidate()
    said = solo.step(VoteRequest(2, 1, 9, True, 9, 9))
    assert said.only(VoteResponse) == VoteResponse(1, 2, 9, True, True)
    assert isinstance(solo.core.role, Candidate)
    assert (solo.core.term, solo.core.elector.vote) == (2, 1)
    assert not said.hard_states


@pytest.mark.parametrize("pre", [True, False])
def test_a_leader_ignores_newer_vote_requests_because_it_hears_itself(pre: bool) -> None:
    solo = leader()
    assert not solo.step(VoteRequest(2, 1, 9, pre, 9, 9)).said
    assert isinstance(solo.core.role, Leader) and solo.core.term == 2


@pytest.mark.parametrize("pre", [True, False])
def test_a_follower_that_hears_its_leader_ignores_vote_requests_without_a_word(pre: bool) -> None:
    solo = follower()
    solo.step(HEARTBEAT)
    solo.now_ms += 299
    assert not solo.step(VoteRequest(3, 1, 9, pre, 9, 9)).said
    assert solo.core.term == 5
    solo.now_ms += 1
    assert solo.step(VoteRequest(3, 1, 9, pre, 9, 9)).only(VoteResponse).granted


@ROLES
@pytest.mark.parametrize("message", [APPEND, HEARTBEAT])
def test_an_old_append_or_heartbeat_is_answered_with_an_empty_rejection_at_the_own_term(
    make: Make, message: Message
) -> None:
    solo = make()
    solo.step(VoteResponse(3, 1, 9, False, False))
    answer = solo.step(message).only(AppendResponse)
    assert answer == AppendResponse(1, 2, 9, 5, 0, True, 0, 0)
    assert solo.core.leader == 0


def test_an_old_pre_vote_request_is_refused_at_the_own_term_so_that_its_sender_catches_up() -> None:
    solo = Solo(make_core(hard_state=HardState(9, 0, 0)))
    said = solo.step(VoteRequest(2, 1, 5, True, 9, 9))
    assert said.only(VoteResponse) == VoteResponse(1, 2, 9, True, False)


@pytest.mark.parametrize(
    "message",
    [
        VoteRequest(2, 1, 1, False, 9, 9),
        VoteResponse(2, 1, 1, False, True),
        VoteResponse(2, 1, 1, True, True),
        AppendResponse(2, 1, 1, 1, 1, False, 0, 0),
        HeartbeatResponse(2, 1, 1, 1, 0, 0, 0),
        ReadResponse(2, 1, 1, 1, 1, 0),
    ],
)
def test_other_messages_of_an_old_term_have_no_effect(message: Message) -> None:
    solo = candidate()
    flushed = solo.step(message)
    assert not flushed.said and not flushed.hard_states
    assert isinstance(solo.core.role, Candidate)
    assert solo.core.role.votes == {1: True}


def test_a_candidate_concedes_to_a_leader_of_its_own_term() -> None:
    solo = candidate()
    solo.step(APPEND._replace(term=2, stream=2))
    assert isinstance(solo.core.role, Follower)
    assert (solo.core.leader, solo.core.elector.vote) == (2, 1), "its vote in this term stays given"


def test_a_message_for_somebody_else_is_ignored() -> None:
    solo = follower()
    assert not solo.step(APPEND._replace(target=3)).said
    assert solo.core.term == 1
