"""What the nodes of a real cluster tell of themselves: to their launcher, and in their logs."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from cluster import Client
from cluster.launcher.local import LocalCluster
from cluster.launcher.story.happenings import Happening
from cluster.logs import OF_NODES
from tests.chaos.failover import logged_since
from tests.limits import HANG_SECONDS
from tests.system.conditions import client_of, followers

pytestmark = pytest.mark.process

ELECTION_MS = 1_000
LATE_MS = 600
FLAGS = (f"--election-timeout={ELECTION_MS}", "--snapshot-catchup-entries=10", "--log-level=debug")
POLL_MS = 10


class Story(NamedTuple):
    """A cluster, and what its nodes have told since a moment."""

    cluster: LocalCluster
    since: int

    def told(self, kind: str, **fields: Any) -> list[Happening]:
        """What was told of this kind, with these fields among others; `by` is who told it."""
        by = fields.pop("by", None)
        return [
            each
            for each in self.cluster.journal.since(self.since)
            if each.kind == kind
            and by in (None, each.source)
            and fields.items() <= dict(each.fields).items()
        ]

    def expect(self, kind: str, **fields: Any) -> Happening:
        """Wait for one; the first of them."""
        deadline = time.monotonic() + HANG_SECONDS
        while not (found := self.told(kind, **fields)):
            assert time.monotonic() < deadline, f"nobody told {kind} {fields}"
            self.look()
        return found[0]

    def expect_successor(self, suspected: Happening) -> Happening:
        """Wait for the election that follows a suspicion."""
        deadline = time.monotonic() + HANG_SECONDS
        while True:
            for each in self.told("elected"):
                if each.fields["term"] > suspected.fields["term"]:
                    return each
            assert time.monotonic() < deadline, "nobody was elected"
            self.look()

    def look(self) -> None:
        """Take what the nodes have told."""
        self.cluster.poll(POLL_MS)
        self.cluster.take_answers()

    def log_of(self, name: str) -> str:
        """A node's log."""
        return self.cluster.directory.log_of(name).read_text()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(3, tmp_path_factory.mktemp("data"), node_flags=FLAGS) as made:
        yield made


@pytest.fixture
def story(cluster: LocalCluster) -> Iterator[Story]:
    """What is told from now on; all nodes run, and one leads."""
    cluster.wait_until_ready()
    yield Story(cluster, cluster.journal.count)
    # A test that has failed leaves the next one a whole cluster.
    for node in cluster.members:
        if not node.running:
            cluster.start(node.name)
        node.signal(signal.SIGCONT)


def test_the_start_is_told_with_what_was_recovered_and_how_the_first_leader_came_about(
    cluster: LocalCluster,
) -> None:
    story = Story(cluster, 0)
    for name in cluster.nodes:
        started = story.expect("started", by=name)
        assert started.fields["pid"] == cluster.nodes[name].pid
        assert {FLAGS[0], f"--name={name}"} <= set(started.fields["flags"])
        assert (started.fields["revision"], started.fields["log_index"]) == (1, 1)
        assert story.expect("serving", by=name).fields["took_ms"] >= 0
        assert f"{name}: {started.text}" in story.log_of(name)
        for other in cluster.nodes.keys() - {name}:
            assert story.expect("peer_found", by=name, peer=other).fields["away_ms"] is None
    elected = story.expect("elected")
    leader, term = elected.source, elected.fields["term"]
    assert leader in elected.fields["votes"] and len(elected.fields["votes"]) >= 2
    story.expect("asked_for_votes", by=leader, term=term, pre=True)
    story.expect("asked_for_votes", by=leader, term=term, pre=False)
    for voter in set(elected.fields["votes"]) - {leader}:
        story.expect("voted", by=voter, candidate=leader, term=term, pre=False, granted=True)
    followed = story.expect("follows")
    story.expect("elected", by=followed.fields["leader"], term=followed.fields["term"])
    roles = [each.fields["role"] for each in story.told("role", by=leader)]
    assert roles[0] == "follower"
    assert {"pre_candidate", "candidate"} <= set(roles[: roles.index("leader")])


def test_a_killed_leader_is_missed_by_its_connection_and_found_again(story: Story) -> None:
    cluster, killed_at = story.cluster, time.time()
    (leader,) = cluster.kill("leader")
    suspected = story.expect("suspected", leader=leader, how="connection")
    assert f"{leader} (leader) fell silent: its connection closed" in suspected.text
    story.expect("peer_lost", by=suspected.source, peer=leader, how="connection")
    logged = logged_since(cluster, killed_at, 1_000 * HANG_SECONDS)
    assert any(f" {suspected.source}: {suspected.text}" in line for line in logged)
    elected = story.expect_successor(suspected)
    assert leader not in elected.fields["votes"] and leader != elected.source
    cluster.start(leader)
    restarted = story.expect("started", by=leader)
    assert restarted.fields["log_index"] > 1
    back = story.expect("peer_found", by=suspected.source, peer=leader)
    assert back.fields["away_ms"] >= 0
    story.expect("follows", by=leader)


def test_a_leader_that_hangs_is_missed_by_its_silence_and_steps_down_when_it_goes_on(
    story: Story,
) -> None:
    cluster = story.cluster
    (leader,) = cluster.pause("leader")
    suspected = story.expect("suspected", leader=leader, how="timeout")
    assert suspected.fields["silent_ms"] >= ELECTION_MS
    # Not of each other member: one that has just started may not have had an answer yet.
    lost = story.expect("peer_lost", peer=leader, how="timeout")
    story.expect_successor(suspected)
    cluster.resume(leader)
    stepped_down = story.expect("stepped_down", by=leader)
    assert stepped_down.text.endswith(stepped_down.fields["why"])
    story.expect("follows", by=leader)
    story.expect("peer_found", by=lost.source, peer=leader)


def test_a_heartbeat_that_comes_late_is_told_as_a_near_miss(story: Story) -> None:
    cluster = story.cluster
    deadline = time.monotonic() + HANG_SECONDS
    near: list[Happening] = []
    while not near:
        # On a busy machine it may be later than that: the follower suspects its leader, and may
        # even lead next.
        name, suspected = followers(cluster)[0], len(story.told("suspected"))
        cluster.slow(name, LATE_MS)
        while not near and len(story.told("suspected")) == suspected:
            assert time.monotonic() < deadline, f"{name} told nothing of a late heartbeat"
            story.look()
            near = story.told("near_miss", by=name)
        cluster.heal()
        cluster.wait_until_ready()
    assert near[0].fields["silent_ms"] > ELECTION_MS // 2
    assert near[0].fields["timeout_ms"] >= ELECTION_MS
    assert f"the heartbeat of {near[0].fields['leader']} (leader) came" in near[0].text


def test_a_transfer_is_told_by_who_takes_over_and_by_who_gives_up(story: Story) -> None:
    story.cluster.transfer()
    asked = story.expect("suspected", how="transfer")
    heir, leader = asked.source, asked.fields["leader"]
    story.expect("elected", by=heir)
    story.expect("stepped_down", by=leader, why=f"it has handed over to {heir}")


def test_a_snapshot_to_a_member_that_lags_is_told_on_both_sides(story: Story) -> None:
    cluster = story.cluster
    name = followers(cluster)[0]
    cluster.stop(name)
    assert story.expect("stopping", by=name).fields["why"] == "SIGTERM"
    with client_of(cluster, *(cluster.nodes.keys() - {name})) as client:
        write_until_cut(cluster, client, name)
        cluster.start(name)
        installed = story.expect("snapshot_installed", by=name)
        assert installed.fields["revision"] > 1
    sent = story.expect("snapshot_sent", peer=name)
    total_bytes = sent.fields["total_bytes"]
    assert sent.fields["done_bytes"] == 0
    story.expect("snapshot_sent", peer=name, done_bytes=total_bytes, total_bytes=total_bytes)


def test_every_line_is_of_a_known_kind_with_names_instead_of_ids(cluster: LocalCluster) -> None:
    told = [each for each in cluster.journal.since(0) if each.source]
    assert told
    for each in told:
        promised = set(re.findall(r"\w+", OF_NODES[each.kind]))
        assert each.fields.keys() <= promised, each
    for name in cluster.nodes:
        log = Story(cluster, 0).log_of(name)
        assert not re.search(r"\b[0-9a-f]{14,16}\b|leader 0\b", log), log
        for line in log.splitlines():
            assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z]+ +" + name, line), line


def write_until_cut(cluster: LocalCluster, client: Client, away: str) -> None:
    """Write until no log of the others has what the member that is away needs next.

    A physical compaction is answered when the node that was asked has made all durable, and has let
    its log go up to there.
    """
    for node in cluster.running:
        for number in range(30):
            revision = client.put(f"without {away} {number}", node.name).header.revision
        with client_of(cluster, node.name) as there:
            there.compact(revision, physical=True)
