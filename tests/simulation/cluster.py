"""The simulated cluster: nodes, clients and the network between them, composed for one run."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import partial

from actors.messages import Connection
from tests.simulation.checks import Checker
from tests.simulation.clients import Client, Flood, Watcher
from tests.simulation.history import History
from tests.simulation.network import Network
from tests.simulation.node import Node
from tests.simulation.swarm import Swarm
from tests.simulation.timeline import Timeline

_IDENTITY = struct.Struct(">BHH")
"""As a ROUTER names a client that did not choose its name: five bytes, the first one zero."""

HINT_MS = 4
"""A broken connection is noticed within so long."""


class Cluster:
    """Everything of one run. Clients are numbered from 100 on."""

    def __init__(self, timeline: Timeline, swarm: Swarm) -> None:
        self.timeline = timeline
        self.swarm = swarm
        self.members = tuple(range(1, swarm.nodes + 1))
        self.checker = Checker(self.members)
        self.history = History(self.checker.counts)
        self.network = Network(timeline, swarm)
        self.nodes = {member: Node(self, member) for member in self.members}
        self.clients = [Client(self, 100 + n) for n in range(swarm.clients)]
        self.watchers = [Watcher(self, 200 + n) for n in range(swarm.watchers)]
        self.floods = [Flood(self, 300)] if swarm.flood_every_ms else []
        self._by_number: dict[int, Client | Watcher | Flood] = {}
        self._by_number.update({each.number: each for each in self.clients})
        self._by_number.update({each.number: each for each in self.watchers})
        self._by_number.update({each.number: each for each in self.floods})
        for node in self.nodes.values():
            node.start()

    def calm(self) -> None:
        """From now on nothing goes wrong any more."""
        self.swarm = self.network.swarm = self.swarm.calm()
        self.network.heal()
        for node in self.nodes.values():
            node.crash_in_effects = None
            if not node.is_up:
                node.start()

    def close(self) -> None:
        """Give back what the actors' mailboxes hold."""
        for node in self.nodes.values():
            for actor in node.actors or ():
                actor.mailbox.close()

    # --- frames ---

    def send(self, source: Node, target: int, frame: bytes) -> None:
        """A member sends to another."""
        node = self.nodes[target]
        self.network.send(source.member_id, target, frame, source.true_ms, node.take_peer_frame)

    def request(self, client: int, member: int, frame: bytes) -> None:
        """A client sends to a node; it gets there if the node is still the same process."""
        node = self.nodes[member]
        if not node.is_up:
            self.timeline.after(HINT_MS, f"refused {client}", lambda: self._down(client, member))
            return
        incarnation = node.incarnation
        connection = (_IDENTITY.pack(0, client, incarnation),)

        def arrive() -> None:
            if node.is_up and node.incarnation == incarnation:
                node.take_client_frame(connection, frame)

        self.network.stream("ask", client, member, self.timeline.now_ms, arrive, frame)

    def reply(self, node: Node, connection: Connection, frame: bytes) -> None:
        """A node sends to a client."""
        _, client, _ = _IDENTITY.unpack(connection[0])
        to = self._by_number[client]
        self.network.stream(
            "answer", client, node.member_id, node.true_ms, lambda: to.reply(frame), frame
        )

    def crashed(self, node: Node) -> None:
        """A node's process is gone: whoever was connected to it notices; later it comes back."""
        self.checker.counts["crashes"] += 1
        gone = node.member_id
        short = self.timeline.happens(0.5)
        outage_ms = 5 + self.timeline.chance(30 if short else self.swarm.outage_ms)
        self.timeline.after(outage_ms, f"restart {gone}", lambda: self._restart(node))
        for number in self._by_number:
            delay_ms = 1 + self.timeline.chance(HINT_MS)
            self.timeline.after(delay_ms, f"lost {number}", partial(self._down, number, gone))
        if self.swarm.peers_down_hints:
            self.hint((other, gone) for other in self.members if other != gone)

    def hint(self, broken: Iterable[tuple[int, int]]) -> None:
        """Members notice, each a little later, that their connection to another one broke."""
        for member, gone in sorted(broken):
            notice = partial(self.nodes[member].notice_down, gone)
            delay_ms = 1 + self.timeline.chance(HINT_MS)
            self.timeline.after(delay_ms, f"hint {member} {gone}", notice)

    def _restart(self, node: Node) -> None:
        if not node.is_up:
            node.start()

    def _down(self, client: int, member: int) -> None:
        self._by_number[client].node_down(member)
