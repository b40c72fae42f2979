"""Scaling and wiping on real nodes: data stays, the lead moves away, a quorum is never lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster import Client, LauncherError, LocalCluster
from cluster.launcher.errands import scaling
from cluster.launcher.errands.errand import Ask
from tests.limits import PATIENT

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Three nodes with a key."""
    with LocalCluster(3) as made:
        with Client(made.endpoints, **PATIENT) as client:
            client.put("greeting", "hello")
        yield made


def told(cluster: LocalCluster, kind: str, since: int) -> list[str]:
    return [each.text for each in cluster.journal.since(since) if each.kind == kind]


def greeting_of(cluster: LocalCluster, name: str) -> bytes:
    """What a node itself has, whatever the others say."""
    with Client(cluster.node(name).endpoint, **PATIENT) as client:
        found = client.get("greeting", serializable=True)
    assert found is not None
    return found.value


def test_a_cluster_grows_by_learners_that_catch_up_and_get_a_vote(cluster: LocalCluster) -> None:
    before = cluster.journal.count
    cluster.scale(5)
    assert [node.name for node in cluster.voters] == ["n1", "n2", "n3", "n4", "n5"]
    assert told(cluster, "member", before) == [
        "n4 was added as a learner",
        "n4 is a voter now",
        "n5 was added as a learner",
        "n5 is a voter now",
    ]
    progress = [each for each in cluster.journal.since(before) if each.kind == "progress"]
    caught_up = [each.fields for each in progress if each.fields["what"] == "catch-up"]
    assert {fields["victim"] for fields in caught_up} == {"n4", "n5"}
    ends = {fields["victim"]: (fields["done"], fields["total"]) for fields in caught_up}
    assert all(done == total > 0 for done, total in ends.values())
    with pytest.raises(LauncherError, match="the cluster has 5 voters already"):
        cluster.scale(5)
    assert greeting_of(cluster, "n5") == b"hello"


def test_a_cluster_shrinks_by_the_newest_and_the_lead_moves_away_first(
    cluster: LocalCluster,
) -> None:
    assert cluster.transfer("n5") == "n5"
    before = cluster.journal.count
    cluster.scale(3)
    assert [node.name for node in cluster.members] == ["n1", "n2", "n3"]
    assert [node.name for node in cluster.running] == ["n1", "n2", "n3"]
    assert told(cluster, "member", before) == [
        "n5 was removed from the cluster",
        "n4 was removed from the cluster",
    ]
    assert cluster.leader() in {"n1", "n2", "n3"}


def test_the_first_thing_that_is_asked_is_to_hand_over_to_one_that_stays(
    cluster: LocalCluster,
) -> None:
    if cluster.leader() != "n3":
        cluster.transfer("n3")
    errand = scaling.scale(cluster, 2)
    asked = next(step for step in errand if isinstance(step, Ask))
    errand.close()
    assert (asked.node, asked.request["op"]) == ("n3", "move_leader")
    assert asked.request["targetID"] in {cluster.node(name).member_id for name in ("n1", "n2")}


def test_what_would_lose_the_quorum_is_refused_with_its_reason(cluster: LocalCluster) -> None:
    cluster.kill("n3")
    reason = "without n1 only 1 of 2 voters would run, and 2 must: start or remove n3 first"
    for change in (cluster.remove, cluster.wipe):
        with pytest.raises(LauncherError, match=reason):
            change("n1")
    cluster.pause("n2")
    with pytest.raises(LauncherError, match="without n1 none of 2 voters would run"):
        cluster.remove("n1")
    cluster.resume("n2")
    cluster.start("n3")
    for wrong, answer in ((0, "1 to 7 nodes"), (8, "1 to 7 nodes")):
        with pytest.raises(LauncherError, match=answer):
            cluster.scale(wrong)


def test_a_wiped_node_joins_again_under_its_name_and_gets_all_data(cluster: LocalCluster) -> None:
    leader = cluster.leader()
    old = cluster.node(leader)
    cluster.wipe(leader.upper())
    new = cluster.node(leader)
    assert (new.member_id, new.ports) != (old.member_id, old.ports)
    assert not old.running and new.running
    assert [node.name for node in cluster.voters] == ["n1", "n2", "n3"]
    assert greeting_of(cluster, leader) == b"hello"
    assert cluster.leader() != leader


def test_a_cluster_of_one_grows_and_shrinks_again(cluster: LocalCluster) -> None:
    cluster.scale(1)
    (last,) = cluster.members
    assert cluster.leader() == last.name
    for refused in (cluster.remove, cluster.wipe):
        with pytest.raises(LauncherError, match=f"{last.name} is the (last|only) voter"):
            refused(last.name)
    with pytest.raises(LauncherError, match="there is no other node that could lead"):
        cluster.transfer()
    name = cluster.add()
    assert [node.name for node in cluster.voters] == [last.name, name]
    assert greeting_of(cluster, name) == b"hello"
