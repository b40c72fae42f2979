"""Nothing that promises anything leaves before it is durable, wherever a crash may strike."""

from __future__ import annotations

import pytest

from actors.raft.rpc import (
    AppendRequest,
    AppendResponse,
    ForwardRefusal,
    HardState,
    Heartbeat,
    HeartbeatResponse,
    Message,
    VoteRequest,
    VoteResponse,
)
from tests.raft.harness import (
    ELECTION_MS,
    Cluster,
    Flushed,
    Solo,
    entries,
    make_core,
)

PROMISES = (VoteResponse, AppendResponse)


def in_term(term: int) -> Solo:
    return Solo(make_core(terms=(1,), hard_state=HardState(term, 0, 0)))


@pytest.mark.parametrize(
    "message",
    [
        VoteRequest(2, 1, 5, False, 9, 9),
        VoteRequest(2, 1, 5, False, 0, 0),
        VoteRequest(2, 1, 4, False, 9, 9),
        AppendRequest(2, 1, 5, 5, 1, 1, 0, entries(2, 5)),
        AppendRequest(2, 1, 4, 4, 1, 1, 0, entries(2, 4)),
        AppendRequest(2, 1, 5, 5, 7, 5, 0, entries(8, 5)),
        AppendRequest(2, 1, 5, 5, 1, 1, 0, ()),
        AppendRequest(2, 1, 3, 3, 1, 1, 0, ()),
        Heartbeat(2, 1, 3, 3, 0, 0, 0, 0, True),
    ],
)
def test_votes_and_acknowledgements_of_every_kind_wait_for_the_save(message: Message) -> None:
    solo = in_term(4)
    said = solo.step(message)
    assert not any(isinstance(each, PROMISES) for each in said.messages)
    assert any(isinstance(each, PROMISES) for each in said.promises)


@pytest.mark.parametrize(
    "message",
    [
        VoteRequest(2, 1, 5, False, 0, 0),
        AppendRequest(2, 1, 5, 5, 7, 5, 0, entries(8, 5)),
        Heartbeat(2, 1, 5, 5, 0, 0, 0, 0, True),
    ],
)
def test_nothing_at_all_shows_a_new_term_before_it_is_saved(message: Message) -> None:
    said = in_term(4).step(message)
    assert not said.messages
    assert [state.term for state in said.hard_states] == [5]
    assert all(each.term == 5 for each in said.promises)


def test_a_term_that_is_saved_delays_no_heartbeat_answer() -> None:
    said = in_term(5).step(Heartbeat(2, 1, 5, 5, 0, 0, 0, 0, True))
    assert [type(each) for each in said.messages] == [HeartbeatResponse]
    assert not said.hard_states


def test_a_real_vote_request_waits_for_the_save_of_the_vote_for_oneself() -> None:
    solo = in_term(4)
    solo.tick()
    said = solo.step(VoteResponse(2, 1, 5, True, True))
    assert not said.messages
    assert said.hard_states == [HardState(5, 1, 0)]
    assert all(isinstance(each, VoteRequest) and not each.pre for each in said.promises)


def test_the_vote_for_oneself_counts_only_when_it_is_saved() -> None:
    core = make_core(members=1)
    core.tick(core.next_tick_ms)
    output = core.output(core.next_tick_ms)
    assert output.save is not None and output.save.hard_state == HardState(1, 1, 0)
    assert core.leader == 0
    core.persisted(core.next_tick_ms)
    assert core.leader == 1


def test_a_leader_sends_appends_before_its_own_save() -> None:
    cluster = Cluster()
    cluster.elect(1)
    said = propose(cluster, 1)
    assert {each.target for each in said.messages if isinstance(each, AppendRequest)} == {2, 3}
    assert said.entries and not said.promises


def propose(cluster: Cluster, member: int) -> Flushed:
    """One burst with a proposal at a member of a cluster."""
    solo = Solo(cluster.cores[member], cluster.now_ms)
    return solo.propose(b"x")


def test_a_refusal_to_take_a_proposal_needs_no_save() -> None:
    from actors.language.entries import Proposal
    from actors.raft.rpc import ForwardRequest

    said = in_term(4).step(ForwardRequest(2, 1, 4, (Proposal(2, 1, b""),)))
    assert [type(each) for each in said.messages] == [ForwardRefusal]


# --- crashes before the save ---


def test_a_voter_that_crashes_before_the_save_has_not_voted() -> None:
    cluster = Cluster()
    cluster.crash_before_save.add(3)
    cluster.step(VoteRequest(1, 3, 1, False, 0, 0))
    assert 3 not in cluster.cores
    assert not any(isinstance(message, VoteResponse) for message in cluster.log)
    cluster.restart(3)
    cluster.step(VoteRequest(2, 3, 1, False, 0, 0))
    assert cluster.cores[3].elector.vote == 2


def test_a_follower_that_crashes_before_the_save_has_not_acknowledged() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.isolate(2)
    cluster.crash_before_save.add(3)
    cluster.propose(1, b"held by 1 alone")
    assert cluster.commands(1) == []
    cluster.restart(3)
    assert cluster.saved_terms(3) == [1]
    cluster.run(ELECTION_MS)
    assert cluster.commands(1) == [b"held by 1 alone"]


def test_a_leader_that_crashes_before_the_save_may_lose_what_only_others_hold() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.crash_before_save.add(1)
    cluster.propose(1, b"sent, and saved by the others")
    cluster.restart(1)
    assert cluster.saved_terms(1) == [1]
    cluster.elect(2)
    assert cluster.commands(1) == cluster.commands(2) == [b"sent, and saved by the others"]


@pytest.mark.parametrize("member", [1, 2, 3])
@pytest.mark.parametrize("after_ms", [0, 20, 310])
def test_a_crash_before_any_save_of_an_election_leaves_one_leader_a_term(
    member: int, after_ms: int
) -> None:
    cluster = Cluster()
    cluster.run(ELECTION_MS - 5 + after_ms)
    cluster.crash_before_save.add(member)
    cluster.run(2 * ELECTION_MS)
    cluster.crash_before_save.clear()
    if member not in cluster.cores:
        cluster.restart(member)
    cluster.run(4 * ELECTION_MS)
    cluster.propose(cluster.leader, b"a")
    cluster.run(ELECTION_MS)
    assert all(cluster.commands(each) == [b"a"] for each in cluster.members)


def test_entries_replaced_in_the_burst_they_came_in_are_never_acknowledged() -> None:
    solo = in_term(4)
    old = AppendRequest(2, 1, 4, 4, 1, 1, 0, entries(2, 4, 4, 4))
    new = AppendRequest(3, 1, 5, 5, 1, 1, 0, entries(2, 5))
    said = solo.step(old, new)
    assert [(entry.index, entry.term) for entry in said.entries] == [(2, 5)]
    acks = [each for each in said.promises if isinstance(each, AppendResponse)]
    assert [(ack.target, ack.index) for ack in acks] == [(3, 2)]
