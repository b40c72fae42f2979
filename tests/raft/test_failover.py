"""Fast fail-over on the hint that a connection broke, and how little a wrong hint costs."""

from __future__ import annotations

import pytest

from actors.raft.leader import Leader
from actors.raft.roles import Follower
from tests.raft.harness import ELECTION_MS, HEARTBEAT_MS, Cluster


def kill(cluster: Cluster, member: int) -> None:
    """Crash a member; the others notice that its connection is gone."""
    cluster.crash(member)
    for other, core in cluster.cores.items():
        core.peer_down(member, cluster.now_ms)
        cluster.flush(other)
    cluster.settle()


def leaders(cluster: Cluster) -> list[int]:
    return [m for m, core in cluster.cores.items() if isinstance(core.role, Leader)]


@pytest.mark.parametrize("killed", [1, 2, 3])
def test_three_members_have_a_new_leader_within_sixty_milliseconds_of_a_kill(killed: int) -> None:
    cluster = Cluster()
    cluster.elect(killed)
    cluster.run(HEARTBEAT_MS)
    kill(cluster, killed)
    cluster.run(60)
    assert len(leaders(cluster)) == 1
    cluster.propose(cluster.leader, b"served again")
    assert cluster.commands(cluster.leader)[-1] == b"served again"


@pytest.mark.parametrize("killed", [1, 3, 5])
def test_five_members_have_a_new_leader_within_a_hundred_milliseconds(killed: int) -> None:
    cluster = Cluster(5)
    cluster.elect(killed)
    cluster.run(HEARTBEAT_MS)
    kill(cluster, killed)
    cluster.run(100)
    assert len(leaders(cluster)) == 1


def test_a_survivor_with_the_shorter_log_yields_to_the_other() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.cut(1, 2)
    cluster.propose(1, b"acknowledged by 3")
    assert cluster.commands(1) == [b"acknowledged by 3"]
    cluster.heal()
    kill(cluster, 1)
    cluster.run(100)
    assert cluster.leader == 3
    assert cluster.commands(3) == [b"acknowledged by 3"]


def test_a_survivor_that_notices_late_costs_a_retry_and_not_an_election_timeout() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.crash(1)
    cluster.cores[2].peer_down(1, cluster.now_ms)
    cluster.flush(2)
    cluster.run(15)
    assert not leaders(cluster), "member 3 still believes in the old leader"
    cluster.cores[3].peer_down(1, cluster.now_ms)
    cluster.flush(3)
    cluster.run(60)
    assert len(leaders(cluster)) == 1


def test_a_broken_link_to_a_living_leader_disturbs_nobody() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.cores[2].peer_down(1, cluster.now_ms)
    cluster.flush(2)
    cluster.run(2 * ELECTION_MS)
    assert cluster.leader == 1 and cluster.cores[1].term == 1
    assert cluster.cores[2].leader == 1


def test_a_link_that_stays_broken_disturbs_nobody_either() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.cut(1, 2)
    cluster.cores[2].peer_down(1, cluster.now_ms)
    cluster.flush(2)
    cluster.run(10 * ELECTION_MS)
    assert cluster.leader == 1 and cluster.cores[1].term == 1
    cluster.propose(1, b"a")
    assert cluster.commands(1) == [b"a"]


def test_a_hint_about_another_follower_changes_nothing() -> None:
    cluster = Cluster()
    cluster.elect(1)
    due_ms = cluster.cores[2].next_tick_ms
    cluster.cores[2].peer_down(3, cluster.now_ms)
    assert cluster.cores[2].leader == 1
    assert cluster.cores[2].next_tick_ms == due_ms


def test_a_member_that_forgot_its_leader_remembers_it_at_the_next_heartbeat() -> None:
    cluster = Cluster()
    cluster.elect(1)
    cluster.cores[2].peer_down(1, cluster.now_ms)
    cluster.flush(2)
    assert cluster.leader_news[2].leader == 0
    cluster.run(HEARTBEAT_MS + 10)
    assert isinstance(cluster.cores[2].role, Follower)
    assert cluster.leader_news[2].leader == 1


def test_after_a_while_without_success_the_hurry_is_over() -> None:
    cluster = Cluster()
    cluster.elect(1)
    kill(cluster, 1)
    cluster.crash(3)
    cluster.run(2 * ELECTION_MS)
    before = len(cluster.log)
    cluster.run(10 * ELECTION_MS)
    assert len(cluster.log) - before <= 2 * 10, "a pre-vote an election timeout, to two peers"


def test_a_standing_names_the_leader_and_its_clock_once_it_has_committed() -> None:
    cluster = Cluster()
    cluster.drop = lambda m: type(m).__name__ == "AppendRequest"
    cluster.elect(1)
    assert (cluster.leader_news[1].leader, cluster.leader_news[1].clock) == (1, None)
    cluster.heal()
    cluster.run(2 * HEARTBEAT_MS)
    assert cluster.leader_news[1].clock is not None
    assert cluster.leader_news[2] == (1, 1, None, False)
