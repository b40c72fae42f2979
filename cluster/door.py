"""The socket that clients connect to: requests come in by it, and answers and events go out.

It takes a message apart frame by frame, has the rest of one that is far too long dropped, and knows
of each connection what waits there. It has no idea what is in a request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import zmq

from cluster.links import (
    HANDSHAKE_MS,
    LISTEN_BACKLOG,
    ZAP_DOMAIN,
    bind,
    descriptor_of,
)
from cluster.sink import Sink
from cluster.visitors import LOOK_MS, ClosedForCause, Gone, Visitors

CLIENT_FRAME_OVERHEAD_BYTES: Final = 512 * 1024
"""A frame may be so much larger than a request: to be told what is wrong. Above it, libzmq closes
the connection."""

CLIENT_REQUESTS_MAX: Final = 0
"""No limit on the messages that wait to be taken, only on their bytes (cluster.visitors): libzmq
ends the process when a connection that it has stopped to read breaks and a heartbeat is due."""

CLIENT_REPLIES_MAX: Final = 1_000
"""The messages that may wait in the socket for one client,"""

UNREAD_CONNECTION_BYTES_MAX: Final = 4 * 1024 * 1024
"""and so many bytes, and one frame more, for it."""

LARGE_FRAME_BYTES: Final = 16 * 1024
"""Frames from this size on are sent without a copy."""

CLIENT_LINGER_MS: Final = 200
"""How long a closing node still sends its last replies (the context's term waits for it)."""

CLIENT_HEARTBEAT_MS: Final = 5_000
CLIENT_HEARTBEAT_TIMEOUT_MS: Final = 15_000

MESSAGE_FRAMES_MAX: Final = 64
"""A message of more frames ends the connection; a request has two, and some with proxies."""

TOO_MANY_FRAMES: Final = f"closed a connection: a message of more than {MESSAGE_FRAMES_MAX} frames"
AUTOMATIC_NAME: Final = "closed a connection that claimed an automatic ZMQ_ROUTING_ID"

_NOWAIT: Final = zmq.NOBLOCK
_NOWAIT_MORE: Final = zmq.NOBLOCK | zmq.SNDMORE

_NAME_BYTES: Final = 5
_NAMES: Final = 2**32
"""An automatic name is a zero byte and a number of four bytes."""

_SHORT_FRAME_BYTES: Final = 255
_HEAD_BYTES, _LONG_HEAD_BYTES = 2, 9
"""ZMTP's head of a frame of up to 255 bytes, and of a longer one."""

Route = tuple[bytes, ...]


class ClientDoor:
    """The ROUTER that clients connect to; an item is (route back, payload).

    `endpoint` is the last URL it listens on, as bound: with the port that a port 0 became.
    `clock` is in milliseconds.
    """

    look_ms: int | None = LOOK_MS

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        urls: tuple[str, ...],
        clock: Callable[[], int],
        request_bytes_max: int,
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
        # Whatever is right to send beside one frame fits into a second overhead.
        self.visitors.expect_messages(request_bytes_max + 2 * CLIENT_FRAME_OVERHEAD_BYTES)
        self._sink = Sink(context, socket)
        bind(socket, urls)
        self._socket = socket
        self._unsure = True  # a descriptor tells of nothing before it was once found empty
        self.endpoint = socket.get_string(zmq.LAST_ENDPOINT)

    def descriptors(self) -> list[int]:
        """The socket's, and that of what is told of its connections."""
        return [descriptor_of(self._socket), self.visitors.descriptor]

    def must_drain(self) -> bool:
        """Whether something may have arrived that the descriptor no longer tells of."""
        return self._unsure

    def look(self) -> list[ClosedForCause | Gone]:
        """Every `look_ms`: what became of connections; the worst of them are ended."""
        self._unsure = True  # what is not whole is told from the rest when nothing whole is left
        return self.visitors.look()

    def unread(self, bytes_max: int) -> int:
        """Bytes in the socket for clients that have not read them; exact above `bytes_max`."""
        return self.visitors.unread(bytes_max)

    # --- in ---

    def drain(self, items_max: int) -> list[tuple[Route, bytes]]:
        """Up to `items_max` requests that have arrived, without waiting."""
        items: list[tuple[Route, bytes]] = []
        self._unsure = True
        self.visitors.follow()
        # Frame by frame: recv_multipart costs four times as much.
        receive, option, find = self._socket.recv, self._socket.getsockopt, self.visitors.find
        try:
            while len(items) < items_max:
                name = receive(_NOWAIT)
                # A message arrives whole: no waiting after its first frame.
                payload = receive() if find(name) is not None else self._first_of(name)
                if payload is None:
                    continue
                route: Route = (name,)
                if option(zmq.RCVMORE):
                    several = self._several(name, payload)
                    if several is None:
                        continue
                    route, payload = several
                visitor = find(route[0])
                if visitor is not None:
                    visitor.taken += _wire_bytes(route, payload)
                    if visitor.ended:
                        continue
                items.append((route, payload))
        except zmq.Again:
            self._unsure = False
            self.visitors.found_empty()
        return items

    def _first_of(self, name: bytes) -> bytes | None:
        """The frame behind the name of a connection that nothing has come from before."""
        payload, descriptor = self._frame_from()
        if descriptor is None:
            return None
        visitor = self.visitors.meet(name, descriptor)
        if visitor is not None and name[:1] == b"\0" and not self._was_given(name):
            self.visitors.hang_up(visitor, AUTOMATIC_NAME)
        return payload

    def _was_given(self, name: bytes) -> bool:
        """Whether libzmq has given this name: it counts, and ends the process when it comes to one
        that a client has claimed."""
        given = (int.from_bytes(name[1:], "big") - self._sink.first_name) % _NAMES
        return len(name) == _NAME_BYTES and 1 <= given <= self.visitors.handshakes

    def _several(self, name: bytes, first: bytes) -> tuple[Route, bytes] | None:
        """A message that goes on behind its first frame, or the next, if this one has far too many
        frames; None: it is not known whose that is."""
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
        """End who sends so many frames, and drop what is left of them; the name and the first frame
        of the next message. That name is lost: it is told by the descriptor, if that is certain."""
        visitor = self.visitors.find(name)
        if visitor is not None:
            self.visitors.hang_up(visitor, TOO_MANY_FRAMES)
        self.visitors.besiege()
        while True:
            self._sink.drop()
            first, descriptor = self._frame_from()
            if descriptor is None:
                return None
            name = self.visitors.name_at(descriptor)
            if name:
                return name, first
            if not self._socket.getsockopt(zmq.RCVMORE):
                return None

    def _frame_from(self) -> tuple[bytes, int | None]:
        """The next frame, and the descriptor that it came by; None: it is the sink's."""
        frame = self._socket.recv(copy=False)
        payload: bytes = frame.bytes
        try:
            return payload, int(frame.get(zmq.SRCFD))
        except (zmq.ZMQError, ValueError):
            self._sink.returned()
            return payload, None

    # --- out ---

    def send(self, route: Route, payload: bytes) -> bool | None:
        """Send without waiting: True when queued, False when its queue is full, None when gone."""
        visitor = self.visitors.find(route[0])
        if visitor is not None and visitor.unread > UNREAD_CONNECTION_BYTES_MAX:
            visitor.look()
            if visitor.unread > UNREAD_CONNECTION_BYTES_MAX:
                return False
        send = self._socket.send
        self._unsure = True  # sending may take note of an arrival in the descriptor's place
        try:
            # Only the first frame can fail. Frame by frame, because send_multipart costs thrice.
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
            visitor.given += _wire_bytes(route, payload)
        return True

    def close(self) -> None:
        """Close the socket; replies not on the wire after CLIENT_LINGER_MS are lost."""
        self._sink.close()
        self.visitors.close(self._socket)
        self._socket.close(linger=CLIENT_LINGER_MS)


def _wire_bytes(route: Route, payload: bytes) -> int:
    """What a message takes on the wire; the connection's name is not sent."""
    size = len(payload)
    size += _HEAD_BYTES if size <= _SHORT_FRAME_BYTES else _LONG_HEAD_BYTES
    for frame in route[1:]:
        size += _HEAD_BYTES + len(frame)
    return size
