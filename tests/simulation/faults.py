"""What is done to a running cluster: `Nemesis` chooses, `Hands` carries it out, act by act.

Every act is kept, so that a run can be played again without the chance that chose it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from actors.raft.leader import Leader
from actors.raft.roles import Candidate
from tests.simulation.cluster import Cluster
from tests.simulation.node import Node, Trap
from tests.simulation.rival import Rival
from tests.simulation.script import Act, act
from tests.simulation.swarm import FAULTS
from tests.simulation.upkeep import Operator

EFFECTS_UNTIL_CRASH_MAX = 12
TARGET_EVERY_MS = 3
EARLY_LOSSES = 3
EARLY_ELECTIONS = 6
AMBUSH_EFFECTS = 60
UNSAID = ("at_new_term", "at_proof")
"""Moments of which the next effect is the last: nothing of what follows is said."""

AIMED = ("at_vote", "at_victory", "at_change", "at_joint")
"""The moments that are looked for so often; nodes tell of the others."""

KINDS = ("any", "any", "write", "sync", "rename", "remove", "create", "commit", "send", "reply")
SNAPSHOT_KINDS = ("write", "sync", "rename", "remove", "create", "install", "send")
START_KINDS = ("write", "sync", "resize", "any")
"""What a node does with the log that it finds: most of it is the repair of a torn end."""

KINDS_AT = {
    "at_new_term": ("any",),
    "at_snapshot": SNAPSHOT_KINDS,
    "at_start": START_KINDS,
    "at_proof": ("send",),
}


class Hands:
    """Does what acts say."""

    def __init__(self, cluster: Cluster, operator: Operator, rival: Rival) -> None:
        self._cluster = cluster
        self._timeline = cluster.timeline
        self._operator = operator
        self._rival = rival
        self.done: list[Act] = []
        self._blocked = 0

    def do(self, each: Act) -> None:
        """Carry out an act now, if it still makes sense."""
        self.done.append(each)
        self._cluster.counts[f"act: {each.kind}"] += 1
        name, words = each.kind, each.words
        if name in ("block", "clog", "heal", "hint"):
            self._on_network(name, [int(word) for word in words])
        elif name in ("change", "transfer"):
            self._operator.order(name, words)
        elif name == "hurry":
            self._rival.hurry(int(words[0]))
        else:
            node = self._cluster.nodes[int(words[0])]
            self._on_node(name, node, words[1:])

    def _on_network(self, name: str, numbers: list[int]) -> None:
        network = self._cluster.network
        ways = list(zip(numbers[1::2], numbers[2::2], strict=False))
        match name:
            case "block":
                network.block(ways)
                self._blocked += 1
                self._timeline.after(numbers[0], "heal", partial(self._heal, self._blocked))
            case "clog":
                for way in ways:
                    network.clog(way, self._timeline.now_ms + numbers[0])
            case "heal":
                network.heal()
            case _:
                self._cluster.hint(ways)

    def _on_node(self, name: str, node: Node, words: tuple[str, ...]) -> None:
        now_ms = self._timeline.now_ms
        match name, words:
            case "crash", [power] if node.is_up:
                node.crash(power == "power")
            case "trap", [kind, count, power] if node.is_up:
                node.trap = Trap(kind, int(count), power == "power")
            case "stall", [ms]:
                node.stall(int(ms))
            case "stop", [] if node.runs:
                node.stop()
            case "slow", [each_ms, ms]:
                node.slow_ms, node.slow_until_ms = int(each_ms), now_ms + int(ms)
            case "fail", [kind]:
                node.fails = kind
            case "full", [ms]:
                node.disk.is_full = True
                self._timeline.after(int(ms), "room", partial(self._make_room, node))
            case "jump", [ms]:
                node.jump(int(ms))
                self._cluster.clocks_ahead_ms += int(ms)
            case "flip", [place, bit]:
                self._flip(node, int(place), int(bit))
            case "forget", [] if node.member_id:
                self._operator.forget(node)
            case "wipe", []:
                self._operator.lose(node)
            case _:
                pass  # it was up, or down, when this was chosen

    def _heal(self, number: int) -> None:
        if number == self._blocked:
            self._cluster.network.heal()

    def _make_room(self, node: Node) -> None:
        node.disk.is_full = False

    def _flip(self, node: Node, place: int, bit: int) -> None:
        """Damage one of the files of a node that is down, or now goes down."""
        if node.is_up:
            node.crash(power=True)
        paths = node.disk.paths()
        if paths:
            path = paths[place % len(paths)]
            size = node.disk.size(path)
            used = len(bytes(node.disk.content(path)).rstrip(b"\0"))
            # Mostly where something stands.
            node.disk.flip(path, place % max(1, min(size, used + 64)), bit)
            node.is_damaged = True


class Nemesis:
    """Injects faults until told to stop."""

    def __init__(self, cluster: Cluster, hands: Hands, operator: Operator) -> None:
        self._cluster = cluster
        self._timeline = cluster.timeline
        self._hands = hands
        self._operator = operator
        self._chance = cluster.timeline.stream("nemesis")
        self._stopped = False
        self._aimed_at = (0, 0, False)
        weights = cluster.swarm._asdict()
        self._weights = [(name, float(weights[name])) for name in FAULTS if weights[name] > 0]
        cluster.on_moment = self._moment
        self._schedule()
        if cluster.swarm.forget:
            # Before their names are published, too.
            self._timeline.after(1 + self._chance(cluster.swarm.election_ms), "cut", self._cut_off)
            for _ in range(EARLY_LOSSES):
                early_ms = self._chance(EARLY_ELECTIONS * cluster.swarm.election_ms)
                self._timeline.after(early_ms, "forget", self._forget)
        if any(getattr(cluster.swarm, moment) for moment in AIMED):
            self._aim()

    def stop(self) -> None:
        """No more faults."""
        self._stopped = True

    def _do(self, kind: str, *words: object) -> None:
        self._hands.do(act(self._timeline.now_ms, kind, *words))

    def _schedule(self) -> None:
        delay_ms = 1 + self._chance(2 * self._cluster.swarm.faults_every_ms)
        self._timeline.after(delay_ms, "fault", self._strike)

    def _strike(self) -> None:
        if self._stopped:
            return
        if self._weights:
            total = sum(weight for _, weight in self._weights)
            at = self._chance.random.random() * total
            for name, weight in self._weights:
                at -= weight
                if at < 0:
                    strike: Callable[[], None] = getattr(self, f"_{name}")
                    strike()
                    break
        self._schedule()

    # --- processes and clocks ---

    def _power(self) -> str:
        return "power" if self._chance.happens(self._cluster.swarm.power_cuts) else "kill"

    def _crash(self) -> None:
        node = self._victim()
        count = 1 + self._chance(EFFECTS_UNTIL_CRASH_MAX)
        self._do("trap", node.number, self._chance.of(KINDS), count, self._power())

    def _crash_all(self) -> None:
        power = self._power()
        for node in self._cluster.nodes.values():
            if node.is_up:
                self._do("crash", node.number, power)

    def _stall(self) -> None:
        node = self._victim()
        self._do("stall", node.number, 20 + self._chance(4 * self._cluster.swarm.election_ms))

    def _stop(self) -> None:
        self._do("stop", self._victim().number)

    def _clock_jump(self) -> None:
        self._do("jump", self._victim().number, 1 + self._chance(300))

    # --- disks ---

    def _slow_disk(self) -> None:
        each_ms = 1 + self._chance(self._cluster.swarm.election_ms)
        self._do("slow", self._victim().number, each_ms, 20 + self._chance(400))

    def _failing_disk(self) -> None:
        kind = self._chance.of(("sync", "sync", "write", "create", "rename"))
        self._do("fail", self._victim().number, kind)

    def _full_disk(self) -> None:
        self._do("full", self._victim().number, 50 + self._chance(600))

    def _bit_flip(self) -> None:
        node = self._any_node()
        if self._operator.may_lose(node):
            place = self._chance.random.getrandbits(24)
            self._do("flip", node.number, place, self._chance(8))

    def _wipe(self) -> None:
        node = self._any_node()
        if self._operator.may_lose(node):
            self._do("wipe", node.number)

    def _forget(self) -> None:
        """Empty the disk of a member that is started again as if nothing had happened."""
        leader = self._cluster.leader()
        nodes = [node for node in self._cluster.running() if not node.is_unproven]
        self._chance.random.shuffle(nodes)
        # Mostly not the leader: what it has forgotten then somebody counts on.
        nodes.sort(key=lambda node: node is leader and self._chance.happens(0.7))
        node = next((each for each in nodes if self._operator.may_lose(each)), None)
        if self._stopped or node is None:
            return
        others = [each for each in nodes if each not in (node, leader)]
        if others and leader not in (None, node) and self._chance.happens(0.7):
            self._ambush(node, others[0])
        else:
            self._do("forget", node.number)

    def _cut_off(self) -> None:
        """Let a founder miss the first election, so that it knows of nothing."""
        if not self._stopped and self._chance.happens(0.5):
            self._isolate(self._any_node(), EARLY_ELECTIONS * self._cluster.swarm.election_ms)

    def _isolate(self, node: Node, hold_ms: int) -> None:
        hosts = [each.number for each in self._cluster.nodes.values() if each is not node]
        ways = [way for each in hosts for way in ((node.number, each), (each, node.number))]
        self._do("block", hold_ms, *[number for way in ways for number in way])

    def _ambush(self, node: Node, lagging: Node) -> None:
        """Have writes acknowledged by one member and not by another; then empty that one's disk."""
        hold_ms = 20 + self._chance(2 * self._cluster.swarm.election_ms)
        self._isolate(lagging, 2 * hold_ms)

        def strike() -> None:
            leader = self._cluster.leader()
            if self._stopped or node.is_unproven or not self._operator.may_lose(node):
                return
            self._do("forget", node.number)
            self._do("heal")
            if leader is None or leader is node:
                return
            # The one that lags is heard by all but the leader: it goes on lagging.
            one, other = leader.number, lagging.number
            self._do("block", 6 * hold_ms, one, other, other, one)
            match self._chance(3):
                case 0:
                    self._do("crash", leader.number, self._power())
                case 1:  # about when it has answered what that member asks
                    effects = 1 + self._chance(AMBUSH_EFFECTS)
                    self._do("trap", leader.number, "any", effects, self._power())

        self._timeline.after(hold_ms, "ambush", strike)

    # --- the network ---

    def _partition(self) -> None:
        """One of several kinds of partitions, for a while."""
        chance = self._chance
        if self._cluster.network.blocked:
            if chance(2):
                return
            # At one blow: whoever was cut off is back, and whoever leads now is gone.
            self._do("heal")
        hosts = [node.number for node in self._cluster.nodes.values() if node.is_up]
        if len(hosts) < 2:
            return
        chance.random.shuffle(hosts)
        hosts.sort(key=self._victim().number.__ne__)
        cut = 1 + chance(len(hosts) - 1)
        one, other = hosts[:1], hosts[1:]
        both_ways = True
        match chance(6):
            case 0 | 1 | 2:
                pass
            case 3:
                one, other = hosts[:cut], hosts[cut:]
            case 4:
                both_ways = False
            case _:  # a bridge: one member hears both sides, which do not hear each other
                side = 1 + max(1, cut - 1)
                one, other = hosts[1:side], hosts[side:]
        ways = [(a, b) for a in one for b in other]
        if both_ways:
            ways += [(b, a) for a, b in ways]
        elif chance(2):
            ways = [(b, a) for a, b in ways]
        numbers = [number for way in ways for number in way]
        self._do("block", 20 + chance(6 * self._cluster.swarm.election_ms), *numbers)
        if self._cluster.swarm.hints:
            self._do("hint", 0, *numbers)

    def _clog(self) -> None:
        hosts = [node.number for node in self._cluster.nodes.values() if node.is_up]
        if len(hosts) > 1:
            one, other = self._chance.random.sample(hosts, 2)
            clog_ms = 10 + self._chance(4 * self._cluster.swarm.election_ms)
            self._do("clog", clog_ms, one, other)

    # --- operators ---

    def _transfer(self) -> None:
        self._do("transfer", self._chance.random.getrandbits(16))

    def _change(self) -> None:
        kind = self._chance.of(
            ("learner", "learner", "promote", "promote", "voter", "remove", "remove", "leader")
        )
        if self._chance(5) == 0:
            kind = "replace"
        self._do("change", kind, self._chance.random.getrandbits(16))

    # --- moments ---

    def _moment(self, name: str, node: Node) -> None:
        """A node is at a place where a crash would be interesting."""
        if self._stopped or node.trap is not None:
            return
        if self._chance.happens(getattr(self._cluster.swarm, name)):
            kind = self._chance.of(KINDS_AT[name])
            if name == "at_start" and self._chance(3) == 0:
                self._do("fail", node.number, kind)
                return
            count = 2 if name in UNSAID else 1 + self._chance(2)
            self._do("trap", node.number, kind, count, self._power())

    def _aim(self) -> None:
        """Strike where it hurts: at whoever has just asked for votes, won, or begun a change."""
        if self._stopped:
            return
        swarm = self._cluster.swarm
        for node in self._cluster.running():
            core = node.core
            here = (node.number, core.term, core.roster.latest.is_joint)
            if node.trap is not None or here == self._aimed_at:
                continue
            if isinstance(core.role, Leader):
                if core.replica.commit < core.role.start_index:
                    self._aimed_at = here
                    if self._chance.happens(swarm.at_victory):
                        count = 1 + self._chance(6)
                        self._do("trap", node.number, "any", count, self._power())
                elif core.roster.latest.is_joint:
                    self._aimed_at = here
                    if self._chance.happens(swarm.at_joint):
                        self._do("hurry", 10 + self._chance(40))
                    if self._chance.happens(swarm.at_change):
                        count = 1 + self._chance(6)
                        self._cluster.counts["crashes of a leader in a joint membership"] += 1
                        self._do("trap", node.number, "any", count, self._power())
            elif isinstance(core.role, Candidate) and not core.role.pre:
                self._aimed_at = here
                if self._chance.happens(swarm.at_vote):
                    self._do("trap", self._any_node().number, "any", 1, self._power())
        self._timeline.after(TARGET_EVERY_MS, "aim", self._aim)

    def _victim(self) -> Node:
        """Often the leader: that is where it hurts."""
        leader = self._cluster.leader()
        if leader is not None and self._chance.happens(0.6):
            return leader
        return self._any_node()

    def _any_node(self) -> Node:
        nodes = [node for node in self._cluster.nodes.values() if node.is_up]
        return self._chance.of(nodes or [self._cluster.nodes[1]])
