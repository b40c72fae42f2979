"""The socket that clients connect to: requests come in through it, replies and events go out.

It owns the framing: it takes a message apart frame by frame, and drops the rest of a message that
has too many frames. It also counts the bytes that wait for each connection. It refuses to know what
a request says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import zmq

from cluster.addresses import place_of
from cluster.client_lock import FRONT, ClientLock
from cluster.curve import KeyPair
from cluster.keyed import SEAL_BYTES, KeyedPorts
from cluster.links import (
    ASKED_FIRST,
    HANDSHAKE_MS,
    USER_ID,
    ZAP_DOMAIN,
    bind,
    descriptor_of,
)
from cluster.passages import PassageBook
from cluster.schemes import LISTEN_BACKLOG
from cluster.sink import Sink
from cluster.visitor import Visitor, ask, own_port, wire_bytes
from cluster.visitors import LOOK_MS, NAMES, NO_KEY, ClosedForCause, Gone, Visitors
from cluster.wire import batches, frames_of, is_batch

CLIENT_FRAME_OVERHEAD_BYTES: Final = 512 * 1024
"""A frame may be larger than the largest request by this size, so that a client whose request is
too large gets an answer. libzmq closes the connection of a frame that is larger still."""

CLIENT_REQUESTS_MAX: Final = 0
"""ZeroMQ's 0: no limit on the number of messages that wait to be taken. cluster.visitors limits
their bytes instead. With a limit here, libzmq would stop reading a full connection; if that
connection then breaks while a heartbeat is due, libzmq aborts the process."""

CLIENT_REPLIES_MAX: Final = 1_000
"""The number of messages that may wait in the socket for one client."""

UNREAD_CONNECTION_BYTES_MAX: Final = 4 * 1024 * 1024
"""The bytes that may wait for one client; the frame that crosses this limit is still sent."""

BYTES_PER_LOOK_MAX: Final = 64 * 1024
"""The bytes of requests taken at one look, or one request that is larger. To decode 64 KiB of
transactions takes up to 3 ms, and meanwhile everybody else on the node waits."""

LARGE_FRAME_BYTES: Final = 16 * 1024
"""Frames from this size on are sent without a copy."""

CLIENT_LINGER_MS: Final = 200
"""How long a closing node still sends its last replies; closing the context waits for this."""

CLIENT_HEARTBEAT_MS: Final = 30_000
CLIENT_HEARTBEAT_TIMEOUT_MS: Final = 15_000
"""A client that does not answer a heartbeat within 15 s is gone. To stop one timer, libzmq looks at
all that are due before it: a heartbeat of each of 10,000 clients every 5 s took its thread a whole
core, and it greeted new clients no more."""

MESSAGE_FRAMES_MAX: Final = 64
"""A message of more frames ends its connection. A request has two frames, plus those that proxies
on its way add."""

TOO_MANY_FRAMES: Final = f"closed a connection: a message of more than {MESSAGE_FRAMES_MAX} frames"
ANOTHERS_NAME: Final = "closed a connection that claimed the ZMQ_ROUTING_ID of another key"
AUTOMATIC_NAME: Final = "closed a connection that claimed an automatic ZMQ_ROUTING_ID"

_NOWAIT: Final = zmq.NOBLOCK
_EVENTS: Final = zmq.EVENTS
_INPUT: Final = zmq.POLLIN
_NOWAIT_MORE: Final = zmq.NOBLOCK | zmq.SNDMORE

_NAME_BYTES: Final = 5
"""libzmq names a connection by itself: a zero byte, then a counter of four bytes."""

Route = tuple[bytes, ...]


class ClientDoor:
    """The ROUTER that clients connect to; an item is (route back, payload).

    `endpoint` is the last URL it listens on. Where the port was given as 0, it names the port that
    the system chose. `clock` returns milliseconds. With a `lock`, clients need a key, which a
    gatekeeper of the same context must see to: `keys` has the public key of each connection, by its
    name. `front_port` is where the node's front has no key, but a password; 0: there is none.
    `batching` has the connections that have sent batches: they get some.
    With `passages` the front tells of the clients that it passes on.
    """

    look_ms: int | None = LOOK_MS

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        urls: tuple[str, ...],
        clock: Callable[[], int],
        request_bytes_max: int,
        lock: ClientLock | None = None,
        front_url: str = "",
    ) -> None:
        socket = context.socket(zmq.ROUTER)
        socket.linger = 0
        socket.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.setsockopt(zmq.MAXMSGSIZE, request_bytes_max + CLIENT_FRAME_OVERHEAD_BYTES)
        socket.setsockopt(zmq.SNDHWM, CLIENT_REPLIES_MAX)
        socket.setsockopt(zmq.RCVHWM, CLIENT_REQUESTS_MAX)
        socket.copy_threshold = LARGE_FRAME_BYTES
        socket.setsockopt(zmq.BACKLOG, LISTEN_BACKLOG)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        socket.setsockopt(zmq.HEARTBEAT_IVL, CLIENT_HEARTBEAT_MS)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, CLIENT_HEARTBEAT_TIMEOUT_MS)
        self.visitors = Visitors(context, socket, clock)
        # The other frames of a valid message (its route) fit into a second overhead.
        self.visitors.expect_messages(request_bytes_max + 2 * CLIENT_FRAME_OVERHEAD_BYTES)
        self._sink = Sink(context, socket)
        self._socket = socket
        self.keys: dict[bytes, bytes] = {}
        self.batching: set[Route] = set()
        self.passages: PassageBook | None = None
        # ZeroMQ's descriptor signals only changes: it is silent until the socket was found empty.
        self._unsure = True
        self._lock, self.front_port = lock, 0
        self._ports = None if lock is None else KeyedPorts(urls)
        if lock is None:
            bind(socket, urls)
        else:
            self.visitors.unheard = NO_KEY
            if front_url:
                self._let_front_in(front_url)
            self.serve(lock.pair)
        self.endpoint = socket.get_string(zmq.LAST_ENDPOINT)

    def _let_front_in(self, url: str) -> None:
        """Listen for the front; the options of a socket count for what it binds from then on."""
        self._socket.setsockopt(zmq.PLAIN_SERVER, 1)
        bind(self._socket, (url,))
        self.front_port = int(self._socket.get_string(zmq.LAST_ENDPOINT).rpartition(":")[2])

    def serve(self, pair: KeyPair) -> None:
        """Have this pair from now on; connections of clients under another one end."""
        assert self._lock is not None and self._ports is not None, "a door without a lock"
        self._lock.pair = pair
        self._ports.serve(self._socket, pair)
        self._unsure = True

    @property
    def front_ports(self) -> tuple[int, int]:
        """The ports where the front comes: by itself, and with the bytes of clients."""
        passing_port = int(self.endpoint.rpartition(":")[2])
        return self.front_port or passing_port, passing_port

    def descriptors(self) -> list[int]:
        """Two descriptors to poll: the socket's, and that of the reports on its connections."""
        return [descriptor_of(self._socket), self.visitors.descriptor]

    def must_drain(self) -> bool:
        """Whether a message may have arrived that the descriptor will not signal."""
        return self._unsure

    def look(self) -> list[ClosedForCause | Gone]:
        """Every `look_ms`: end the connections over a limit; which connections have ended."""
        # Incomplete messages are counted only when all whole ones were taken: drain until empty.
        self._unsure = True
        news = self.visitors.look()
        if self.passages is not None:
            self.passages.read()
        for each in news:
            if isinstance(each, Gone):
                self.keys.pop(each.name, None)
                self.batching.discard((each.name,))
        return news

    def address_of(self, name: bytes) -> str:
        """Where a connection comes from, by its name; "" if it is gone.

        Of one that the front passes on, that is where its client is.
        """
        visitor = self.visitors.find(name)
        if visitor is None:
            return ""
        if not visitor.place:
            visitor.place = self._told_place(visitor) or place_of(visitor.peer)
        return visitor.place

    def _told_place(self, visitor: Visitor) -> str:
        # Others than the front may come from a port of which the front has told before.
        if self.passages is None or ask(visitor.descriptor, own_port, 0) not in self.front_ports:
            return ""
        return self.passages.client_at(visitor.peer.port)

    def unread(self, bytes_max: int) -> int:
        """Bytes that wait for clients to read them; counted anew when above `bytes_max`."""
        return self.visitors.unread(bytes_max)

    # --- in ---

    def drain(self, items_max: int) -> list[tuple[Route, bytes]]:
        """Up to `items_max` requests that have arrived, without waiting.

        After BYTES_PER_LOOK_MAX no more are taken: `must_drain` says that there may be some. Those
        of connections that have ended are dropped: nobody would get the answers.
        """
        items: list[tuple[Route, bytes]] = []
        left, taken = BYTES_PER_LOOK_MAX, 0
        self._unsure = True
        self.visitors.follow()
        # Read frame by frame: recv_multipart costs four times as much.
        receive, option, find = self._socket.recv, self._socket.getsockopt, self.visitors.find
        try:
            while taken < items_max and left > 0:
                if taken < ASKED_FIRST and not int(option(_EVENTS)) & _INPUT:
                    self._unsure = False
                    self.visitors.found_empty()
                    break
                taken += 1
                name = receive(_NOWAIT)
                # libzmq hands over whole messages only: its later frames never block. A frame that
                # is not copied knows whether more follow; to ask the socket costs three times that.
                frame = receive(copy=False)
                if find(name) is None and not self._is_met(name, frame):
                    continue
                is_itself = self._lock is None or self._is_itself(name, frame)
                payload: bytes = frame.bytes
                route: Route = (name,)
                if frame.more:
                    several = self._several(name, payload)
                    if several is None:
                        continue
                    route, payload = several
                if not is_itself and route[0] == name:
                    continue
                left -= len(payload)
                visitor = find(route[0])
                if visitor is None:
                    self.visitors.leavings.drop()
                    continue
                visitor.taken += wire_bytes(route, payload, visitor.seal_bytes)
                visitor.frames += len(route)  # the name in it is no frame, but the payload is one
                if visitor.ended:
                    continue
                if is_batch(payload):
                    frames = self._frames_of(route, payload)
                    taken += len(frames) - 1
                    items += [(route, each) for each in frames]
                else:
                    items.append((route, payload))
        except zmq.Again:
            self._unsure = False
            self.visitors.found_empty()
        return items

    def _frames_of(self, route: Route, payload: bytes) -> tuple[bytes, ...]:
        """The requests of a batch. Batches may go to connections that libzmq named itself: another
        client may claim any other name later, and not understand them."""
        frames = frames_of(payload) if len(route) == 1 and route[0][:1] == b"\0" else None
        if frames is None:
            return (payload,)
        self.batching.add(route)
        return frames

    def _is_met(self, name: bytes, frame: zmq.Frame) -> bool:
        """Note a connection whose name is new, by its first frame; False: it is the sink's own."""
        descriptor = self._descriptor_of(frame)
        if descriptor is None:
            return False
        visitor = self.visitors.meet(name, descriptor)
        if visitor is not None and name[:1] == b"\0" and not self._was_given(name):
            self.visitors.hang_up(visitor, AUTOMATIC_NAME)
        return True

    def _is_itself(self, name: bytes, frame: zmq.Frame) -> bool:
        """Note the key of a connection; False for a message under another key than its name's.

        A client may claim the name of another whose connection has just ended. Until that end was
        reported, its requests would count as the other's. Of a connection that has ended nothing is
        noted: nothing would remove it again.
        """
        named = self.visitors.find(name)
        if named is None:
            return False
        user = frame.get(USER_ID)
        key = b"" if user == FRONT else bytes.fromhex(str(user))
        named.seal_bytes = SEAL_BYTES if key else 0
        if self.keys.setdefault(name, key) == key:
            return True
        visitor = self.visitors.at(int(frame.get(zmq.SRCFD)))
        if visitor is not None:
            self.visitors.hang_up(visitor, ANOTHERS_NAME)
        return False

    def _was_given(self, name: bytes) -> bool:
        """Whether libzmq gave this automatic name to a connection.

        A client may claim any name. libzmq aborts the process when its counter reaches a name that
        a client holds, so such a claim must be found out and ended.
        """
        given = (int.from_bytes(name[1:], "big") - self._sink.first_name) % NAMES
        return len(name) == _NAME_BYTES and 1 <= given <= self.visitors.handshakes

    def _several(self, name: bytes, first: bytes) -> tuple[Route, bytes] | None:
        """The route and the payload of a message that has more frames than one.

        A message of too many frames is dropped: then the result is the message after it, or None
        where the sender of that one is not known.
        """
        receive, option = self._socket.recv, self._socket.getsockopt
        frames = [name, first]
        while option(zmq.RCVMORE):
            if len(frames) <= MESSAGE_FRAMES_MAX:
                frames.append(receive())
                continue
            begun = self._leave_out(frames[0])
            if begun is None:
                return None
            frames = [*begun]
        *route, payload = frames
        return tuple(route), payload

    def _leave_out(self, name: bytes) -> tuple[bytes, bytes] | None:
        """End the connection that sent too many frames, and drop the rest of its message.

        Returns the name and the first frame of the message after it. Dropping has consumed that
        name, so the frame's descriptor says which connection sent it; None where that is unsure.
        """
        visitor = self.visitors.find(name)
        if visitor is not None:
            self.visitors.hang_up(visitor, TOO_MANY_FRAMES)
        self.visitors.besiege()
        while True:
            self._sink.drop()
            first = self._socket.recv(copy=False)
            descriptor = self._descriptor_of(first)
            if descriptor is None:
                return None
            name = self.visitors.name_at(descriptor)
            if name:
                return name, first.bytes
            if not self._socket.getsockopt(zmq.RCVMORE):
                return None

    def _descriptor_of(self, frame: zmq.Frame) -> int | None:
        """The descriptor of the connection that sent a frame; None when the sink did."""
        try:
            return int(frame.get(zmq.SRCFD))
        except (zmq.ZMQError, ValueError):
            self._sink.returned()
            return None

    # --- out ---

    def joined(self, frames: list[bytes]) -> list[bytes]:
        """These frames in as few batches as the limits allow."""
        return batches(frames)

    def send(self, route: Route, payload: bytes) -> bool | None:
        """Send without waiting: True when queued, False when the client's queue is full, None when
        the client is gone."""
        visitor = self.visitors.find(route[0])
        if visitor is not None and visitor.unread > UNREAD_CONNECTION_BYTES_MAX:
            visitor.look()
            if visitor.unread > UNREAD_CONNECTION_BYTES_MAX:
                return False
        send = self._socket.send
        # Sending may consume the signal of an arrival, so the descriptor will not show it.
        self._unsure = True
        try:
            # Only the first frame can fail. send_multipart would cost three times as much.
            for frame in route:
                send(frame, _NOWAIT_MORE)
            send(payload, _NOWAIT, copy=len(payload) < LARGE_FRAME_BYTES)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                return None
            raise
        if visitor is not None:
            visitor.given += wire_bytes(route, payload, visitor.seal_bytes)
        return True

    def close(self) -> None:
        """Close the socket. Replies that are not on the wire after CLIENT_LINGER_MS are lost."""
        self._sink.close()
        self.visitors.close(self._socket)
        self._socket.close(linger=CLIENT_LINGER_MS)
        if self._ports is not None:
            self._ports.close()
