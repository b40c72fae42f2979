"""Transfers of leadership: when they succeed, when they fail, and for how long writes wait."""

from __future__ import annotations

import pytest

from actors.language.members import RemoveMember
from actors.raft.rpc import Heartbeat, TimeoutNow, VoteRequest
from tests.raft.harness import ELECTION_MS, HEARTBEAT_MS, Cluster


def led(size: int = 3) -> Cluster:
    """Member 1 leads, and has committed in its term."""
    cluster = Cluster(size)
    cluster.elect(1)
    cluster.run(2 * HEARTBEAT_MS)
    return cluster


def test_leadership_is_handed_over_at_once_and_without_a_pre_vote() -> None:
    cluster = led()
    before_ms = cluster.now_ms
    assert cluster.cores[1].transfer(3, cluster.now_ms) == ""
    cluster.flush(1)
    cluster.settle()
    assert (cluster.leader, cluster.now_ms) == (3, before_ms)
    assert cluster.transferred[1] == [(3, True)]
    assert not any(isinstance(m, VoteRequest) and m.pre and m.source == 3 for m in cluster.log)


def test_proposals_made_during_a_transfer_reach_the_successor() -> None:
    cluster = led()
    cluster.cores[1].transfer(2, cluster.now_ms)
    cluster.submit(1, b"held")
    cluster.settle()
    cluster.run(2 * HEARTBEAT_MS)
    assert cluster.leader == 2
    assert cluster.commands(2) == [b"held"]


def test_a_transfer_to_a_member_that_does_not_answer_is_given_up() -> None:
    cluster = led()
    cluster.isolate(3)
    cluster.cores[1].transfer(3, cluster.now_ms)
    cluster.submit(1, b"held")
    cluster.run(2 * ELECTION_MS)
    assert (cluster.leader, cluster.transferred[1]) == (1, [(3, False)])
    assert cluster.commands(1) == [b"held"]


def test_what_was_held_is_appended_at_the_present_time_not_at_that_of_a_tick_that_waited() -> None:
    """A frozen process hears the tick of the time before, after it has used the time since."""
    cluster = led()
    cluster.isolate(3)
    core = cluster.cores[1]
    core.transfer(3, cluster.now_ms)
    cluster.submit(1, b"held")
    ticked_ms = cluster.now_ms + 2 * ELECTION_MS
    cluster.role(1).quorum_check_due_ms = ticked_ms + 1
    now_ms = ticked_ms + 7
    core.tick(ticked_ms)
    core.decided(now_ms)
    log = core.replica.log
    assert log.time_ms(log.last_index) == cluster.role(1).cluster_ms(now_ms)


def test_a_successor_that_is_removed_meanwhile_does_not_take_over() -> None:
    cluster = led()
    cluster.isolate(3)
    cluster.cores[1].change_members(RemoveMember(3), 77, cluster.now_ms)
    cluster.cores[1].transfer(3, cluster.now_ms)
    cluster.flush(1)
    cluster.settle()
    cluster.run(2 * ELECTION_MS)
    assert cluster.cores[1].roster.latest.voters == {1, 2}
    assert cluster.leader == 1


@pytest.mark.parametrize(("target", "name"), [(9, "BadLeaderTransferee"), (1, "")])
def test_only_a_voter_can_be_handed_leadership(target: int, name: str) -> None:
    cluster = Cluster()
    cluster.elect(1)
    assert cluster.cores[1].transfer(target, cluster.now_ms) == name
    assert cluster.cores[2].transfer(1, cluster.now_ms) == "NotLeader"


def beat(source: int, term: int) -> Heartbeat:
    """A new leader makes itself known to member 1."""
    return Heartbeat(source, 1, term, 1, 0, 0, 0, 0, True)


@pytest.mark.parametrize(("winner", "succeeded"), [(3, True), (2, False)])
def test_a_transfer_has_succeeded_when_its_target_leads_whoever_asked_for_votes(
    winner: int, succeeded: bool
) -> None:
    cluster = led()
    cluster.isolate(1)
    core = cluster.cores[1]
    core.transfer(3, cluster.now_ms)
    term = core.term + 1
    cluster.step(VoteRequest(3, 1, term, False, 99, 9, True))
    assert core.leader == 0
    assert 1 not in cluster.transferred, "a candidate is no leader yet"
    cluster.step(beat(winner, term))
    assert cluster.transferred[1] == [(3, succeeded)]


def test_a_transfer_fails_when_its_leader_hears_no_quorum_any_more() -> None:
    cluster = led()
    cluster.isolate(1)
    cluster.cores[1].transfer(3, cluster.now_ms)
    cluster.run(2 * ELECTION_MS)
    assert cluster.cores[1].leader != 1
    assert cluster.transferred[1] == [(3, False)]


def test_a_transfer_fails_when_the_leader_is_elected_again() -> None:
    cluster = led()
    cluster.isolate(1)
    cluster.cores[1].transfer(3, cluster.now_ms)
    cluster.step(VoteRequest(3, 1, cluster.cores[1].term + 1, False, 99, 9, True))
    cluster.heal()
    cluster.elect(1)
    assert cluster.leader == 1
    assert cluster.transferred[1] == [(3, False)]
    cluster.propose(1, b"taken")
    cluster.run(2 * HEARTBEAT_MS)
    assert cluster.commands(1) == [b"taken"]


def test_the_same_transfer_again_ends_with_the_first_and_stops_writes_no_longer() -> None:
    cluster = led()
    cluster.isolate(3)
    began_ms = cluster.now_ms
    cluster.cores[1].transfer(3, began_ms)
    cluster.submit(1, b"held")
    while not cluster.commands(1):
        if 1 not in cluster.transferred:
            assert cluster.cores[1].transfer(3, cluster.now_ms) == ""
        cluster.run(HEARTBEAT_MS)
        assert cluster.now_ms <= began_ms + ELECTION_MS + 2 * HEARTBEAT_MS
    assert cluster.transferred[1] == [(3, False)]


def test_a_transfer_to_another_member_is_refused_while_one_is_under_way() -> None:
    cluster = led()
    cluster.isolate(3)
    core = cluster.cores[1]
    assert core.transfer(3, cluster.now_ms) == ""
    assert core.transfer(2, cluster.now_ms) == "TransferUnderWay"
    cluster.flush(1)
    assert not any(isinstance(m, TimeoutNow) and m.target == 2 for m in cluster.log)
    cluster.run(ELECTION_MS + HEARTBEAT_MS)
    assert core.transfer(2, cluster.now_ms) == ""
    cluster.flush(1)
    cluster.settle()
    assert cluster.transferred[1] == [(3, False), (2, True)]


def test_a_transfer_to_the_leader_itself_is_done_and_ends_no_other() -> None:
    cluster = led()
    cluster.isolate(3)
    assert cluster.cores[1].transfer(3, cluster.now_ms) == ""
    assert cluster.cores[1].transfer(1, cluster.now_ms) == ""
    cluster.flush(1)
    assert cluster.transferred[1] == [(1, True)]
    assert cluster.cores[1].transferee == 3
