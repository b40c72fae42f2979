"""Members that come and go, and leaders that hand over, on real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import (
    Client,
    FailedPreconditionError,
    LeaseholdError,
    NoLeaderEndpointError,
    NotFoundError,
    UnavailableError,
)
from cluster.launcher.local import LocalCluster
from cluster.launcher.nodes.node import EXIT_REMOVED
from cluster.launcher.story.happenings import Happening
from tests.chaos.writers import Acknowledged, ClientWriter, RawWriter
from tests.limits import HANG_SECONDS, PATIENT, UNHURRIED
from tests.system.conditions import client_of, followers, wait_for_revision, wait_until

HANDOVERS_MAX = 10


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """Three nodes of its own for each test."""
    with LocalCluster() as made:
        yield made


def wait_until_removed(cluster: LocalCluster, name: str) -> None:
    """Wait until a node has ended by itself and said why."""
    node = cluster.node(name)
    assert node.wait(HANG_SECONDS), f"{name} still runs"
    assert node.exit_status == EXIT_REMOVED
    assert "removed from the cluster" in cluster.directory.last_log_line(name)


def remove(cluster: LocalCluster, name: str) -> None:
    """Remove a member as an operator would, and leave its process alone."""
    others = [node.name for node in cluster.members if node.running and node.name != name]
    with client_of(cluster, *others) as client:

        def removed() -> bool:
            try:
                client.member_remove(cluster.node(name).member_id)
            except UnavailableError:
                return False  # the leader is new, and has not heard everybody yet
            return True

        wait_until(cluster, f"{name} is removed", removed)
    cluster.note_removed(name)


def assert_kept(cluster: LocalCluster, name: str, writes: list[Acknowledged]) -> None:
    """This node has applied all these writes, each once."""
    wait_for_revision(cluster, name, max(write.revision for write in writes))
    with client_of(cluster, name) as there:
        found = {kv.key: kv for kv in there.range(serializable=True)}
    assert all(write.key in found for write in writes)
    assert all(found[write.key].version == 1 for write in writes)


# --- who belongs to it ------------------------------------------------------------------------


def test_a_member_joins_while_writes_go_on_and_has_them_all(cluster: LocalCluster) -> None:
    with ClientWriter(cluster.endpoints, "w/") as writer:
        writer.wait_for_more(200, HANG_SECONDS)
        name = cluster.add()
        writer.wait_for_more(200, HANG_SECONDS)
        writes = writer.stop()
    assert_kept(cluster, name, writes)
    with client_of(cluster, name) as there:
        members = {member.name: member for member in there.member_list().members}
        there.put("from", "the new one")
    assert set(members) == {"n1", "n2", "n3", "n4"}
    assert members["n4"].id == cluster.node("n4").member_id
    assert members["n4"].client_urls == (f"tcp://{cluster.node('n4').endpoint}",)


def test_a_member_that_joined_counts(cluster: LocalCluster) -> None:
    cluster.add()
    cluster.add()
    for name in followers(cluster)[:2]:
        cluster.kill(name)
    cluster.wait_for_leader()
    with client_of(cluster, *(node.name for node in cluster.running)) as client:
        client.put("three of five", "are enough")
    assert cluster.quorum == 3


def test_a_learner_learns_and_votes_only_when_it_is_promoted(cluster: LocalCluster) -> None:
    with client_of(cluster) as client:
        revision = client.put("k", "v").header.revision
        cluster.add(learner=True)
        wait_for_revision(cluster, "n4", revision)
        with client_of(cluster, "n4") as there:
            kv = there.range("k", serializable=True)[0]
            assert (kv.value, there.status().is_learner) == (b"v", True)
            with pytest.raises(FailedPreconditionError, match="rpc not supported for learner"):
                there.put("k", "w")
            with pytest.raises(FailedPreconditionError, match="rpc not supported for learner"):
                there.watch("k")
            assert any(member.is_learner for member in there.member_list().members)
            with pytest.raises(FailedPreconditionError, match="bad leader transferee"):
                client.move_leader(cluster.node("n4").member_id)
            with pytest.raises(FailedPreconditionError, match="too many learner members"):
                client.member_add("tcp://127.0.0.1:9", learner=True)
            cluster.promote("n4")
            wait_until(cluster, "n4 votes", lambda: not there.status().is_learner)
            there.put("k", "w")
    assert cluster.transfer("n4") == cluster.leader() == "n4"


def test_a_removed_follower_ends_by_itself_and_stays_removed(cluster: LocalCluster) -> None:
    name = followers(cluster)[0]
    with client_of(cluster) as client:
        client.put("k", "v")
        remove(cluster, name)
        wait_until_removed(cluster, name)
        assert len(client.member_list().members) == 2
        client.put("k", "w")
    # Somebody starts it again by hand, with all its data.
    node = cluster.node(name)
    node.record = node.record._replace(is_removed=False)
    cluster.launch_node(name)
    wait_until_removed(cluster, name)


def test_a_removed_leader_gives_way_and_ends(cluster: LocalCluster) -> None:
    leader = cluster.leader()
    others = followers(cluster)
    with ClientWriter([cluster.node(name).endpoint for name in others], "w/") as writer:
        writer.wait_for_more(50, HANG_SECONDS)
        remove(cluster, leader)
        writer.wait_for_more(50, HANG_SECONDS)
        writes = writer.stop()
    wait_until_removed(cluster, leader)
    assert cluster.leader() in others
    for name in others:
        assert_kept(cluster, name, writes)


def test_a_member_is_replaced_in_one_step(cluster: LocalCluster) -> None:
    with client_of(cluster) as client:
        client.put("k", "v")
        old = followers(cluster)[0]
        new = cluster.replace(old)
        names = {member.id for member in client.member_list().members}
        assert cluster.node(old).member_id not in names
        assert cluster.node(new).member_id in names
        wait_for_revision(cluster, new, client.put("k", "w").header.revision)
    assert cluster.node(old).exit_status == EXIT_REMOVED


def test_every_first_member_can_be_replaced_under_load(cluster: LocalCluster) -> None:
    with ClientWriter(cluster.endpoints, "w/") as writer:
        for name in ("n1", "n2"):
            writer.wait_for_more(20, HANG_SECONDS)
            cluster.replace(name)
        writer.wait_for_more(20, HANG_SECONDS)
        writes = writer.stop()
    assert [node.name for node in cluster.members] == ["n3", "n4", "n5"]
    for node in cluster.members:
        assert_kept(cluster, node.name, writes)


def test_changes_that_would_cost_the_quorum_are_refused(cluster: LocalCluster) -> None:
    down, other = followers(cluster)
    cluster.kill(down)
    cluster.wait_for_leader()
    alive = [node.name for node in cluster.running]
    with client_of(cluster, *alive) as client:
        for number in range(50):  # meanwhile the leader notices that one is gone
            client.put(f"{number}", "x")
        with pytest.raises(UnavailableError, match="unhealthy cluster"):
            client.member_remove(cluster.node(other).member_id)
        client.member_remove(cluster.node(down).member_id)
        client.put("two of two", "go on")


def test_what_etcd_refuses_is_refused_in_its_words(cluster: LocalCluster) -> None:
    leader = cluster.leader()
    with client_of(cluster) as client, client_of(cluster, followers(cluster)[0]) as follower:
        with pytest.raises(FailedPreconditionError, match="Peer URLs already exists"):
            follower.member_add(cluster.node("n1").peer_url)
        with pytest.raises(NotFoundError, match="member not found"):
            follower.member_remove(5)
        with pytest.raises(FailedPreconditionError, match="can only promote a learner member"):
            follower.member_promote(cluster.node("n1").member_id)
        with pytest.raises(FailedPreconditionError, match="bad leader transferee"):
            client.move_leader(5)
        with pytest.raises(NoLeaderEndpointError):
            follower.move_leader(cluster.node("n1").member_id)
        client.member_update(cluster.node(leader).member_id, cluster.node(leader).peer_url)
    assert cluster.leader() == leader


def test_the_last_voter_cannot_be_removed() -> None:
    with LocalCluster(1) as cluster, client_of(cluster) as client:
        with pytest.raises(FailedPreconditionError, match="not enough started members"):
            client.member_remove(cluster.node("n1").member_id)
        client.put("k", "v")


def test_one_node_grows_to_three_and_shrinks_again() -> None:
    with LocalCluster(1) as cluster, client_of(cluster) as client:
        revision = client.put("k", "v").header.revision
        cluster.add()
        cluster.add()
        for name in ("n2", "n3"):
            wait_for_revision(cluster, name, revision)
        cluster.kill("n1")
        cluster.wait_for_leader()
        cluster.restart("n1")
        cluster.transfer("n1")
        for name in ("n2", "n3"):
            cluster.remove(name)
        assert client.put("k", "w").header.revision == revision + 1


def test_who_belongs_to_it_survives_a_stop_of_all(tmp_path: Path) -> None:
    with LocalCluster(3, tmp_path) as cluster:
        cluster.remove(followers(cluster)[0])
        cluster.add()
        cluster.add(learner=True)
        with client_of(cluster) as client:
            client.put("k", "v")
            # Each says its name when it runs.
            wait_until(
                cluster,
                "all members are named",
                lambda: all(member.name for member in client.member_list().members),
            )
            members = client.member_list().members
    with LocalCluster(data_dir=tmp_path) as cluster, client_of(cluster) as client:
        assert client.member_list().members == members
        kv = client.get("k")
        assert kv is not None and kv.value == b"v"
        assert cluster.status()["n5"].is_learner


# --- who leads --------------------------------------------------------------------------------


@pytest.fixture
def unhurried() -> Iterator[LocalCluster]:
    """Three nodes whose transfers have seconds, and of which no other is elected meanwhile."""
    with LocalCluster(node_flags=UNHURRIED) as made:
        yield made


def test_leadership_goes_to_whoever_is_named_while_writes_go_on(unhurried: LocalCluster) -> None:
    with ClientWriter(unhurried.endpoints, "w/") as writer:
        writer.wait_for_more(50, HANG_SECONDS)
        for _ in range(3):
            for name in ("n1", "n2", "n3"):
                if unhurried.leader() != name:  # before the first transfer, any may lead
                    unhurried.transfer(name)
                assert unhurried.leader() == name
                writer.wait_for_more(20, HANG_SECONDS)
        writes = writer.stop()
    assert writer.sent == len(writes)
    assert_kept(unhurried, "n1", writes)


def told_around_the_end(
    cluster: LocalCluster, name: str
) -> tuple[list[Happening], list[Happening]]:
    """What an ended node told of leaders before it was told to stop, and after that."""
    cluster.take_answers()
    kinds = ("elected", "follows", "stopping")
    told = [each for each in cluster.journal.since(0) if each.source == name]
    told = [each for each in told if each.kind in kinds]
    at = max(place for place, each in enumerate(told) if each.kind == "stopping")
    return told[:at], told[at:]


def test_a_leader_that_is_stopped_hands_over_first(cluster: LocalCluster) -> None:
    for _ in range(HANDOVERS_MAX):
        leader = cluster.leader()
        with RawWriter(cluster.endpoints, "w/") as writer:
            writer.wait_for_more(100, HANG_SECONDS)
            cluster.signal(leader, signal.SIGTERM)
            writer.wait_for_more(200, HANG_SECONDS)
            writer.stop()
        assert cluster.node(leader).wait(HANG_SECONDS)
        assert cluster.node(leader).exit_status == 0
        before, after = told_around_the_end(cluster, leader)
        if before[-1].kind == "elected":
            # It knew who leads the next term before it ended.
            assert [told.fields["term"] for told in after if told.kind == "follows"] == [
                before[-1].fields["term"] + 1
            ]
            return
        # On a slow machine it had lost its place before it was told to stop.
        cluster.start(leader)
    raise AssertionError("no leader was still one when it was stopped")


def test_leadership_is_not_given_to_the_dead(cluster: LocalCluster) -> None:
    leader = cluster.leader()
    dead = followers(cluster)[0]
    cluster.kill(dead)
    alive = [node.name for node in cluster.running]
    with client_of(cluster, *alive) as client:
        with pytest.raises(LeaseholdError, match="leader transfer took too long"):
            client.move_leader(cluster.node(dead).member_id)
        client.put("the leader", "leads on")
    assert cluster.leader() == leader


# --- from the command line --------------------------------------------------------------------


def leasectl(cluster: LocalCluster, *arguments: str) -> str:
    """What a command prints; it must succeed."""
    return run_leasectl(cluster, *arguments).stdout


def run_leasectl(cluster: LocalCluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command that has succeeded, with all it printed."""
    return subprocess.run(
        [sys.executable, "-m", "cluster.cli", *arguments, f"--endpoints={cluster.endpoints[0]}"],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=True,
    )


def test_a_member_is_started_with_what_member_add_prints(cluster: LocalCluster) -> None:
    record = cluster.plan_node("fourth")
    printed = leasectl(cluster, "member", "add", "fourth", f"--peer-urls={record.peer_url}")
    first, _, *lines = printed.splitlines()
    member_id = int(first.split()[1], 16)
    environment = dict(line.replace('"', "").split("=", 1) for line in lines)
    assert environment["ETCD_INITIAL_CLUSTER_STATE"] == "existing"
    assert f"fourth={record.peer_url}" in environment["ETCD_INITIAL_CLUSTER"].split(",")
    cluster.enlist(record._replace(joined_with=environment["ETCD_INITIAL_CLUSTER"]), member_id)
    with Client(record.endpoint, **PATIENT) as there:
        there.put("from", "the fourth")
    row = f"{member_id:x}, started, fourth, {record.peer_url}, tcp://{record.endpoint}, false"
    # It says its name when it runs; it may serve a client before that.
    wait_until(
        cluster,
        "the new member is listed as started",
        lambda: row in leasectl(cluster, "member", "list").splitlines(),
    )
    gone = leasectl(cluster, "member", "remove", f"{member_id:x}")
    assert gone.startswith(f"Member {member_id:16x} removed from cluster ")
    cluster.note_removed("fourth")
    wait_until_removed(cluster, "fourth")


def test_a_second_member_is_named_at_once_and_waited_for() -> None:
    with LocalCluster(1) as cluster:
        record = cluster.plan_node("second")
        peer_urls = f"--peer-urls={record.peer_url}"
        added = run_leasectl(cluster, "member", "add", "second", peer_urls)
        assert added.stderr == "the cluster takes no writes until the new member has started\n"
        first, _, *lines = added.stdout.splitlines()
        member_id = int(first.split()[1], 16)
        environment = dict(line.replace('"', "").split("=", 1) for line in lines)
        old = cluster.node("n1")
        members = f"n1={old.peer_url},second={record.peer_url}"
        assert sorted(environment["ETCD_INITIAL_CLUSTER"].split(",")) == members.split(",")
        # What was answered outlives the process that answered it.
        cluster.kill("n1")
        cluster.launch_node("n1")
        cluster.enlist(record._replace(joined_with=members), member_id)
        with Client(cluster.endpoints, **PATIENT) as client:
            client.put("both", "serve")
            assert {each.id for each in client.member_list().members} == {old.member_id, member_id}
