"""The requests of a launcher to its nodes, over their client ports: status, probe writes, orders.

The answer to `status` says who leads. A probe write changes nothing, and shows whether the cluster
acknowledges writes. An order changes the members or the leader. Refuses to know processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import zmq

from cluster.curve import KeyPair, new_pair
from cluster.faults import FAULTS, NOT_CAUGHT_UP
from cluster.keyed import seal
from cluster.wire import WireError, pack, unpack

RECONNECT_MS: Final = 10
RECONNECT_MS_MAX: Final = 100
QUEUE_MESSAGES: Final = 256

NO_KEY: Final = b"\x00leasehold launcher probe"
"""A key that nobody uses: to delete it goes through the log like any write, and changes nothing."""


REFUSED_TO_NOBODY: Final = FAULTS["UserEmpty"].message
"""How a probe write ends where requests are checked: at its own place in the log, which all members
that matter have therefore acknowledged."""


class NodeStatus(NamedTuple):
    """A node's answer to `status`; `leader` is a member id, 0 when it knows none."""

    member_id: int
    leader: int
    term: int
    revision: int
    applied_index: int
    is_learner: bool = False
    has_caught_up: bool = True

    @property
    def leads(self) -> bool:
        """Whether this node says that it leads itself."""
        return self.leader == self.member_id


def leader_among(statuses: Mapping[str, NodeStatus]) -> str | None:
    """The node that says it leads, in the highest term; None if none says so."""
    leading = [(status.term, name) for name, status in statuses.items() if status.leads]
    return max(leading)[1] if leading else None


class WriteAnswered(NamedTuple):
    """The answer to a probe write: `number` is the one that `ask_write` returned."""

    number: int
    acknowledged: bool


class OrderAnswered(NamedTuple):
    """The answer to an order: an error's text, or an empty text and the whole reply."""

    number: int
    error: str
    reply: dict[Any, Any]


Answer = NodeStatus | WriteAnswered | OrderAnswered


class ProbeLink:
    """A DEALER to one node, at a ZeroMQ address. It belongs to the thread that made it.

    The address may name the key of the node (`tcp://HOST:PORT#KEY`). Then it comes under its own
    pair, or as nobody that anybody knows. `shown` is added to each order, to say who gives it.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], address: str, pair: KeyPair | None = None
    ) -> None:
        self._context = context
        self._pair = pair
        self._last_number = 0
        self._orders: set[int] = set()
        self.shown: Mapping[str, str] = {}
        self.address = address
        self.socket = self._connected()

    def _connected(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        socket.linger = 0
        socket.setsockopt(zmq.IPV6, 1)
        # A request to a node that is not connected is refused here, instead of queued.
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.SNDHWM, QUEUE_MESSAGES)
        socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MS_MAX)
        where, _, key = self.address.partition("#")
        if key:
            seal(socket, key, self._pair or new_pair())
        socket.connect(where)
        return socket

    def follow(self, address: str) -> None:
        """The node has this address from now on: what it was asked at another is not answered."""
        if address != self.address:
            self.socket.close()
            self.address = address
            self.socket = self._connected()

    def ask_status(self) -> bool:
        """Ask for the status, without waiting; whether the request could be sent."""
        return self._ask({"op": "status"}) > 0

    def ask_write(self) -> int:
        """Ask for a probe write, without waiting; its number, 0 if it could not be sent."""
        return self._ask({"op": "delete_range", "key": NO_KEY})

    def give_order(self, request: dict[str, Any]) -> int:
        """Send an order, without waiting; its number, 0 if it could not be sent."""
        number = self._ask({**request, **self.shown})
        self._orders.add(number)
        return number

    def answers(self) -> list[Answer]:
        """The answers that have arrived, in order."""
        found: list[Answer] = []
        while True:
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return found
            try:
                answer = self._read(unpack(frames[-1]))
            except WireError:
                continue  # another program listens on this port
            if answer is not None:
                found.append(answer)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def _ask(self, request: dict[str, Any]) -> int:
        self._last_number += 1
        try:
            # A DEALER's payload is a frame of its own: PROTOCOL.md needs no delimiter.
            self.socket.send(pack({**request, "id": self._last_number}), zmq.NOBLOCK)
        except zmq.Again:
            return 0
        return self._last_number

    def _read(self, reply: Any) -> Answer | None:
        if not isinstance(reply, dict) or not isinstance(number := reply.get("id"), int):
            return None
        if number not in self._orders:
            return _read(number, reply)
        self._orders.discard(number)
        error = reply.get("error") or {"message": ""}
        return OrderAnswered(number, error["message"], reply)


def _read(number: int, reply: dict[Any, Any]) -> NodeStatus | WriteAnswered | None:
    """The answer to a probe write or a status, told apart by their fields.

    An error without a header counts as an unacknowledged write, also if it answers a status.
    """
    header = reply.get("header")
    if not isinstance(header, dict):
        error = reply.get("error")
        if not isinstance(error, dict):
            return None
        return WriteAnswered(number, acknowledged=error.get("message") == REFUSED_TO_NOBODY)
    if "deleted" in reply:
        return WriteAnswered(number, acknowledged=True)
    if "raftTerm" not in reply:
        return None
    return NodeStatus(
        member_id=header["member_id"],
        leader=reply["leader"],
        term=reply["raftTerm"],
        revision=header["revision"],
        applied_index=reply["raftAppliedIndex"],
        is_learner=reply.get("isLearner", False),
        has_caught_up=NOT_CAUGHT_UP not in reply["errors"],
    )
