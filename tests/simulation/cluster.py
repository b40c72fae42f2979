"""The simulated cluster: hosts, clients and the network between them, composed for one run."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from actors.language.members import Peer
from actors.language.messages import Connection
from actors.raft.leader import Leader
from actors.raft.membership import Membership, first_membership
from actors.raft.outcome import Contradicted
from cluster.visitors import Gone
from cluster.wire import frames_in
from tests.simulation.checks import Checker
from tests.simulation.effects import Effects, Replay
from tests.simulation.history import History
from tests.simulation.network import Network
from tests.simulation.node import Node
from tests.simulation.saved import require
from tests.simulation.streams import EVERYTHING, Wishes, draw_wishes
from tests.simulation.swarm import Swarm
from tests.simulation.timeline import Chance, Timeline
from tests.store.driver import everything

_IDENTITY = struct.Struct(">HHH")
"""As a ROUTER names a client that did not choose its name: five bytes, the first one zero."""

HINT_MS = 4
"""A broken connection is noticed within so long."""

HOSTS_MAX = 7


class Visitor(Protocol):
    """Somebody outside who talks to nodes."""

    number: int

    def reply(self, node: int, payload: bytes) -> None:
        """A frame has come from some node."""

    def node_up(self, node: int) -> None:
        """A connection to a node is there."""

    def node_down(self, node: int) -> None:
        """The connection to a node broke."""


class Cluster:
    """Everything of one run but who visits it."""

    def __init__(self, timeline: Timeline, swarm: Swarm) -> None:
        self.timeline = timeline
        self.swarm = swarm
        self.first_size = swarm.nodes
        # By how much clocks may have been ahead, all together.
        self.clocks_ahead_ms = 0
        self.counts: Counter[str] = Counter()
        founders = tuple(Peer(n, (f"tcp://h{n}:2380",)) for n in range(1, swarm.nodes + 1))
        self.first = first_membership(founders)
        self.checker = Checker(self.first, self.counts)
        self.effects = Effects(self.counts)
        self.history = History(self.counts)
        self.network = Network(timeline, swarm)
        self.nodes = {number: Node(self, number) for number in range(1, HOSTS_MAX + 1)}
        self.visitors: dict[int, Visitor] = {}
        # Members whose disk is gone or damaged: they must never come back as who they were.
        self.lost_members: set[int] = set()
        # Whose disk was put back to an earlier state, and who found out that it is wrong.
        self.rolled_back: set[int] = set()
        self.wrong_members: set[int] = set()
        self.on_moment: Callable[[str, Node], None] = lambda name, node: None
        self._by_url = {node.url: node for node in self.nodes.values()}
        # The last process of a node that a visitor knows is gone.
        self._known_dead: dict[tuple[int, int], int] = {}
        # How many connections of a visitor to a node have broken.
        self._serials: Counter[tuple[int, int]] = Counter()
        self._replay = Replay(swarm)
        self._chance = timeline.stream("cluster")
        self.session_ids = timeline.stream("session ids").random.getrandbits

    def wishes(self, chance: Chance) -> Wishes:
        """What a watcher wants to see: everything, where the whole data model is not used."""
        return draw_wishes(chance) if self.swarm.breadth else EVERYTHING

    def begin(self) -> None:
        """Start the first members."""
        for peer in self.first.peers:
            self.nodes[peer.id].found(peer.id, self.first)

    def calm(self) -> None:
        """From now on nothing goes wrong any more."""
        self.swarm = self.network.swarm = self.swarm.calm()
        self.network.heal()
        for node in self.nodes.values():
            node.trap = None
            node.fails = ""
            node.disk.is_full = False
            node.slow_until_ms = 0

    # --- who is there ---

    @property
    def members(self) -> Membership:
        """The members as the last committed entry has them."""
        chosen = self.checker.chosen
        place = (chosen[-1].index, chosen[-1].term) if chosen else (0, 0)
        return self.checker.lineage.membership(place)

    def leader(self) -> Node | None:
        """The leader of the highest term, if there is one that runs."""
        leaders = [
            node for node in self.nodes.values() if node.runs and isinstance(node.core.role, Leader)
        ]
        return max(leaders, key=lambda node: node.core.term, default=None)

    def host_of(self, url: str) -> Node:
        """Who is reached at a URL."""
        return self._by_url[url]

    def running(self) -> list[Node]:
        """The nodes whose actors run."""
        return [node for node in self.nodes.values() if node.runs]

    # --- frames ---

    def send(self, source: Node, url: str, frame: bytes) -> None:
        """A member sends to another."""
        node = self._by_url.get(url)
        if node is None:
            self.counts["frames to nowhere"] += 1
            return
        self.network.send(source.number, node.number, frame, source.true_ms, node.take_peer_frame)

    def request(self, client: int, number: int, frame: bytes) -> None:
        """A client sends to a node; it gets there if the node is still the same process."""
        node = self.nodes[number]
        if not node.runs:
            return
        incarnation = node.incarnation
        place = client, number
        serial = self._serials[place]
        connection = (_IDENTITY.pack(serial, client, incarnation),)

        def arrive() -> None:
            if node.runs and node.incarnation == incarnation and serial == self._serials[place]:
                node.take_client_frame(connection, frame)

        self.network.stream("ask", client, number, self.timeline.now_ms, arrive, frame)

    def reply(self, node: Node, connection: Connection, frame: bytes) -> None:
        """A node sends to a client."""
        serial, client, _ = _IDENTITY.unpack(connection[0])
        visitor = self.visitors[client]
        incarnation = node.incarnation
        place = client, node.number

        def arrive() -> None:
            # What a process said before it died may still arrive, but not once it is known dead.
            if self._known_dead.get(place, 0) < incarnation and serial == self._serials[place]:
                for each in frames_in(frame):
                    visitor.reply(node.number, each)
                if self._chance.happens(self.swarm.hang_ups):
                    self._hang_up(visitor, node, connection)

        self.network.stream("answer", client, node.number, node.true_ms, arrive, frame)

    def _hang_up(self, visitor: Visitor, node: Node, connection: Connection) -> None:
        """A connection breaks, perhaps between two frames that belong together; another follows."""
        self.counts["connections broken"] += 1
        self._serials[visitor.number, node.number] += 1
        node.broken_connections.append(Gone(connection[0]))
        visitor.node_down(node.number)
        again = partial(self._up, visitor, node, node.incarnation)
        delay_ms = 1 + self._chance(HINT_MS)
        self.timeline.after(delay_ms, f"up {visitor.number} {node.number}", again)

    # --- what becomes of nodes ---

    def serving(self, node: Node) -> None:
        """A node's process serves clients now."""
        for visitor in self.visitors.values():
            delay_ms = 1 + self._chance(HINT_MS)
            what = f"up {visitor.number} {node.number}"
            self.timeline.after(delay_ms, what, partial(self._up, visitor, node, node.incarnation))

    def _up(self, visitor: Visitor, node: Node, incarnation: int) -> None:
        if node.runs and node.incarnation == incarnation:
            visitor.node_up(node.number)

    def _down(self, visitor: Visitor, node: Node, incarnation: int) -> None:
        self._known_dead[visitor.number, node.number] = incarnation
        visitor.node_down(node.number)

    def crashed(self, node: Node) -> None:
        """A node's process is gone: whoever was connected to it notices; later it comes back."""
        self.counts["ends of processes"] += 1
        if node.is_wanted and not node.refusal and not node.is_removed:
            self._come_back(node)
        for visitor in self.visitors.values():
            delay_ms = 1 + self._chance(HINT_MS)
            what = f"lost {visitor.number} {node.number}"
            self.timeline.after(
                delay_ms, what, partial(self._down, visitor, node, node.incarnation)
            )
        if self.swarm.hints:
            others = (other.number for other in self.nodes.values() if other is not node)
            self.hint((other, node.number) for other in others)

    def _come_back(self, node: Node) -> None:
        swarm, chance = self.swarm, self._chance
        outage_ms = 5 + chance(30 if chance.happens(0.5) else swarm.outage_ms)
        if chance.happens(swarm.long_outage):
            outage_ms += 500 + chance(700)
        incarnation = node.incarnation

        def restart() -> None:
            sound = node.is_wanted and not node.refusal and not node.is_removed
            if sound and not node.is_up and node.incarnation == incarnation:
                node.start()

        self.timeline.after(outage_ms, f"restart {node.number}", restart)

    def contradicted(self, node: Node, ending: Contradicted) -> None:
        """A node has found its own log to be wrong: only where a disk was rolled back."""
        require(bool(self.rolled_back), f"{node} was contradicted: {ending}")
        self.counts["members that were contradicted"] += 1
        self.wrong_members.add(node.member_id)
        node.is_wanted = False

    def hint(self, broken: Iterable[tuple[int, int]]) -> None:
        """Nodes notice, each a little later, that their connection to another one broke."""
        for number, gone in sorted(broken):
            node = self.nodes[number]
            if node.runs:
                notice = partial(node.notice_down, self.nodes[gone].url)
                delay_ms = 1 + self._chance(HINT_MS)
                self.timeline.after(delay_ms, f"hint {number} {gone}", notice)

    def moment(self, name: str, node: Node) -> None:
        """A node is at a place where a crash would be interesting."""
        self.on_moment(name, node)

    def installed(self, node: Node) -> None:
        """A node's store came out of a snapshot: it is what the log makes of it."""
        expected = self._replay.at(node.machine.applied_index, self.checker.chosen)
        if expected is not None:
            found = everything(node.machine)
            wrong = [name for name, value in expected.items() if found[name] != value]
            require(not wrong, f"{node} installed a snapshot with other {', '.join(wrong)}")
            self.counts["snapshots compared"] += 1
