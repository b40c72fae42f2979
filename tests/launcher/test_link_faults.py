"""Faults of links in a real cluster: who leads, who follows, and what outlives the launcher."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import Client, LeaseholdError
from cluster.launcher.local import LocalCluster
from cluster.launcher.story.happenings import Happening
from tests.limits import HANG_MS, HANG_SECONDS
from tests.system.conditions import client_of, followers, wait_for_other_leader, wait_until

ASKED = "pre_vote"

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def shared_cluster() -> Iterator[LocalCluster]:
    with LocalCluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: LocalCluster) -> Iterator[LocalCluster]:
    """The module's cluster, whole again after each test."""
    yield shared_cluster
    shared_cluster.heal()
    shared_cluster.wait_until_ready()


def follows(cluster: LocalCluster, name: str, leader: str) -> bool:
    status = cluster.status().get(name)
    return status is not None and status.leader == cluster.node(leader).member_id


def test_an_isolated_leader_is_replaced_and_follows_when_it_is_healed(
    cluster: LocalCluster,
) -> None:
    former = cluster.leader()
    cluster.isolate(former)
    assert cluster.links.active == (f"{former} is isolated",)
    leader = wait_for_other_leader(cluster, former)
    with client_of(cluster, leader) as client:
        client.put("written", "by the majority")
    # A minority of one answers no write, and its connections stay: it hears nothing at all.
    with Client([cluster.node(former).endpoint], timeout=1.0) as cut, pytest.raises(LeaseholdError):
        cut.put("lost", "by a minority")
    assert cluster.heal() == (f"{former} is isolated",)
    wait_until(cluster, "it follows", lambda: follows(cluster, former, cluster.leader()))
    with client_of(cluster, former) as client:
        found = client.get("written")
        assert found is not None and found.value == b"by the majority"


def test_a_leader_that_hears_nobody_steps_down_and_one_that_is_not_heard_is_replaced(
    cluster: LocalCluster,
) -> None:
    for way in ("in", "out"):
        former = cluster.leader()
        cluster.isolate(former, way)
        wait_for_other_leader(cluster, former)
        cluster.heal(former)
        cluster.wait_until_ready()


def test_a_node_that_restarts_in_a_partition_stays_cut_off(cluster: LocalCluster) -> None:
    alone, leader = followers(cluster)[0], cluster.leader()
    cluster.partition(alone, [name for name in cluster.nodes if name != alone])
    cluster.links.record(True)
    cluster.kill(alone)
    sent = messages(cluster)
    cluster.launch_node(alone)
    wait_until(cluster, "it asks in vain", lambda: told(cluster) and asks(alone, sent))
    assert not follows(cluster, alone, leader)
    # Nobody has noticed the end of its process, nor that it is back.
    assert cluster.leader() == leader
    cluster.links.record(False)
    cluster.heal(alone)
    wait_until(cluster, "it follows", lambda: follows(cluster, alone, cluster.leader()))
    heard = [each for each in sent if alone in {each.source, each.fields["to"]}]
    assert all(each.fields.get("lost") for each in heard)


def messages(cluster: LocalCluster) -> list[Happening]:
    """A list that gets all recorded messages from now on."""
    found: list[Happening] = []

    def read(happening: Happening) -> None:
        if happening.kind == "message":
            found.append(happening)

    cluster.journal.read_by(read)
    return found


def told(cluster: LocalCluster) -> LocalCluster:
    """The cluster, when it has taken what the nodes have told."""
    cluster.status()
    return cluster


def asks(name: str, sent: list[Happening]) -> bool:
    """Whether a node has asked for votes, and the message was lost."""
    asked = [each.fields for each in sent if (each.source, each.fields["what"]) == (name, ASKED)]
    return any(fields.get("lost") for fields in asked)


def test_a_slow_node_adds_its_delay_to_both_ways_of_a_round_trip(cluster: LocalCluster) -> None:
    slow = followers(cluster)[0]
    cluster.slow(slow, 40)
    with client_of(cluster, slow) as client:
        # A linearizable read asks the leader, and waits for the answer.
        assert min(duration_of(client) for _ in range(3)) >= 0.08
    assert cluster.heal(slow) == (f"{slow} is slow: each message takes 40 ms longer",)


def duration_of(client: Client) -> float:
    began = time.monotonic()
    client.get("read")
    return time.monotonic() - began


def test_messages_are_recorded_while_that_is_wanted(cluster: LocalCluster) -> None:
    leader, sent, before = cluster.leader(), messages(cluster), cluster.journal.count
    cluster.links.record(True)
    with client_of(cluster, leader) as client:
        client.put("recorded", "x")
    append, answer = wait_until(cluster, "an append and its answer", lambda: both(cluster, sent))
    assert append.source == answer.fields["to"] == leader
    assert append.fields["bytes"] > 0
    cluster.links.record(False)
    wait_until(cluster, "all obey", lambda: all(node.obeys for node in told(cluster).running))
    sent.clear()
    with client_of(cluster, leader) as client:
        client.put("recorded", "no longer")
    assert told(cluster).running and sent == []
    assert all(each.kind != "message" for each in cluster.journal.since(before))


def both(cluster: LocalCluster, sent: list[Happening]) -> tuple[Happening, Happening] | None:
    """An append with entries, and an answer of the one that it was for."""
    cluster.status()
    for append in sent:
        if append.fields["what"] == "append" and append.fields["entries"]:
            for answer in sent:
                if answer.fields["what"] == "append_ack" and answer.source == append.fields["to"]:
                    return append, answer
    return None


def test_nodes_end_when_their_launcher_is_killed_also_a_paused_one(tmp_path: Path) -> None:
    script = (
        "import sys; from cluster.launcher.local import LocalCluster\n"
        f"cluster = LocalCluster(2, {str(tmp_path)!r}); cluster.__enter__()\n"
        "print(*[node.pid for node in cluster.running], flush=True); sys.stdin.read()"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert launcher.stdout is not None
    pids = [int(pid) for pid in launcher.stdout.readline().split()]
    ends = [os.pidfd_open(pid) for pid in pids]
    os.kill(pids[0], signal.SIGSTOP)
    launcher.kill()
    launcher.communicate(timeout=HANG_SECONDS)
    for end in ends:
        ended = select.poll()
        ended.register(end, select.POLLIN)
        assert ended.poll(HANG_MS), "a node outlives its launcher"
        os.close(end)
    for name in ("n1", "n2"):
        assert "stops: SIGTERM" in (tmp_path / f"{name}.log").read_text()
