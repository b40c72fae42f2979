"""A disk that is put back to an earlier state, with its member none the wiser, of three.

No protocol can undo what such a member does before anybody notices. What must hold is who stops:
the wrong ones, by themselves, and never one that holds all that was acknowledged; and that nothing
of that is lost. Under a leader that remembers, the alarm stands on every other member.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Final, NamedTuple

from actors.language.commands import AlarmMember, AlarmType
from actors.raft.leader import Leader
from tests.linearizability import FindingError
from tests.simulation.clients import Client
from tests.simulation.cluster import Cluster
from tests.simulation.node import Node
from tests.simulation.runner import small_limits
from tests.simulation.saved import require
from tests.simulation.swarm import Swarm
from tests.simulation.timeline import Timeline

CLIENTS: Final = 3
ELECTION_MS: Final = 60
STEP_MS: Final = 10
WAIT_MS: Final = 6_000
BEFORE_MS: Final = 500
BETWEEN_MS: Final = 400


class Nobody:
    """A visitor who has left."""

    def __init__(self, number: int) -> None:
        self.number = number

    def reply(self, node: int, payload: bytes) -> None:
        """Not heard."""

    def node_up(self, node: int) -> None:
        """Not seen."""

    def node_down(self, node: int) -> None:
        """Not seen."""


class Scene:
    """Three members that were founded, elected a leader, and take writes."""

    def __init__(self, timeline: Timeline) -> None:
        swarm = Swarm(election_ms=ELECTION_MS, think_ms=5, entries_kept=1_000, commit_ms=10)
        self.timeline = timeline
        self.cluster = Cluster(timeline, swarm)
        self.chance = timeline.stream("rollback")
        self.clients = [Client(self.cluster, 100 + number) for number in range(CLIENTS)]
        self.cluster.begin()
        timeline.run_until(BEFORE_MS)

    def roles(self) -> tuple[Node, Node, Node]:
        """The leader, and the other two in any order."""
        leader = self.cluster.leader()
        require(leader is not None, "nobody leads in peace")
        assert leader is not None
        others = [node for node in self.cluster.running() if node is not leader]
        self.chance.random.shuffle(others)
        return leader, others[0], others[1]

    def roll_back(self, node: Node) -> None:
        """Put its disk back to how it is now, after a while of writes."""
        disk, backend = deepcopy(node.disk._files), node.backend.clone()
        saved = deepcopy(self.cluster.checker.saved(node.member_id))
        self.timeline.run_until(self.timeline.now_ms + BETWEEN_MS)
        node.is_wanted = False
        node.crash(power=False)
        node.disk._files = disk
        node.backend._place.content = backend._place.content
        self.cluster.checker.rolled_back(node, saved)
        self.cluster.rolled_back.add(node.member_id)

    def start(self, node: Node) -> None:
        """Start a process that was ended."""
        node.is_wanted = True
        node.start()


def under_a_leader_that_remembers(scene: Scene) -> None:
    """It is told of entries that it has acknowledged, and lacks: it stops, and is accused."""
    leader, node, other = scene.roles()
    scene.roll_back(node)
    scene.start(node)
    end_ms = scene.timeline.now_ms + WAIT_MS
    alarm = AlarmMember(node.member_id, AlarmType.DATA_LOSS)
    while node.is_up or not all(alarm in each.machine.alarms for each in (leader, other)):
        require(scene.timeline.now_ms < end_ms, f"{node} goes on, or there is no alarm for it")
        scene.timeline.run_until(scene.timeline.now_ms + STEP_MS)
    wrong = scene.cluster.wrong_members
    require(wrong == {node.member_id}, f"{wrong} stopped, not {node.member_id}")


def with_the_leader_away(scene: Scene) -> None:
    """It helps to elect one that lags; whoever has all that was acknowledged returns, and stays."""
    leader, node, other = scene.roles()
    others = [each.number for each in (leader, node)]
    scene.cluster.network.block([(n, other.number) for n in others])
    scene.cluster.network.block([(other.number, n) for n in others])
    known = len(scene.cluster.checker.chosen)
    scene.roll_back(node)
    acknowledged = list(scene.cluster.checker.chosen[: leader.machine.committed_index])
    require(len(acknowledged) > known, "nothing was acknowledged meanwhile")
    for client in scene.clients:
        # What they would hear from here on was never promised to anybody.
        scene.cluster.visitors[client.number] = Nobody(client.number)
    leader.is_wanted = False
    leader.crash(power=False)
    scene.cluster.network.heal()
    # From here on the cluster is split in its memory: the checker would only say so.
    scene.cluster.checker.is_off = scene.cluster.effects.is_off = True
    scene.start(node)
    _wait_for_a_leader(scene, node, other)
    scene.start(leader)
    end_ms = scene.timeline.now_ms + WAIT_MS
    while not all(_is_at_peace(each, leader) for each in (node, other)):
        require(scene.timeline.now_ms < end_ms, "a member that contradicts what is committed stays")
        scene.timeline.run_until(scene.timeline.now_ms + STEP_MS)
        require(leader.is_up, "the right one stopped")
    log = leader.core.replica.log
    for entry in acknowledged:
        kept = entry.index < log.first_index or log.term(entry.index) == entry.term
        require(kept, f"{leader} has lost entry {entry.index}, which was acknowledged")


def _is_at_peace(node: Node, right: Node) -> bool:
    """Whether a member has stopped, or holds just what the right one does, and one of all leads."""
    if not (node.is_up and node.runs and right.runs):
        return not node.is_up
    leader = node.cluster.leader()
    last_index = right.core.replica.log.last_index
    agree = node.machine.applied_index == right.machine.applied_index == last_index
    return agree and leader is not None and leader.core.replica.log.last_index == last_index


def _wait_for_a_leader(scene: Scene, *nodes: Node) -> None:
    end_ms = scene.timeline.now_ms + WAIT_MS
    while not any(each.runs and isinstance(each.core.role, Leader) for each in nodes):
        require(scene.timeline.now_ms < end_ms, "they elect nobody")
        scene.timeline.run_until(scene.timeline.now_ms + STEP_MS)


SCENES: Final = (under_a_leader_that_remembers, with_the_leader_away)


class Report(NamedTuple):
    """What came of one seed. `finding` is empty when nothing was wrong."""

    events: int
    finding: str


def run(seed: int) -> Report:
    """Play every scene with this seed, up to the first finding."""
    events = 0
    for play in SCENES:
        timeline = Timeline(seed)
        with small_limits(timeline, Swarm(election_ms=ELECTION_MS)):
            scene = Scene(timeline)
            try:
                play(scene)
            except FindingError as error:
                name = play.__name__.replace("_", " ")
                return Report(events + timeline.events, f"{name}, seed {seed}: {error}")
            finally:
                events += timeline.events
    return Report(events, "")
