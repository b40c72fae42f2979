"""Members and leaders through the Python client, in front of probe nodes; the first one leads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cluster import (
    Client,
    FailedPreconditionError,
    InvalidArgumentError,
    LeaseholdError,
    NoLeaderEndpointError,
    NotFoundError,
    OutcomeUnknownError,
    UnavailableError,
)
from tests.cluster.probe import LOST_AFTER_WORK, STATUS, ProbeCluster, Script, error
from tests.limits import PATIENT

pytestmark = pytest.mark.process

N1, N2 = 0x628170C800DBCEE, 0x9E737FEBB6B99EEE


@pytest.fixture
def probes() -> Iterator[ProbeCluster]:
    with ProbeCluster() as probe_cluster:
        yield probe_cluster


@pytest.fixture
def client(probes: ProbeCluster) -> Iterator[Client]:
    with Client(probes.endpoints, **PATIENT) as connected:
        yield connected


def first_of(op: str, answer: dict[str, Any]) -> Script:
    """A script for all nodes that gives this answer to the first request of this op."""
    seen: list[dict[str, Any]] = []

    def script(request: dict[str, Any]) -> dict[str, Any] | bool:
        if request["op"] == op:
            seen.append(request)
            return answer if len(seen) == 1 else True
        return True

    return script


def play(probes: ProbeCluster, script: Script) -> None:
    """Have all nodes follow one script."""
    for node in probes.nodes:
        node.script = script


def test_changes_of_members_give_typed_results(client: Client) -> None:
    added = client.member_add("http://h3:2380, tcp://h4:2380", learner=True)
    assert added.member.peer_urls == ("http://h3:2380", "tcp://h4:2380")
    assert (added.member.name, added.member.is_learner) == ("", True)
    assert added.members[-1] == added.member
    new_id = added.member.id
    assert not client.member_promote(new_id).members[-1].is_learner
    assert client.member_update(new_id, ["tcp://h5:1"]).members[-1].peer_urls == ("tcp://h5:1",)
    replaced = client.member_replace(new_id, "tcp://h6:1")
    assert [member.id for member in replaced.members] == [N1, N2, replaced.member.id]
    assert [member.id for member in client.member_remove(N2).members] == [N1, replaced.member.id]


def test_the_list_of_members_is_linearizable_unless_one_node_is_enough(
    client: Client, probes: ProbeCluster
) -> None:
    client.member_list()
    client.member_list(linearizable=False)
    asked = [each for node in probes.nodes for each in node.requests]
    lists = [each.get("linearizable") for each in asked if each["op"] == "member_list"]
    assert lists == [True, None]


def test_bad_urls_are_named_before_anybody_is_asked(client: Client, probes: ProbeCluster) -> None:
    with pytest.raises(InvalidArgumentError, match="URL scheme must be tcp or http: foo"):
        client.member_add("foo")
    with pytest.raises(InvalidArgumentError, match="no valid URLs given"):
        client.member_update(N1, [])
    assert all(node.requests == [] for node in probes.nodes)


def test_refusals_are_exceptions_with_etcds_words(client: Client) -> None:
    with pytest.raises(NotFoundError, match="etcdserver: member not found"):
        client.member_remove(5)
    with pytest.raises(FailedPreconditionError, match="etcdserver: Peer URLs already exists"):
        client.member_add("tcp://h1:2380")
    with pytest.raises(FailedPreconditionError, match="etcdserver: can only promote a learner"):
        client.member_promote(N1)


LOST = {"error": LOST_AFTER_WORK}


def test_a_member_whose_addition_was_not_answered_is_found(
    client: Client, probes: ProbeCluster
) -> None:
    play(probes, first_of("member_add", LOST))
    added = client.member_add("tcp://h3:2380", learner=True)
    assert added.member.peer_urls == ("tcp://h3:2380",)
    assert probes.store.applied.count("member_add") == 2
    assert len(probes.store.members) == 3


@pytest.mark.parametrize("op", ["member_remove", "member_promote", "member_replace"])
def test_a_change_whose_answer_was_lost_is_done_once(
    client: Client, probes: ProbeCluster, op: str
) -> None:
    play(probes, first_of(op, LOST))
    urls = ["tcp://h9:1"] if op == "member_replace" else []
    result = getattr(client, op)(N2, *urls)
    assert len(result.members) == (1 if op == "member_remove" else 2)
    assert not any(member.is_learner for member in result.members)


def test_urls_that_a_started_member_has_were_not_just_added(
    client: Client, probes: ProbeCluster
) -> None:
    silent = first_of("member_add", {"error": {"code": 14, "message": "etcdserver: no leader"}})
    play(probes, silent)
    with pytest.raises(FailedPreconditionError, match="Peer URLs already exists"):
        client.member_add("tcp://h1:2380")


def test_a_change_that_nobody_answers_has_an_unknown_outcome(probes: ProbeCluster) -> None:
    play(probes, lambda request: None)
    with (
        Client(probes.endpoints, timeout=0.3) as client,
        pytest.raises(OutcomeUnknownError, match="may have been applied"),
    ):
        client.member_remove(N2)


def test_the_leader_is_found_among_the_endpoints(client: Client, probes: ProbeCluster) -> None:
    moved = client.move_leader(2)
    assert (moved.source, moved.target) == (1, 2)
    (asked,) = (request for request in probes.nodes[0].requests if request["op"] == "move_leader")
    assert asked["targetID"] == 2
    assert not any(request["op"] == "move_leader" for request in probes.nodes[1].requests)


def test_the_leader_is_found_though_another_endpoint_is_dead(probes: ProbeCluster) -> None:
    probes.kill(probes.nodes[1])
    with Client(probes.endpoints, **PATIENT) as client:
        assert client.move_leader(3).source == 1


def test_without_the_leaders_endpoint_nothing_can_be_moved(probes: ProbeCluster) -> None:
    with Client(probes.endpoints[1:]) as client, pytest.raises(NoLeaderEndpointError) as caught:
        client.move_leader(2)
    endpoints = " ".join(probes.endpoints[1:])
    assert caught.value.message == f"no leader endpoint given at [{endpoints}]"


def test_a_leader_that_is_none_any_more_is_looked_for_again(
    client: Client, probes: ProbeCluster
) -> None:
    play(probes, first_of("move_leader", error(9, "etcdserver: not leader")))
    assert client.move_leader(2).target == 2
    assert sum(request["op"] == "move_leader" for request in probes.nodes[0].requests) == 2


def test_a_leader_that_does_not_come_is_not_waited_for_forever(probes: ProbeCluster) -> None:
    play(probes, lambda request: {**STATUS, "leader": 0} if request["op"] == "status" else True)
    with (
        Client(probes.endpoints, timeout=0.3) as client,
        pytest.raises(UnavailableError, match="etcdserver: no leader"),
    ):
        client.move_leader(2)


def test_a_transfer_that_fails_says_why(client: Client, probes: ProbeCluster) -> None:
    late = "etcdserver: request timed out, leader transfer took too long"
    play(probes, first_of("move_leader", error(2, late)))
    with pytest.raises(LeaseholdError, match=late):
        client.move_leader(2)
