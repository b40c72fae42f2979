"""When an entry is committed, and that it stays so (Raft 5.3, 5.4.2, figure 8)."""

from __future__ import annotations

import pytest

from actors.raft.leader import UNCOMMITTED_BYTES_MAX
from actors.raft.rpc import AppendRequest, AppendResponse, Heartbeat, VoteResponse
from tests.raft.harness import (
    ELECTION_MS,
    HEARTBEAT_MS,
    START_MS,
    Cluster,
    Solo,
    entries,
    load,
    make_core,
)

NEVER_MS = 1 << 60


@pytest.mark.parametrize(
    ("size", "accepting", "commits"),
    [
        (1, (), True),
        (3, (), False),
        (3, (2,), True),
        (3, (2, 3), True),
        (5, (), False),
        (5, (2,), False),
        (5, (2, 3), True),
        (5, (2, 3, 4), True),
        (5, (2, 3, 4, 5), True),
    ],
)
def test_an_entry_is_committed_when_a_majority_with_the_leader_holds_it(
    size: int, accepting: tuple[int, ...], commits: bool
) -> None:
    cluster = Cluster(size)
    cluster.elect(1)
    refusing = set(cluster.members) - {1, *accepting}
    cluster.drop = lambda m: isinstance(m, AppendResponse) and m.source in refusing
    cluster.propose(1, b"a")
    assert cluster.commands(1) == ([b"a"] if commits else [])


def test_the_leader_counts_itself_only_for_what_it_has_saved() -> None:
    solo = Solo(make_core(members=5))
    solo.tick()
    solo.step(*(VoteResponse(voter, 1, 1, True, True) for voter in (2, 3)))
    for voter in (2, 3):
        solo.core.step(VoteResponse(voter, 1, 1, False, True), solo.now_ms)
    core = solo.core
    core.output(solo.now_ms)  # the no-op is on its way to the disk, and to the others
    for source in (2, 3):
        core.step(AppendResponse(source, 1, 1, 1, 1, False, 0, 0), solo.now_ms)
    assert core.replica.commit == 0, "two of five"
    core.persisted(solo.now_ms)
    assert core.replica.commit == 1


def test_the_leader_may_commit_what_a_majority_of_others_holds_before_its_own_save() -> None:
    solo = Solo(make_core())
    solo.tick()
    solo.step(VoteResponse(2, 1, 1, True, True))
    solo.core.step(VoteResponse(2, 1, 1, False, True), solo.now_ms)
    solo.core.output(solo.now_ms)
    for source in (2, 3):
        solo.core.step(AppendResponse(source, 1, 1, 1, 1, False, 0, 0), solo.now_ms)
    assert solo.core.replica.commit == 1
    assert not solo.core.decided(solo.now_ms).committed, "but it applies only what it has saved"


def test_a_commit_takes_all_earlier_entries_with_it() -> None:
    cluster = Cluster()
    load(cluster, [[1, 2], [1, 2], []])
    cluster.elect(1)
    assert [each.term for each in cluster.committed[1]] == [1, 2, 3]


def test_entries_of_earlier_terms_are_never_committed_by_counting() -> None:
    cluster = Cluster()
    load(cluster, [[1, 2], [1], [1]])
    cluster.drop = lambda m: isinstance(m, AppendRequest) and any(e.term == 3 for e in m.entries)
    cluster.elect(1)
    # All that may pass are the entries of terms 1 and 2: a majority holds them in the end.
    cluster.drop = lambda m: False
    append = AppendRequest(1, 2, 3, 3, 1, 1, 0, tuple(cluster.disks[1].entries[1:2]))
    cluster.cores[1].role.peers[2].probe_from(2)  # type: ignore[union-attr]
    cluster.cores[2].step(append, cluster.now_ms)
    cluster.flush(2)
    answer = cluster.flying.pop()
    assert isinstance(answer, AppendResponse) and answer.index == 2
    cluster.cores[1].step(answer, cluster.now_ms)
    assert cluster.role(1).agreed_index(3) == 2
    assert cluster.cores[1].replica.commit == 0


def test_figure_8_an_entry_on_a_majority_is_still_overwritten_if_its_term_is_over() -> None:
    cluster = Cluster(5)
    # (a), (b): S1 led term 2 and S5 term 3; their second entries reached S2 and nobody.
    load(cluster, [[1, 2], [1, 2], [1], [1], [1, 3]], terms=(3, 3, 3, 3, 3))
    # (c): S1 leads term 4 and brings its old entry to S3, but no entry of term 4 to anybody.
    cluster.crash(5)
    cluster.drop = lambda m: isinstance(m, AppendRequest) and any(e.term == 4 for e in m.entries)
    cluster.elect(1)
    append = AppendRequest(1, 3, 4, 4, 1, 1, 0, tuple(cluster.disks[1].entries[1:2]))
    cluster.step(append)
    assert cluster.saved_terms(3) == [1, 2]
    assert cluster.commands(1) == []
    # (d): S1 crashes; S5 wins term 5 with the votes of S3 and S4, and overwrites the entry.
    cluster.heal()
    cluster.crash(1)
    cluster.crash(2)
    cluster.restart(5)
    cluster.run(10 * ELECTION_MS)
    assert cluster.leader == 5
    assert cluster.saved_terms(3)[:2] == [1, 3]
    cluster.restart(1)
    cluster.restart(2)
    cluster.run(10 * ELECTION_MS)
    assert len({tuple(cluster.terms(member)) for member in cluster.members}) == 1


def test_figure_8_with_an_entry_of_its_own_term_on_a_majority_the_old_one_is_safe() -> None:
    cluster = Cluster(5)
    load(cluster, [[1, 2], [1, 2], [1], [1], [1, 3]], terms=(3, 3, 3, 3, 3))
    cluster.crash(5)
    cluster.elect(1)
    assert [each.term for each in cluster.committed[1]] == [1, 2, 4]
    cluster.crash(1)
    cluster.restart(5)
    cluster.run(10 * ELECTION_MS)
    assert cluster.leader != 5
    assert cluster.saved_terms(5)[:3] == [1, 2, 4]


def test_committed_entries_survive_the_loss_of_everybodys_memory() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.propose(1, b"a", b"b")
    for member in cluster.members:
        cluster.crash(member)
    for member in cluster.members:
        cluster.restart(member)
    cluster.run(4 * ELECTION_MS)
    assert all(cluster.commands(member) == [b"a", b"b"] for member in cluster.members)


def test_a_restarted_member_goes_on_after_what_its_store_has_applied() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.propose(1, b"a", b"b")
    cluster.run(HEARTBEAT_MS)
    cluster.crash(3)
    core = cluster.restart(3, applied_index=3)
    assert core.replica.commit == 3
    assert not core.replica.has_committed(), "the store has these already"


def test_uncommitted_entries_of_a_deposed_leader_give_way() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.isolate(1)
    cluster.propose(1, b"never committed")
    cluster.elect(2)
    cluster.propose(2, b"committed")
    cluster.heal()
    cluster.run(2 * ELECTION_MS)
    assert cluster.commands(1) == cluster.commands(3) == [b"committed"]


def test_an_uncommitted_entry_may_be_committed_by_the_next_leader() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.drop = lambda m: isinstance(m, AppendResponse)
    cluster.propose(1, b"a")
    cluster.crash(1)
    cluster.heal()
    cluster.elect(2)
    assert cluster.commands(2) == [b"a"]


def test_a_leader_that_hears_nobody_takes_only_so_much() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.isolate(1)
    big = bytes(2**20)
    for _ in range(UNCOMMITTED_BYTES_MAX // len(big) + 10):
        cluster.propose(1, big)
    assert 60 <= cluster.cores[1].replica.log.last_index - 1 <= 65
    refused = [name for each in cluster.failed[1] for name in [each.name]]
    assert set(refused) == {"TooManyRequests"}
    assert not any(each.outcome_unknown for each in cluster.failed[1])


def test_what_is_committed_makes_room_for_more() -> None:
    cluster = Cluster()
    cluster.elect(1)
    for _ in range(80):
        cluster.propose(1, bytes(2**20))
    assert not cluster.failed[1]
    assert cluster.role(1).uncommitted_bytes == 0


def test_empty_commands_count_against_the_limit_too() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.isolate(1)
    before = cluster.role(1).uncommitted_bytes
    cluster.propose(1, *[b""] * 10)
    assert cluster.role(1).uncommitted_bytes > before


def test_cluster_time_never_goes_back_over_changes_of_leader() -> None:
    cluster = Cluster(5)
    for leader in (1, 2, 3, 1, 5):
        cluster.elect(leader)
        cluster.run(3 * HEARTBEAT_MS)
        cluster.propose(leader, b"x")
        cluster.crash(leader)
        cluster.restart(leader)
    cluster.elect(4)
    times = [each.time_ms for each in cluster.committed[4]]
    assert times == sorted(times)
    assert times[-1] - times[0] >= 15 * HEARTBEAT_MS, "and it moves on while there is a leader"


def test_a_heartbeat_carries_cluster_time_so_that_an_idle_cluster_does_not_lose_it() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(4_000)
    passed_ms = cluster.role(1).cluster_ms(cluster.now_ms)
    assert passed_ms >= 4_000
    cluster.crash(1)
    cluster.elect(2)
    assert cluster.role(2).cluster_ms_at_start >= passed_ms - HEARTBEAT_MS


def test_the_clock_of_a_deposed_leader_counts_no_more_once_another_is_followed() -> None:
    """Deadlines set by the second leader's clock must not be judged by the first one's."""
    cluster = Cluster()
    cluster.elect(1)
    cluster.isolate(1)
    cluster.role(1).quorum_check_due_ms = NEVER_MS
    cluster.now_ms += 5_000
    cluster.tick(2)
    check_clock(cluster, set_by=2, judged_by=1)


def test_a_follower_of_a_deposed_leader_forgets_its_clock_too() -> None:
    cluster = Cluster(5)
    cluster.elect(1)
    for member in (3, 4, 5):
        cluster.cut(1, member)
        cluster.cut(2, member)
    cluster.role(1).quorum_check_due_ms = NEVER_MS
    cluster.now_ms += 5_000
    cluster.tick(3)
    cluster.tick(1)  # its heartbeats still tell member 2 the time
    check_clock(cluster, set_by=3, judged_by=2)


def test_a_heartbeat_from_before_a_restart_takes_the_clock_behind_no_entry() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.run(400)
    late = Heartbeat(1, 2, cluster.cores[1].term, 1, 1, 0, 0, cluster_ms=10, answer=True)
    cluster.propose(1, b"later")
    follower = cluster.restart(2)
    at_ms = follower.replica.log.time_ms(follower.replica.log.last_index)
    follower.step(late, cluster.now_ms)
    assert follower.replica.cluster_ms == at_ms >= 400


def test_an_append_tells_the_time_of_entries_that_are_in_the_log_already() -> None:
    """The clock of a new leader holds, and goes on by each entry that its log is shown to have."""
    log = entries(1, 1, 1)
    core = make_core(terms=(1, 1))
    core.replica.log.truncate_from(1, commit=0)
    core.replica.log.append([each._replace(time_ms=100 * each.index) for each in log])
    for prev in (1, 2):
        core.step(AppendRequest(2, 1, 3, 0, prev, 1, 0, ()), START_MS)
        assert core.replica.cluster_ms == 100 * prev


def check_clock(cluster: Cluster, set_by: int, judged_by: int) -> None:
    """Between two leaders' clocks no more time passes than does pass."""
    cluster.propose(set_by, b"a deadline")
    set_ms, then_ms = cluster.committed[set_by][-1].time_ms, cluster.now_ms
    cluster.heal()
    cluster.run(2 * HEARTBEAT_MS)
    cluster.elect(judged_by)
    passed_ms = cluster.role(judged_by).cluster_ms(cluster.now_ms) - set_ms
    assert 0 <= passed_ms <= cluster.now_ms - then_ms
