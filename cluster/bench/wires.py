"""The generator's connections: one DEALER each, spread evenly over the endpoints.

It moves frames, and sends the few single requests that a run begins with. One thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Self

import zmq

from cluster import wire
from cluster.client.identity import NO_IDENTITY, ClientIdentity
from cluster.client.ways import Ways
from cluster.curve import new_pair
from cluster.errors import LeaseholdError, ProtocolError, UnavailableError, exception_for
from cluster.faults import name_of
from cluster.keyed import seal

DIAL_SECONDS: Final = 2.0

RECONNECT_MS: Final = 10
"""A node that is starting is tried again after 10 to 20 ms. ZeroMQ's own 100 to 200 would be the
larger part of what is measured as the start of a node with little data."""


class Wires:
    """`connections` connections, to the addresses in turn.

    An address is tcp://HOST:PORT, tcp://HOST:PORT#KEY of a node, or https://HOST:PORT.

    With `leader_only` all of them are to the leader. With `credentials`, a name and a password,
    `shown` has what each request must show. `identity` is shown to nodes whose addresses have keys,
    and to those inside TLS. Raises UnavailableError when a node that is needed does not answer
    within `dial_seconds`.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        connections: int,
        *,
        leader_only: bool = False,
        dial_seconds: float = DIAL_SECONDS,
        credentials: tuple[str, str] | None = None,
        identity: ClientIdentity = NO_IDENTITY,
    ) -> None:
        assert addresses, "no endpoint"
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._dial_seconds = dial_seconds
        self._pair = identity.pair
        self._ways = Ways(identity.tls)
        self.sockets: list[zmq.Socket[bytes]] = []
        self.shown: dict[str, str] = {}
        try:
            targets = [self._leader(addresses)] if leader_only else addresses
            for number in range(connections):
                self.sockets.append(self._dial(targets[number % len(targets)]))
            if credentials is not None:
                self._log_in(*credentials)
        except BaseException:
            self.close()
            raise

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send one request on the first connection; its reply, or the exception of its error."""
        return self._ask(self.sockets[0], {**request, **self.shown}, "the first endpoint")

    def _log_in(self, name: str, password: str) -> None:
        try:
            self.shown["token"] = self.ask(op="authenticate", name=name, password=password)["token"]
        except LeaseholdError as error:
            # While authentication is off nothing has to be shown.
            if name_of(error.message) != "AuthNotEnabled":
                raise

    def close(self) -> None:
        """Close every connection."""
        self._context.destroy(linger=0)
        self._ways.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _dial(self, address: str) -> zmq.Socket[bytes]:
        """A connection that has answered once, so that its set-up is not measured."""
        socket = self._context.socket(zmq.DEALER)
        socket.linger = 0
        # No limit on the queue: the load limits the requests under way.
        socket.set_hwm(0)
        socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        socket.setsockopt(zmq.IPV6, 1)
        url, _, key = address.partition("#")
        if key:
            self._pair = self._pair or new_pair()
            seal(socket, key, self._pair)
        socket.connect(self._ways.to(url))
        self._ask(socket, {"op": "status"}, address)
        return socket

    def _leader(self, addresses: Sequence[str]) -> str:
        for address in addresses:
            socket = self._dial(address)
            status = self._ask(socket, {"op": "status"}, address)
            socket.close()
            if status["leader"] == status["header"]["member_id"]:
                return address
        raise UnavailableError("no endpoint is the leader")

    def _ask(
        self, socket: zmq.Socket[bytes], request: dict[str, Any], where: str
    ) -> dict[str, Any]:
        socket.send(wire.pack(request))
        if not socket.poll(int(self._dial_seconds * 1000)):
            reason = self._ways.reason(where)
            because = f": {reason}" if reason else ""
            raise UnavailableError(
                f"no answer from {where} within {self._dial_seconds:g} s{because}"
            )
        reply = decoded(socket.recv())
        if "error" in reply:
            raise exception_for(reply["error"]["code"], reply["error"]["message"])
        return reply


def send_all(socket: zmq.Socket[bytes], requests: list[bytes]) -> None:
    """Send packed requests on one connection, in batches."""
    for frame in wire.batches(requests):
        socket.send(frame, zmq.NOBLOCK)


def decoded(frame: bytes) -> dict[str, Any]:
    """A reply as a map; ProtocolError when it is not one."""
    try:
        reply = wire.unpack(frame)
    except wire.WireError as error:
        raise ProtocolError(f"unexpected reply ({error})") from None
    if not isinstance(reply, dict):
        raise ProtocolError("unexpected reply; is a Leasehold node there?")
    return reply
