"""Simulated clients, each with one request under way, and the looks of the nodes that serve them.

As in the shipped loop, a node takes at one look all frames that have come in: those of its clients
and those of the other members. Knows nothing of what is measured meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from actors.language.messages import ClientFrames, Connection, PeerFrames
from actors.runtime.mailbox import FRAMES_PER_LOOK_MAX
from cluster.wire import batches, frames_in, pack, unpack
from tests.simulation.cluster import Cluster
from tests.simulation.node import Node

FIRST_CLIENT: Final = 100
CONNECTIONS_MAX: Final = 100
"""More clients than these share connections, and so batches (cluster.wire.batches)."""

KEYS: Final = 1_000
HOP_MS: Final = 2
"""A client's next request is at its node at most this time after it was answered."""

VALUE: Final = b"x" * 256

REQUESTS: Final[dict[str, Callable[[bytes], dict[str, Any]]]] = {
    "put": lambda key: {"op": "put", "key": key, "value": VALUE},
    "get": lambda key: {"op": "range", "key": key},
    "txn": lambda key: {
        "op": "txn",
        "compare": [{"key": key, "target": "VERSION", "result": "GREATER", "version": -1}],
        "success": [{"request_put": {"key": key, "value": VALUE}}],
    },
}
"""The fields of a request that has this key."""


class Looks:
    """Hands a node what arrives in one millisecond in one turn, as frames of one look.

    With `batches` its clients' connections get batches, as the door sees to.
    """

    def __init__(self, node: Node, batches: bool) -> None:
        self._node = node
        self._batches = batches
        self._from_clients: list[tuple[Connection, bytes]] = []
        self._from_peers: list[bytes] = []
        self._is_due = False
        vars(node)["take_client_frame"] = self._of_client
        vars(node)["take_peer_frame"] = self._of_peer

    def _of_client(self, connection: Connection, frame: bytes) -> None:
        self._from_clients += [(connection, each) for each in frames_in(frame)]
        self._look_soon()

    def _of_peer(self, frame: bytes) -> None:
        self._from_peers.append(frame)
        self._look_soon()

    def _look_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            # After all that arrives in this millisecond.
            self._node.cluster.timeline.after(0, f"look {self._node.number}", self._look)

    def _look(self) -> None:
        self._is_due = False
        actors = self._node.actors
        assert actors is not None, "the cluster is calm: no node ends"
        if self._from_peers:
            actors.raft.mailbox.tell(PeerFrames(tuple(self._from_peers)))
            self._from_peers.clear()
        if self._batches:
            door = actors.gateway._door
            assert door is not None and isinstance(door.batching, set)
            door.batching.update(connection for connection, _ in self._from_clients)
        while self._from_clients:
            frames = self._from_clients[:FRAMES_PER_LOOK_MAX]
            del self._from_clients[:FRAMES_PER_LOOK_MAX]
            actors.gateway.mailbox.tell(ClientFrames(tuple(frames)))
        self._node.run()


class Company:
    """Clients that ask again as soon as they are answered; they are spread over the nodes."""

    def __init__(self, cluster: Cluster, operation: str, clients: int, nodes: list[Node]) -> None:
        self.number = FIRST_CLIENT
        self.answered = 0
        self._cluster = cluster
        self._fields_of = REQUESTS[operation]
        connections = min(clients, CONNECTIONS_MAX)
        # The connection of each client, and the node that it leads to.
        self._place_of = {
            number: (FIRST_CLIENT + number % connections, nodes[number % connections % len(nodes)])
            for number in range(clients)
        }
        self._waiting: dict[int, list[int]] = {}
        self._delay = cluster.timeline.stream("company")
        self._key = cluster.timeline.stream("keys")
        cluster.visitors.update(dict.fromkeys((one for one, _ in self._place_of.values()), self))

    def begin(self) -> None:
        """Every client sends its first request."""
        for client in self._place_of:
            self._ask_soon(client)

    def _ask_soon(self, client: int) -> None:
        """Ask together with those of the same connection that are to ask soon."""
        connection, _ = self._place_of[client]
        waiting = self._waiting.setdefault(connection, [])
        waiting.append(client)
        if len(waiting) == 1:
            delay_ms = self._delay(HOP_MS)
            self._cluster.timeline.after(delay_ms, f"c{connection}", partial(self._ask, connection))

    def _ask(self, connection: int) -> None:
        clients = self._waiting.pop(connection)
        node = self._place_of[clients[0]][1].number
        for frame in batches([self._request(client) for client in clients]):
            self._cluster.request(connection, node, frame)

    def _request(self, client: int) -> bytes:
        key = b"key-%08d" % self._key(KEYS)
        return pack({"id": client, **self._fields_of(key)})

    def reply(self, node: int, payload: bytes) -> None:
        """One of them has its answer."""
        answer = unpack(payload)
        assert "error" not in answer, answer
        self.answered += 1
        self._ask_soon(answer["id"])

    def node_up(self, node: int) -> None:
        """They know their nodes."""

    def node_down(self, node: int) -> None:
        """None goes down."""
