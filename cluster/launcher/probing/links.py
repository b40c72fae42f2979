"""Links: the probe client's sockets, one DEALER and its monitor for each node.

It owns what is under way where, and which nodes are connected. It refuses to know what requests
are for: `Asked` says that to the client.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import zmq

from cluster.curve import KeyPair, new_pair
from cluster.keyed import seal
from cluster.wire import WireError, pack, unpack

RECONNECT_MS: Final = 10
RECONNECT_MS_MAX: Final = 100
QUEUE_MESSAGES: Final = 4_096

MONITORED: Final = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
EVENT_BYTES: Final = 2
"""The first frame of a monitor's message begins with the number of the event, 16 bits."""

_NOWAIT: Final = zmq.NOBLOCK


class Asked(NamedTuple):
    """A request under way. `purpose` and `number` mean something to the client only."""

    id: int
    purpose: str
    number: int
    node: str
    began: float


class ProbeAnswered(NamedTuple):
    """The reply to a request; None: its connection broke, or it was given up."""

    asked: Asked
    reply: dict[str, Any] | None


class Told(NamedTuple):
    """What a node tells without being asked: a watch's news; None: the connection broke."""

    node: str
    news: dict[str, Any] | None


class _Link:
    """The two sockets to one node."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        name: str,
        address: str,
        poller: zmq.Poller,
        pair: KeyPair | None,
    ) -> None:
        self.name = name
        self.address = address
        self.socket = context.socket(zmq.DEALER)
        self.socket.linger = 0
        # A request to a node that is not connected is refused here, instead of queued.
        self.socket.setsockopt(zmq.IMMEDIATE, 1)
        self.socket.setsockopt(zmq.SNDHWM, QUEUE_MESSAGES)
        self.socket.setsockopt(zmq.RCVHWM, 0)
        self.socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        self.socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MS_MAX)
        self.monitor = self.socket.get_monitor_socket(MONITORED)
        self._poller = poller
        poller.register(self.socket, zmq.POLLIN)
        poller.register(self.monitor, zmq.POLLIN)
        where, _, key = address.partition("#")
        if key:
            seal(self.socket, key, pair or new_pair())
        self.socket.connect(f"tcp://{where}")
        self.is_up = False

    def close(self) -> None:
        self._poller.unregister(self.socket)
        self._poller.unregister(self.monitor)
        # Stop the monitor before its reader closes: else libzmq waits to report the end.
        self.socket.disable_monitor()
        self.socket.close()
        self.monitor.close(linger=0)


class ProbeLinks:
    """The connections to all nodes. It belongs to the thread that made it.

    The pair is for nodes whose addresses name their keys (HOST:PORT#KEY).
    """

    def __init__(self, poller: zmq.Poller, pair: KeyPair | None = None) -> None:
        self._pair = pair
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._poller = poller
        self._links: dict[str, _Link] = {}
        self._turn: list[str] = []
        self._asked: dict[int, Asked] = {}
        self._last_id = 0

    @property
    def last_id(self) -> int:
        """The id of the newest request."""
        return self._last_id

    @property
    def count(self) -> int:
        """The number of requests under way."""
        return len(self._asked)

    def oldest(self) -> Asked | None:
        """The request that is under way for the longest time."""
        return next(iter(self._asked.values()), None)

    def up(self) -> list[str]:
        """The nodes that are connected."""
        return [name for name, link in self._links.items() if link.is_up]

    def follow(self, nodes: Mapping[str, str]) -> list[ProbeAnswered]:
        """These are the nodes, by name, and their addresses, HOST:PORT or HOST:PORT#KEY; what ends
        by that."""
        ended: list[ProbeAnswered] = []
        for name, link in list(self._links.items()):
            if nodes.get(name) != link.address:
                del self._links[name]
                link.close()
                ended += self._broken(name)
        for name in nodes.keys() - self._links.keys():
            self._links[name] = _Link(self._context, name, nodes[name], self._poller, self._pair)
        self._turn = list(nodes)
        return ended

    def ask_next(
        self, purpose: str, number: int, request: dict[str, Any], now: float
    ) -> Asked | None:
        """Send a request to the node whose turn it is, of those that are connected."""
        for _ in range(len(self._turn)):
            self._turn.append(self._turn.pop(0))
            asked = self.ask(self._turn[-1], purpose, number, request, now)
            if asked is not None:
                return asked
        return None

    def ask(
        self, node: str, purpose: str, number: int, request: dict[str, Any], now: float
    ) -> Asked | None:
        """Send a request to this node; None: it cannot be reached just now."""
        link = self._links.get(node)
        if link is None or not link.is_up:
            return None
        self._last_id += 1
        try:
            link.socket.send(pack({**request, "id": self._last_id}), _NOWAIT)
        except zmq.Again:
            return None
        asked = Asked(self._last_id, purpose, number, node, now)
        self._asked[asked.id] = asked
        return asked

    def give_up(self, before: float) -> list[ProbeAnswered]:
        """End the requests that were sent before this time."""
        ended = []
        while (asked := self.oldest()) is not None and asked.began < before:
            del self._asked[asked.id]
            ended.append(ProbeAnswered(asked, None))
        return ended

    def take(self) -> Iterator[ProbeAnswered | Told]:
        """What has arrived: first the replies, then what ends because connections broke."""
        for link in list(self._links.values()):
            yield from self._replies(link)
        for link in list(self._links.values()):
            while link.monitor.poll(0):
                event = int.from_bytes(
                    link.monitor.recv_multipart()[0][:EVENT_BYTES], sys.byteorder
                )
                if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                    # The socket takes note of a connection only now and then; reading its events
                    # makes it do so now, and a send is possible.
                    link.socket.getsockopt(zmq.EVENTS)
                    link.is_up = True
                else:
                    link.is_up = False
                    yield from self._replies(link)
                    yield from self._broken(link.name)
                    yield Told(link.name, None)

    def close(self) -> None:
        """Close all sockets; what is still queued is lost."""
        for link in self._links.values():
            link.close()
        self._links.clear()
        self._context.destroy(linger=0)

    def _replies(self, link: _Link) -> Iterator[ProbeAnswered | Told]:
        while True:
            try:
                reply = unpack(link.socket.recv(_NOWAIT))
            except zmq.Again:
                return
            except WireError:
                continue  # another program listens there
            if not isinstance(reply, dict):
                continue
            asked = self._asked.pop(reply.get("id", 0), None)
            if asked is not None:
                yield ProbeAnswered(asked, reply)
            elif "id" not in reply:
                yield Told(link.name, reply)

    def _broken(self, node: str) -> list[ProbeAnswered]:
        lost = [asked for asked in self._asked.values() if asked.node == node]
        for asked in lost:
            del self._asked[asked.id]
        return [ProbeAnswered(asked, None) for asked in lost]
