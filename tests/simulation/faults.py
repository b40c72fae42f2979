"""Faults: what is done to a running cluster, and when, as the run's swarm has it."""

from __future__ import annotations

from collections.abc import Callable

from actors.raft.leader import Leader
from actors.raft.roles import Candidate
from tests.simulation.cluster import Cluster
from tests.simulation.node import Node

EFFECTS_UNTIL_CRASH_MAX = 12
TARGET_EVERY_MS = 3


class Faults:
    """Injects faults until told to stop."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._timeline = cluster.timeline
        self._stopped = False
        self._aimed_at: tuple[int, int] = (0, 0)
        self._schedule()
        swarm = cluster.swarm
        if swarm.crash_after_vote or swarm.crash_new_leader:
            self._aim()

    def stop(self) -> None:
        """No more faults."""
        self._stopped = True

    def _schedule(self) -> None:
        delay_ms = 1 + self._timeline.chance(2 * self._cluster.swarm.faults_every_ms)
        self._timeline.after(delay_ms, "fault", self._strike)

    def _strike(self) -> None:
        if self._stopped:
            return
        swarm = self._cluster.swarm
        kinds: list[tuple[float, Callable[[], None]]] = [
            (swarm.crash, self._crash_one),
            (swarm.crash_all, self._crash_all),
            (swarm.partition, self._part),
            (swarm.stall, self._stall),
        ]
        for probability, strike in kinds:
            if self._timeline.happens(probability):
                strike()
        self._schedule()

    # --- crashes ---

    def _crash_one(self) -> None:
        node = self._victim()
        if node.is_up:
            self._crash(node, 1 + self._timeline.chance(EFFECTS_UNTIL_CRASH_MAX))

    def _crash_all(self) -> None:
        for node in self._cluster.nodes.values():
            if node.is_up:
                self._crash(node, 0)

    def _crash(self, node: Node, in_effects: int) -> None:
        """Crash now, or just before one of the next effects."""
        if in_effects:
            node.crash_in_effects = in_effects
        else:
            node.crash()

    def _aim(self) -> None:
        """Strike where it hurts: at whoever has just asked for votes, or has just won."""
        if self._stopped:
            return
        swarm = self._cluster.swarm
        for node in self._cluster.nodes.values():
            if not node.is_up or node.crash_in_effects is not None:
                continue
            core = node.core
            here = (node.member_id, core.term)
            if here == self._aimed_at:
                continue
            if isinstance(core.role, Leader) and core.replica.commit < core.role.start_index:
                self._aimed_at = here
                if self._timeline.happens(swarm.crash_new_leader):
                    self._crash(node, 1 + self._timeline.chance(6))
            elif isinstance(core.role, Candidate) and not core.role.pre:
                self._aimed_at = here
                if self._timeline.happens(swarm.crash_after_vote):
                    self._crash(self._any_node(), 0 if self._timeline.happens(0.5) else 1)
        self._timeline.after(TARGET_EVERY_MS, "aim", self._aim)

    # --- the network and the clock ---

    def _part(self) -> None:
        """One of several kinds of partitions, for a while."""
        network, chance = self._cluster.network, self._timeline.chance
        if network.blocked:
            return
        members = list(self._cluster.members)
        self._timeline.random.shuffle(members)
        members.sort(key=self._victim().member_id.__ne__)
        cut = 1 + chance(len(members) - 1)
        match chance(6):
            case 0 | 1 | 2:
                network.part(members[:1], members[1:])
            case 3:
                network.part(members[:cut], members[cut:])
            case 4:
                network.part(members[:1], members[1:], both_ways=False)
            case _:  # a bridge: one member hears both sides, which do not hear each other
                side = 1 + max(1, cut - 1)
                network.part(members[1:side], members[side:])
        self._cluster.checker.counts["partitions"] += 1
        if self._cluster.swarm.peers_down_hints:
            self._cluster.hint(tuple(network.blocked))
        heal_ms = 20 + chance(6 * self._cluster.swarm.election_ms)
        self._timeline.after(heal_ms, "heal", network.heal)

    def _stall(self) -> None:
        """A node is stopped for a while (SIGSTOP), and its clock goes on."""
        node = self._victim()
        if node.is_up:
            node.stall(20 + self._timeline.chance(4 * self._cluster.swarm.election_ms))
            self._cluster.checker.counts["stalls"] += 1

    def _victim(self) -> Node:
        """Often the leader: that is where it hurts."""
        nodes = self._cluster.nodes.values()
        leaders = [node for node in nodes if node.is_up and isinstance(node.core.role, Leader)]
        if leaders and self._timeline.happens(0.8):
            return leaders[0]
        return self._any_node()

    def _any_node(self) -> Node:
        return self._cluster.nodes[1 + self._timeline.chance(len(self._cluster.nodes))]
