"""Three nodes whose entries take several election timeouts: nobody stands, and reads go on.

Time is the simulation's: a step of a long entry takes a millisecond, whatever it takes here.
"""

from __future__ import annotations

from typing import Any

import pytest

from actors.store import steps, writes
from actors.store.pace import COMMIT_INTERVAL_MS
from actors.watch import actor as watch_actor
from cluster.wire import pack, unpack
from tests.simulation.cluster import Cluster
from tests.simulation.node import Node
from tests.simulation.swarm import Swarm
from tests.simulation.timeline import Timeline

ELECTION_MS = 60
KEYS = 300
KEYS_PER_TXN = 60
CLIENT = 7
STEPS_MAX = 1_000_000
QUICKLY_MS = 20
"""A read needs no more: two hops, and the slice that it waits for."""

ALL = {"key": b"k", "range_end": b"l"}


class Caller:
    """A client that keeps the answers by request, and when each came."""

    number = CLIENT

    def __init__(self, cluster: Cluster) -> None:
        self.answers: dict[int, dict[str, Any]] = {}
        self.began_ms: dict[int, int] = {}
        self.took_ms: dict[int, int] = {}
        self._cluster = cluster
        cluster.visitors[CLIENT] = self

    def ask(self, node: Node, **fields: Any) -> int:
        """Send a request; returns its number."""
        number = len(self.began_ms)
        self.began_ms[number] = self._cluster.timeline.now_ms
        self._cluster.request(CLIENT, node.number, pack({"id": number, **fields}))
        return number

    def reply(self, node: int, payload: bytes) -> None:
        """It has an answer, or is told of an event."""
        answer = unpack(payload)
        assert "error" not in answer, answer
        if "id" in answer:
            self.answers[answer["id"]] = answer
            self.took_ms[answer["id"]] = self._cluster.timeline.now_ms - self.began_ms[answer["id"]]

    def node_up(self, node: int) -> None:
        """It knows the nodes."""

    def node_down(self, node: int) -> None:
        """None goes down."""


class Scene:
    """A calm cluster with a leader and KEYS keys, all of them on lease 5."""

    def __init__(self) -> None:
        self.timeline = Timeline(0)
        self.cluster = Cluster(
            self.timeline, Swarm(election_ms=ELECTION_MS, keys_per_step=1, steps_per_turn=1)
        )
        self.cluster.begin()
        self.until(lambda: self.cluster.leader() is not None)
        self.caller = Caller(self.cluster)
        self.answer_to(self.leader, op="lease_grant", ID=5, TTL=1_000)
        for start in range(0, KEYS, KEYS_PER_TXN):
            puts = [
                {"request_put": {"key": b"k%04d" % number, "value": b"v", "lease": 5}}
                for number in range(start, start + KEYS_PER_TXN)
            ]
            self.answer_to(self.leader, op="txn", success=puts)
        self.until(lambda: len({each.machine.revision for each in self.cluster.running()}) == 1)

    @property
    def leader(self) -> Node:
        """The node that leads."""
        leader = self.cluster.leader()
        assert leader is not None
        return leader

    def until(self, is_done: Any) -> None:
        """Let time pass."""
        for _ in range(STEPS_MAX):
            if is_done():
                return
            self.timeline.step()
        raise AssertionError("nothing is decided")

    def answer_to(self, node: Node, **fields: Any) -> dict[str, Any]:
        """Ask, and let time pass until the answer is there."""
        number = self.caller.ask(node, **fields)
        self.until(lambda: number in self.caller.answers)
        return self.caller.answers[number]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(writes, "ITEMS_PER_STEP", 1)
    monkeypatch.setattr(watch_actor, "EVENTS_AT_ONCE", 10)
    return Scene()


@pytest.mark.parametrize(
    "long",
    [
        {"op": "delete_range", **ALL},
        {"op": "delete_range", **ALL, "prev_kv": True},
        {"op": "txn", "success": [{"request_delete_range": ALL}, {"request_range": ALL}]},
        {"op": "lease_revoke", "ID": 5},
    ],
    ids=("deletion", "with values", "transaction", "lease"),
)
def test_nobody_stands_for_election_and_reads_go_on(scene: Scene, long: dict[str, Any]) -> None:
    leader, term = scene.leader, scene.leader.core.term
    nodes = scene.cluster.running()
    scene.answer_to(leader, op="watch_create", **ALL)
    number = scene.caller.ask(leader, **long)
    scene.until(lambda: leader.machine.is_busy)
    began_ms = scene.timeline.now_ms
    reads: list[int] = []
    while leader.machine.is_busy:
        reads += [scene.caller.ask(node, op="range", **ALL, serializable=True) for node in nodes]
        read_ms = scene.timeline.now_ms + QUICKLY_MS
        scene.until(lambda read_ms=read_ms: scene.timeline.now_ms >= read_ms)
    assert scene.timeline.now_ms - began_ms > 3 * ELECTION_MS
    scene.until(lambda: number in scene.caller.answers and reads[-1] in scene.caller.answers)
    during = reads[: -2 * len(nodes)]  # the last ones may have come after its end
    assert {len(scene.caller.answers[read]["kvs"]) for read in during} == {KEYS}
    assert max(scene.caller.took_ms[read] for read in during) <= QUICKLY_MS
    assert scene.answer_to(leader, op="range", **ALL)["count"] == 0
    assert (scene.leader, scene.leader.core.term) == (leader, term)


def test_a_follower_that_installs_a_snapshot_hears_its_leader_and_serves_reads(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    leader, term = scene.leader, scene.leader.core.term
    follower = next(each for each in scene.cluster.running() if each is not leader)
    follower.is_wanted = False
    follower.crash()
    for number in range(2 * scene.cluster.swarm.entries_kept):
        scene.answer_to(leader, op="put", key=b"k%04d" % number, value=b"w")
    revision = leader.machine.revision
    until_ms = scene.timeline.now_ms + 2 * COMMIT_INTERVAL_MS
    scene.until(lambda: scene.timeline.now_ms >= until_ms)
    monkeypatch.setattr(steps, "ITEMS_PER_STEP", 1)
    follower.start()
    scene.until(lambda: follower.core.replica.paused)
    began_ms, reads = scene.timeline.now_ms, []
    while follower.core.replica.paused:
        reads.append(scene.caller.ask(follower, op="range", **ALL, serializable=True))
        read_ms = scene.timeline.now_ms + 5 * QUICKLY_MS
        scene.until(lambda read_ms=read_ms: scene.timeline.now_ms >= read_ms)
    assert scene.timeline.now_ms - began_ms > 3 * ELECTION_MS
    scene.until(lambda: reads[-1] in scene.caller.answers)
    during = [scene.caller.answers[read] for read in reads[:-1]]
    assert during and all(each["header"]["revision"] < revision for each in during)
    scene.until(lambda: follower.machine.revision == revision)
    assert scene.answer_to(follower, op="range", **ALL)["count"] == KEYS
    assert (scene.leader, scene.leader.core.term) == (leader, term)
    assert follower.core.term == term
