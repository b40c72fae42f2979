"""Linearizable reads by ReadIndex (dissertation 6.4), and those that must not be answered."""

from __future__ import annotations

import pytest

from actors.raft.leader import COMMIT_NOTICE_MS
from actors.raft.rpc import (
    AppendResponse,
    Heartbeat,
    HeartbeatResponse,
    ReadRequest,
    ReadResponse,
    VoteResponse,
)
from tests.raft.harness import ELECTION_MS, HEARTBEAT_MS, Cluster, Solo, make_core


def leader(members: int = 3) -> Solo:
    """Member 1 has won term 1, and committed nothing yet."""
    solo = Solo(make_core(members=members))
    solo.tick()
    voters = range(2, members // 2 + 2)
    solo.step(*(VoteResponse(voter, 1, 1, True, True) for voter in voters))
    solo.step(*(VoteResponse(voter, 1, 1, False, True) for voter in voters))
    return solo


def commit(solo: Solo) -> None:
    """Peers hold the entry that opens the term."""
    solo.step(*(AppendResponse(peer, 1, 1, 1, 1, False, 0, 0) for peer in (2, 3)))
    assert solo.core.replica.commit == 1


def test_a_read_needs_a_round_that_a_quorum_answers() -> None:
    solo = leader(5)
    commit(solo)
    read_id = solo.core.read_index(solo.now_ms)
    (beat, *_) = solo.flush().all(Heartbeat)
    answer = HeartbeatResponse(2, 1, 1, 1, 1, 1, beat.read_id)
    assert not any(decided.reads for decided in solo.step(answer, answer).decided)
    decided = solo.step(answer._replace(source=3)).decided
    assert [read.read_id for each in decided for read in each.reads] == [read_id]


def test_a_single_member_confirms_itself() -> None:
    cluster = Cluster(1)
    cluster.elect(1)
    assert cluster.is_ready(1, cluster.read(1))


def test_answers_to_earlier_rounds_confirm_nothing() -> None:
    solo = leader()
    commit(solo)
    stale = HeartbeatResponse(2, 1, 1, 1, 1, 1, 0)
    solo.core.read_index(solo.now_ms)
    solo.flush()
    assert not any(decided.reads for decided in solo.step(stale).decided)


def test_an_answer_of_another_stream_confirms_nothing() -> None:
    solo = leader()
    commit(solo)
    solo.core.read_index(solo.now_ms)
    beat = solo.flush().all(Heartbeat)[0]
    other = HeartbeatResponse(2, 1, 1, 7, 1, 1, beat.read_id)
    assert not any(decided.reads for decided in solo.step(other).decided)


def test_a_read_waits_until_the_leader_has_committed_in_its_own_term() -> None:
    solo = leader()
    read_id = solo.core.read_index(solo.now_ms)
    beats = solo.flush().all(Heartbeat)
    assert not beats, "no round before it is known what is committed"
    solo.step(HeartbeatResponse(2, 1, 1, 1, 1, 1, 99))
    said = solo.step(AppendResponse(2, 1, 1, 1, 1, False, 0, 0))
    round_id = said.all(Heartbeat)[0].read_id
    decided = solo.step(HeartbeatResponse(3, 1, 1, 1, 1, 1, round_id)).decided
    assert [read.read_id for each in decided for read in each.reads] in ([read_id], [])
    assert solo.core.replica.commit == 1


def test_reads_of_one_burst_share_a_round() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(HEARTBEAT_MS)
    before = sum(isinstance(m, Heartbeat) and m.answer for m in cluster.log)
    ids = [cluster.cores[1].read_index(cluster.now_ms) for _ in range(50)]
    cluster.flush(1)
    cluster.settle()
    rounds = sum(isinstance(m, Heartbeat) and m.answer for m in cluster.log) - before
    assert rounds == 2, "one heartbeat to each peer"
    assert all(cluster.is_ready(1, read_id) for read_id in ids)


def test_a_read_that_comes_while_a_round_is_under_way_waits_for_the_next_one() -> None:
    solo = leader()
    commit(solo)
    first = solo.core.read_index(solo.now_ms)
    beat = solo.flush().all(Heartbeat)[0]
    second = solo.core.read_index(solo.now_ms)
    answer = HeartbeatResponse(2, 1, 1, 1, 1, 1, beat.read_id)
    decided = solo.step(answer).decided
    ready = [read.read_id for each in decided for read in each.reads]
    assert first in ready and second not in ready


def test_read_ids_are_unique_and_only_rise() -> None:
    core = make_core(chance=lambda limit: limit // 2)
    ids = [core.read_index(0) for _ in range(100)]
    assert ids == sorted(set(ids))


def test_an_answer_that_comes_twice_serves_a_read_once() -> None:
    cluster = Cluster()
    cluster.elect(1)
    read_id = cluster.cores[2].read_index(cluster.now_ms)
    cluster.flush(2)
    cluster.settle()
    answer = next(m for m in reversed(cluster.log) if isinstance(m, ReadResponse))
    cluster.step(answer)
    assert [read.read_id for read in cluster.reads[2]] == [read_id]


def test_a_follower_serves_a_read_once_it_holds_what_the_leader_had_committed() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.cut(1, 3)
    cluster.propose(1, b"a")
    cluster.heal()
    cluster.drop = lambda m: (
        not isinstance(m, ReadRequest | ReadResponse | Heartbeat) and (m.target == 3)
    )
    read_id = cluster.read(3)
    assert not cluster.is_ready(3, read_id), "it lacks the entry that was committed before"
    cluster.heal()
    cluster.run(3 * HEARTBEAT_MS)
    assert cluster.is_ready(3, read_id)
    assert cluster.commands(3) == [b"a"]


@pytest.mark.parametrize("reader", [1, 2])
def test_no_read_is_served_through_a_deposed_leader(reader: int) -> None:
    cluster = Cluster(5)
    cluster.elect(1)
    for other in (3, 4, 5):
        cluster.cut(1, other)
        cluster.cut(2, other)
    cluster.elect(3)
    cluster.propose(3, b"newer")
    read_id = cluster.read(reader)
    cluster.run(HEARTBEAT_MS)
    assert not cluster.is_ready(reader, read_id)
    cluster.heal()
    cluster.run(3 * ELECTION_MS)
    assert cluster.is_ready(reader, read_id)
    assert cluster.commands(reader) == [b"newer"]


def test_a_read_at_a_deposed_leader_that_catches_up_is_served_by_the_new_one() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.isolate(1)
    read_id = cluster.read(1)
    cluster.elect(2)
    cluster.heal()
    cluster.run(2 * ELECTION_MS)
    assert cluster.is_ready(1, read_id)


def test_a_read_waits_while_no_leader_is_known_and_is_asked_for_when_there_is_one() -> None:
    cluster = Cluster()
    read_id = cluster.read(3)
    assert not cluster.is_ready(3, read_id)
    cluster.elect(1)
    cluster.run(COMMIT_NOTICE_MS)
    assert cluster.is_ready(3, read_id)


@pytest.mark.parametrize("lost", [ReadRequest, ReadResponse])
def test_a_lost_question_or_answer_is_asked_again(lost: type) -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.drop = lambda m: isinstance(m, lost)
    read_id = cluster.read(2)
    cluster.heal()
    cluster.run(2 * ELECTION_MS)
    assert cluster.is_ready(2, read_id)


def test_a_lost_round_is_confirmed_by_a_later_heartbeat() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(HEARTBEAT_MS)
    cluster.drop = lambda m: isinstance(m, Heartbeat)
    reads = [cluster.read(1) for _ in range(5)]
    cluster.heal()
    cluster.run(3 * HEARTBEAT_MS)
    assert all(cluster.is_ready(1, read_id) for read_id in reads)


def test_a_read_that_nobody_waits_for_is_forgotten() -> None:
    cluster = Cluster()
    core = cluster.cores[1]
    read_id = core.read_index(cluster.now_ms)
    core.forget_read(read_id)
    cluster.elect(1)
    assert not cluster.is_ready(1, read_id)


def test_a_read_carries_the_leaders_cluster_time() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(500)
    cluster.read(2)
    assert cluster.reads[2][-1].cluster_ms == cluster.role(1).cluster_ms(cluster.now_ms) >= 500
