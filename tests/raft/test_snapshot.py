"""What a core makes of snapshots: whom it helps, what it forgets, and where it goes on."""

from __future__ import annotations

import pytest

from actors.language.entries import Proposal
from actors.language.members import AddMember
from actors.raft.core import RaftCore
from actors.raft.log import LogStart
from actors.raft.quorum import Configuration
from actors.raft.rpc import (
    AppendResponse,
    HardState,
    Heartbeat,
    Message,
    SnapshotChunk,
    VoteRequest,
)
from tests.raft.harness import HEARTBEAT_MS, Cluster, peer, voters

BYTES = 1 << 30


def chunk_of(leader: RaftCore, target: int, index: int, term: int) -> SnapshotChunk:
    """The last chunk of a snapshot, as the leader's courier would send it."""
    stream = leader.peers.streams()[target]
    own_id = leader.config.member_id
    return SnapshotChunk(own_id, target, leader.term, stream, 9, index, term, 1, 0, 0, b"x")


def left_behind() -> Cluster:
    """Member 3 was away while the others wrote, and their log is compacted."""
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(2 * HEARTBEAT_MS)
    cluster.isolate(3)
    cluster.propose(1, *[b"x"] * 50)
    cluster.run(2 * HEARTBEAT_MS)
    for member in (1, 2):
        core = cluster.cores[member]
        assert core.compact(core.replica.handed_out, 5, BYTES) == core.replica.handed_out - 5
    cluster.heal()
    cluster.run(4 * HEARTBEAT_MS)
    return cluster


def test_a_member_that_lacks_what_is_compacted_needs_a_snapshot() -> None:
    cluster = left_behind()
    assert cluster.cores[1].decided(cluster.now_ms).behind == (3,)
    cluster.propose(1, b"the others go on")
    cluster.run(HEARTBEAT_MS)
    assert cluster.commands(2)[-1] == b"the others go on"


def test_after_its_snapshot_a_member_goes_on_with_the_log() -> None:
    cluster = left_behind()
    leader, follower = cluster.cores[1], cluster.cores[3]
    index, term = leader.replica.handed_out - 2, leader.term
    chunk = chunk_of(leader, 3, index, term)
    follower.replica.pause()
    hard_state, kept = follower.restored(LogStart(index, term, voters(3)), 123_456, chunk)
    assert (hard_state.commit, kept) == (index, ())
    follower.output(cluster.now_ms)
    (answer,) = [m for m in follower.persisted(cluster.now_ms) if isinstance(m, AppendResponse)]
    assert (answer.index, answer.rejected) == (index, False)
    leader.step(answer, cluster.now_ms)
    assert leader.decided(cluster.now_ms).behind == ()
    assert follower.replica.handed_out == index
    assert follower.replica.cluster_ms >= 123_456


def test_the_note_of_a_snapshot_has_the_term_that_came_with_it_and_the_vote_in_it() -> None:
    cluster = left_behind()
    follower = cluster.cores[3]
    voted = VoteRequest(2, 3, 7, False, 99, 7, True)
    follower.step(voted, cluster.now_ms)
    follower.step(Heartbeat(2, 3, 7, 1, 0, 0, 0, 0, True), cluster.now_ms)
    follower.replica.commit = 99
    assert follower.elector.saved == (1, 1)
    hard_state, saved = follower.expecting()
    # No more is known to be committed than the log on the disk has.
    assert hard_state == HardState(7, 2, saved.index)
    assert follower.elector.saved == (7, 2)
    assert follower.replica.paused


def test_what_follows_a_snapshot_is_kept_if_the_log_agrees_with_it() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(2 * HEARTBEAT_MS)
    cluster.propose(1, *[b"x"] * 9)
    follower = cluster.cores[3]
    follower.replica.commit = 2
    follower.replica.handed_out = 2
    chunk = chunk_of(cluster.cores[1], 3, 5, 1)
    _, kept = follower.restored(LogStart(5, 1, voters(3)), 0, chunk)
    assert [entry.index for entry in kept] == [6, 7, 8, 9, 10]
    assert follower.replica.log.first_index == 6


def test_a_leader_counts_itself_for_what_a_snapshot_has_made_durable() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(2 * HEARTBEAT_MS)
    cluster.isolate(3)
    leader, other, now_ms = cluster.cores[1], cluster.cores[2], cluster.now_ms
    start, term = leader.replica.commit, leader.term
    leader.replica.handed_out = start - 1
    leader.replica.pause()
    sent: list[Message] = []
    for command in (b"saved meanwhile", b"not saved"):
        leader.propose([Proposal(1, 1, command)], now_ms)
        if not sent:
            sent += leader.output(now_ms).messages
        sent += leader.speak(now_ms)
    for message in sent:
        if message.target == 2:
            other.step(message, now_ms)
    other.output(now_ms)
    for answer in other.persisted(now_ms):
        leader.step(answer, now_ms)
    leader.persisted(now_ms)
    assert leader.replica.commit == start + 1
    leader.restored(LogStart(start, term, voters(3)), 0, chunk_of(leader, 2, start, term))
    leader.output(now_ms)
    leader.persisted(now_ms)
    assert leader.replica.commit == start + 2


def test_what_contradicts_a_snapshot_is_dropped_whole() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(2 * HEARTBEAT_MS)
    cluster.isolate(1)
    cluster.submit(1, b"never", b"committed")
    old = cluster.cores[1]
    cluster.elect(2)
    chunk = chunk_of(cluster.cores[2], 1, 3, 2)
    old.step(chunk, cluster.now_ms)
    _, kept = old.restored(LogStart(3, 2, voters(3)), 0, chunk)
    assert kept == ()
    assert (old.replica.log.first_index, old.replica.log.last_index) == (4, 3)
    assert [name for _, name, _ in old.decided(cluster.now_ms).failed] == ["LeaderChanged"]


def test_a_snapshot_brings_the_members_along() -> None:
    cluster = left_behind()
    follower = cluster.cores[3]
    index = cluster.cores[1].replica.handed_out
    chunk = chunk_of(cluster.cores[1], 3, index, 1)
    follower.restored(LogStart(index, 1, voters(5)), 0, chunk)
    assert follower.roster.latest == voters(5)
    decided = follower.decided(cluster.now_ms)
    assert decided.membership == voters(5)


def test_nothing_is_handed_out_while_a_snapshot_is_installed() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(2 * HEARTBEAT_MS)
    cluster.cores[2].replica.pause()
    cluster.propose(1, b"later")
    cluster.run(2 * HEARTBEAT_MS)
    assert b"later" not in cluster.commands(2)
    cluster.cores[2].replica.resume()
    cluster.run(2 * HEARTBEAT_MS)
    assert cluster.commands(2)[-1] == b"later"


def test_a_failed_snapshot_is_offered_again() -> None:
    cluster = left_behind()
    leader = cluster.cores[1]
    leader.snapshot_failed(3)
    assert leader.decided(cluster.now_ms).behind == ()
    cluster.run(2 * HEARTBEAT_MS)
    assert leader.decided(cluster.now_ms).behind == (3,)


@pytest.mark.parametrize(
    ("kept", "bytes_kept", "first"), [(10, BYTES, 42), (10, 0, 52), (99, BYTES, 1)]
)
def test_a_tail_of_the_log_stays_within_entries_and_bytes(
    kept: int, bytes_kept: int, first: int
) -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.propose(1, *[b"xx"] * 50)
    core = cluster.cores[1]
    core.compact(core.replica.handed_out, kept, bytes_kept)
    assert core.replica.log.first_index == first
    cluster.propose(1, b"on")
    cluster.run(HEARTBEAT_MS)
    assert cluster.commands(2)[-1] == b"on"


def test_a_membership_that_is_compacted_away_still_holds() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(2 * HEARTBEAT_MS)
    cluster.change(1, AddMember(peer(4), learner=True))
    cluster.propose(1, *[b"x"] * 20)
    core = cluster.cores[1]
    core.compact(core.replica.handed_out, 3, BYTES)
    assert core.roster.latest.learners == {4}
    assert core.replica.start_of(()).membership.learners == {4}


def test_a_member_that_has_it_all_asks_for_the_log_instead() -> None:
    cluster = left_behind()
    leader, follower = cluster.cores[1], cluster.cores[2]
    # The leader does not know: it was elected just now, and this member did not answer yet.
    leader_progress = cluster.role(1).peers[2]
    leader_progress.match, leader_progress.snapshotting = 0, True
    assert 2 in leader.decided(cluster.now_ms).behind
    commit = follower.replica.commit
    follower.step(chunk_of(leader, 2, commit - 1, 1), cluster.now_ms)
    cluster.flush(2)
    cluster.settle()
    assert 2 not in leader.decided(cluster.now_ms).behind
    assert leader_progress.match >= commit


def test_a_peer_that_goes_down_before_it_was_heard_is_offered_no_snapshot() -> None:
    cluster = left_behind()
    cluster.isolate(2)
    role = cluster.role(1)
    role.reconfigure(Configuration(frozenset({1, 3})), cluster.now_ms)
    role.reconfigure(Configuration(frozenset({1, 2, 3})), cluster.now_ms)
    cluster.cores[1].peer_down(2, cluster.now_ms)
    cluster.run(HEARTBEAT_MS)
    assert 2 not in cluster.cores[1].decided(cluster.now_ms).behind
