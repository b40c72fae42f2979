"""Writes go to the leader's endpoint, and move on when another member leads."""

from __future__ import annotations

import time
from typing import Any

import pytest

from cluster import Client
from cluster.client.engine.calling import CallOptions
from cluster.client.engine.core import Core
from cluster.client.engine.leading import (
    AGAIN_SECONDS,
    FIRST_SECONDS,
    OUTSIDE_SECONDS,
    SOON_SECONDS,
)
from cluster.launcher.local import LocalCluster
from tests.cluster.inner import connection_of
from tests.cluster.rig import HEADER, Rig
from tests.limits import HANG_SECONDS, PATIENT

NAMES = ("a", "b", "c")
STATUS = {
    "version": "0",
    "dbSize": 0,
    "dbSizeInUse": 0,
    "raftIndex": 1,
    "raftAppliedIndex": 1,
    "raftTerm": 2,
    "errors": [],
    "isLearner": False,
}


class Members(Rig):
    """Three endpoints, which are the members 1, 2 and 3; in term T the member `leader` leads."""

    def __init__(self) -> None:
        super().__init__(*NAMES, exactly_once=False)
        options = CallOptions(5.0, exactly_once=False)
        self.core = Core(NAMES, options, lambda: 0.5, addresses={})
        for name in NAMES:
            self.core.endpoint_up(name, self.now)
        self.term, self.leader = 2, 3
        self.cluster_at = dict.fromkeys(NAMES, 7)

    def header(self, name: str) -> dict[str, int]:
        ids = {"cluster_id": self.cluster_at[name], "member_id": NAMES.index(name) + 1}
        return {**HEADER, **ids, "raft_term": self.term}

    def goes_to(self, op: str) -> str:
        """Where a request goes; it is answered there."""
        self.call(op, write=op == "put")
        name, request = self.one()
        self.core.reply(name, {"id": request["id"], "header": self.header(name)}, self.now)
        return name

    def tell(self, *silent: str) -> int:
        """Answer the questions who leads; how many there were."""
        questions = self.sent()
        for name, request in questions:
            assert request["op"] == "status"
            if name not in silent:
                reply: dict[str, Any] = {"id": request["id"], "header": self.header(name)}
                self.core.reply(name, {**reply, "leader": self.leader, **STATUS}, self.now)
        return len(questions)


@pytest.mark.quick
def test_writes_go_to_the_leader_and_reads_stay() -> None:
    members = Members()
    assert members.goes_to("put") == "a"
    members.advance(FIRST_SECONDS / 2)
    assert members.tell() == 0, "a short program asks nothing"
    members.advance(FIRST_SECONDS)
    assert members.tell() == 3
    assert (members.goes_to("put"), members.goes_to("range")) == ("c", "a")
    members.advance(60)
    assert members.tell() == 0, "nothing has changed"


@pytest.mark.quick
def test_writes_move_on_with_the_leader() -> None:
    members = Members()
    members.goes_to("put")
    members.advance(FIRST_SECONDS)
    members.tell()
    members.term, members.leader = 3, 2
    assert members.goes_to("range") == "a", "its header tells that there is another leader"
    assert members.goes_to("put") == "a", "nobody knows which"
    members.advance(SOON_SECONDS)
    members.tell()
    assert members.goes_to("put") == "b"


@pytest.mark.quick
def test_writes_leave_a_leader_that_is_gone_at_once() -> None:
    members = Members()
    members.goes_to("put")
    members.advance(FIRST_SECONDS)
    members.tell()
    members.core.endpoint_down("c", members.now)
    assert members.goes_to("put") == "a"
    members.term, members.leader = 3, 1
    members.goes_to("put")
    members.advance(SOON_SECONDS)
    assert members.tell() == 2
    assert members.goes_to("put") == "a"


@pytest.mark.quick
def test_writes_return_to_a_leader_that_did_not_answer_once() -> None:
    members = Members()
    members.goes_to("put")
    members.advance(FIRST_SECONDS)
    members.tell()
    frozen = members.call("put", write=True)
    frozen.repeatable = True
    assert members.one()[0] == "c"
    members.advance(frozen.attempt_seconds)
    again = members.one()
    members.answer(again)
    assert (again[0], members.goes_to("put")) == ("a", "a")
    members.advance(AGAIN_SECONDS)
    members.tell()
    assert members.goes_to("put") == "c"


@pytest.mark.quick
def test_a_leader_that_is_no_endpoint_is_asked_for_now_and_then() -> None:
    members = Members()
    members.leader = 4
    members.goes_to("put")
    members.advance(FIRST_SECONDS)
    members.tell()
    assert members.goes_to("put") == "a"
    members.advance(OUTSIDE_SECONDS - 1)
    assert members.tell() == 0
    members.advance(1)
    assert members.tell() == 3


@pytest.mark.quick
def test_a_leader_that_nobody_knows_is_asked_for_again() -> None:
    members = Members()
    members.leader = 0
    members.goes_to("put")
    members.advance(FIRST_SECONDS)
    members.tell()
    assert members.goes_to("put") == "a"
    members.leader = 2
    members.advance(AGAIN_SECONDS)
    assert members.tell() == 3
    assert members.goes_to("put") == "b"


@pytest.mark.quick
def test_an_endpoint_that_does_not_answer_holds_nothing_up() -> None:
    members = Members()
    members.goes_to("put")
    members.advance(FIRST_SECONDS)
    members.tell("a", "b")
    assert members.goes_to("put") == "c"


@pytest.mark.quick
@pytest.mark.parametrize("header", [None, [], {"raft_term": "2"}, {"raft_term": None}])
def test_a_foreign_header_is_ignored(header: Any) -> None:
    members = Members()
    members.call("range")
    name, request = members.one()
    members.core.reply(name, {"id": request["id"], "header": header, "kvs": []}, members.now)
    members.advance(60)
    assert members.tell() == 0


def two_clusters() -> Members:
    """Endpoint c is of another cluster, and leads that one."""
    members = Members()
    members.cluster_at["c"] = 9
    members.goes_to("put")
    members.advance(FIRST_SECONDS)
    assert members.tell() == 3
    return members


@pytest.mark.quick
def test_nothing_goes_to_an_endpoint_of_another_cluster_than_the_first() -> None:
    members = two_clusters()
    assert (members.goes_to("put"), members.goes_to("range")) == ("a", "a")
    members.core.endpoint_down("a", members.now)
    assert (members.goes_to("put"), members.goes_to("range")) == ("b", "b")
    members.core.endpoint_down("b", members.now)
    call = members.call("put", write=True)
    members.advance(OUTSIDE_SECONDS)
    assert {request["op"] for _, request in members.sent()} == {"status"}
    assert "c (is of another cluster (9) than a (7))" in str(call.error)
    members.core.endpoint_up("b", members.now)
    assert members.goes_to("put") == "b"


@pytest.mark.quick
def test_a_request_for_an_endpoint_of_another_cluster_goes_there() -> None:
    members = two_clusters()
    members.call("status", pinned="c")
    assert members.one()[0] == "c"


@pytest.mark.quick
def test_an_endpoint_that_joins_the_own_cluster_is_used_again() -> None:
    members = two_clusters()
    members.cluster_at["c"] = 7
    members.advance(OUTSIDE_SECONDS)
    assert members.tell() == 3
    assert members.goes_to("put") == "c"


@pytest.mark.quick
def test_a_client_goes_on_with_the_cluster_that_its_members_are_restored_as() -> None:
    members = Members()
    members.goes_to("put")
    members.advance(FIRST_SECONDS)
    members.tell()
    for name in NAMES:
        members.core.endpoint_down(name, members.now)
    members.cluster_at = dict.fromkeys(NAMES, 8)
    members.term = 1
    for name in ("b", "c"):
        members.core.endpoint_up(name, members.now)
    assert members.goes_to("range") == "b"
    members.advance(SOON_SECONDS)
    assert members.tell() == 2
    members.advance(FIRST_SECONDS)
    assert members.tell() == 2
    assert (members.goes_to("put"), members.goes_to("range")) == ("c", "b")


@pytest.mark.process
def test_a_client_follows_the_leader_of_a_real_cluster(tmp_path: Any) -> None:
    with (
        LocalCluster(size=3, data_dir=tmp_path / "nodes") as cluster,
        Client(cluster.endpoints, **PATIENT) as client,
    ):
        endpoints = connection_of(client)._core.endpoints

        def leader_is_preferred() -> bool:
            client.put("k")
            preferred = endpoints.choose(write=True)
            assert preferred is not None
            status = client.status(preferred)
            return status.leader == status.header.member_id and endpoints.leader == preferred

        until_it_holds(leader_is_preferred)
        cluster.kill(cluster.leader())
        cluster.wait_for_leader()
        until_it_holds(leader_is_preferred)


def until_it_holds(condition: Any) -> None:
    """Try again until a condition holds."""
    deadline = time.monotonic() + HANG_SECONDS
    while not condition():
        assert time.monotonic() < deadline
