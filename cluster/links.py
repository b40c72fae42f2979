"""The server side's ZeroMQ sockets: where clients come in, and the links between members.

Every option that bounds memory or time is set here and nowhere else. The classes move frames; they
have no idea what is in them. A socket belongs to the thread that made it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

import zmq

CLIENT_FRAME_BYTES_MAX: Final = 16 * 1024 * 1024
"""A larger frame makes libzmq close the client's connection; the request limit is far below."""

CLIENT_REQUESTS_MAX: Final = 20_000
CLIENT_REPLIES_MAX: Final = 1_000
"""So many frames may wait in the socket for a client: small ones, and of large ones"""

UNSENT_BYTES_MAX: Final = 4 * 1024 * 1024
"""so many bytes, and one frame more."""

LARGE_FRAME_BYTES: Final = 16 * 1024
"""Frames from this size on are sent without a copy, and libzmq says when it is done with them."""

PEER_FRAME_BYTES_MAX: Final = 64 * 1024 * 1024
PEER_QUEUE_MESSAGES: Final = 4_096
PEER_RECONNECT_MS: Final = 20
PEER_RECONNECT_MS_MAX: Final = 200
HANDSHAKE_MS: Final = 2_000
CLIENT_LINGER_MS: Final = 200
"""How long a closing node still sends its last replies (the context's term waits for it)."""

CLIENT_HEARTBEAT_MS: Final = 5_000
CLIENT_HEARTBEAT_TIMEOUT_MS: Final = 15_000
LISTEN_BACKLOG: Final = 1_024

ROUTES_LOOKED_THROUGH: Final = 256

MONITORED: Final = zmq.EVENT_DISCONNECTED

_NOWAIT: Final = zmq.NOBLOCK
_NOWAIT_MORE: Final = zmq.NOBLOCK | zmq.SNDMORE

Route = tuple[bytes, ...]


class _Large(NamedTuple):
    """A large frame, which libzmq has not done with unless `sent` says so."""

    sent: zmq.MessageTracker
    size: int


class _Unsent:
    """The large frames that wait in the socket for one client."""

    def __init__(self) -> None:
        self._frames: deque[_Large] = deque()
        self._size = 0

    def add(self, sent: zmq.MessageTracker, size: int) -> None:
        self._frames.append(_Large(sent, size))
        self._size += size

    def bytes(self) -> int:
        """How much it is by now; the frames leave in order."""
        while self._frames and self._frames[0].sent.done:
            self._size -= self._frames.popleft().size
        return self._size


class ClientDoor:
    """The ROUTER that clients connect to; an item is (route back, payload).

    `endpoint` is the last URL it listens on, as bound: with the port that a port 0 became.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], urls: tuple[str, ...]) -> None:
        socket = context.socket(zmq.ROUTER)
        socket.linger = 0
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.setsockopt(zmq.MAXMSGSIZE, CLIENT_FRAME_BYTES_MAX)
        socket.setsockopt(zmq.SNDHWM, CLIENT_REPLIES_MAX)
        socket.setsockopt(zmq.RCVHWM, CLIENT_REQUESTS_MAX)
        socket.copy_threshold = LARGE_FRAME_BYTES
        socket.setsockopt(zmq.BACKLOG, LISTEN_BACKLOG)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        socket.setsockopt(zmq.HEARTBEAT_IVL, CLIENT_HEARTBEAT_MS)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, CLIENT_HEARTBEAT_TIMEOUT_MS)
        _bind(socket, urls)
        self._socket = socket
        self._unsure = True  # a descriptor tells of nothing before it was once found empty
        self._unsent: dict[Route, _Unsent] = {}
        self._look_through_at = ROUTES_LOOKED_THROUGH
        self.endpoint = socket.get_string(zmq.LAST_ENDPOINT)

    def descriptors(self) -> list[int]:
        """The one socket's."""
        return [_descriptor(self._socket)]

    def must_drain(self) -> bool:
        """Whether something may have arrived that the descriptor no longer tells of."""
        return self._unsure

    def drain(self, items_max: int) -> list[tuple[Route, bytes]]:
        """Up to `items_max` requests that have arrived, without waiting."""
        items: list[tuple[Route, bytes]] = []
        self._unsure = True
        # Frame by frame: recv_multipart costs four times as much.
        receive, option = self._socket.recv, self._socket.getsockopt
        try:
            while len(items) < items_max:
                route: Route = (receive(_NOWAIT),)
                payload = receive()  # a message arrives whole: no waiting after its first frame
                while option(zmq.RCVMORE):
                    route = (*route, payload)
                    payload = receive()
                items.append((route, payload))
        except zmq.Again:
            self._unsure = False
        return items

    def send(self, route: Route, payload: bytes) -> bool | None:
        """Send without waiting: True when queued, False when its queue is full, None when gone."""
        if len(payload) >= LARGE_FRAME_BYTES:
            return self._send_large(route, payload)
        send = self._socket.send
        self._unsure = True  # sending may take note of an arrival in the descriptor's place
        try:
            # Only the first frame can fail. Frame by frame, because send_multipart costs thrice.
            for frame in route:
                send(frame, _NOWAIT_MORE)
            send(payload, _NOWAIT)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                return None
            raise
        return True

    def _send_large(self, route: Route, payload: bytes) -> bool | None:
        unsent = self._unsent.get(route)
        if unsent is None:
            unsent = self._unsent[route] = _Unsent()
            self._look_through()
        if unsent.bytes() > UNSENT_BYTES_MAX:
            return False
        send = self._socket.send
        self._unsure = True
        try:
            for frame in route:
                send(frame, _NOWAIT_MORE)
            sent = send(payload, _NOWAIT, copy=False, track=True)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                del self._unsent[route]
                return None
            raise
        unsent.add(sent, len(payload))
        return True

    def _look_through(self) -> None:
        """Now and then, forget the routes with nothing unsent: they may never be used again."""
        if len(self._unsent) > self._look_through_at:
            self._unsent = {route: each for route, each in self._unsent.items() if each.bytes()}
            self._look_through_at = 2 * len(self._unsent) + ROUTES_LOOKED_THROUGH

    def close(self) -> None:
        """Close the socket; replies not on the wire after CLIENT_LINGER_MS are lost."""
        self._socket.close(linger=CLIENT_LINGER_MS)


class PeerDoor:
    """The PULL socket that the other members send to; an item is one frame."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], urls: tuple[str, ...]) -> None:
        socket = context.socket(zmq.PULL)
        socket.linger = 0
        socket.setsockopt(zmq.MAXMSGSIZE, PEER_FRAME_BYTES_MAX)
        socket.setsockopt(zmq.RCVHWM, PEER_QUEUE_MESSAGES)
        socket.setsockopt(zmq.BACKLOG, LISTEN_BACKLOG)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        _bind(socket, urls)
        self._socket = socket
        self._unsure = True  # a descriptor tells of nothing before it was once found empty

    def descriptors(self) -> list[int]:
        """The one socket's."""
        return [_descriptor(self._socket)]

    def must_drain(self) -> bool:
        """Whether something may have arrived that the descriptor no longer tells of."""
        return self._unsure

    def wait(self, timeout_ms: int) -> None:
        """Sleep until a frame arrives, for a caller that has no mailbox."""
        self._socket.poll(timeout_ms)

    def drain(self, items_max: int) -> list[bytes]:
        """Up to `items_max` frames that have arrived, without waiting."""
        items: list[bytes] = []
        self._unsure = True
        receive, option = self._socket.recv, self._socket.getsockopt
        try:
            while len(items) < items_max:
                frame = receive(_NOWAIT)
                while option(zmq.RCVMORE):
                    frame += receive()
                items.append(frame)
        except zmq.Again:
            self._unsure = False
        return items

    def close(self) -> None:
        """Close the socket; frames not yet taken are lost, as on a broken network."""
        self._socket.close()


class PeerLinks:
    """One PUSH link to each other member; an item is the id of a member whose connection broke.

    Nothing is promised: a frame for a member that is away or slow is dropped, and Raft sends again.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._context = context
        self._on_change = on_change
        self._urls: dict[int, str] = {}
        self._unsure = False
        self._links: dict[int, zmq.Socket[bytes]] = {}
        self._monitors: dict[int, zmq.Socket[bytes]] = {}

    def update(self, urls: dict[int, str]) -> None:
        """Be connected to exactly these members; `on_change` is told if the sockets change."""
        if urls == self._urls:
            return
        for member_id in [m for m, url in self._urls.items() if urls.get(m) != url]:
            self._disconnect(member_id)
        for member_id in urls.keys() - self._links.keys():
            self._connect(member_id, urls[member_id])
        self._urls = dict(urls)
        self._on_change()

    def _connect(self, member_id: int, url: str) -> None:
        """Open the link to a member. Its monitor reports when the connection breaks."""
        socket = self._context.socket(zmq.PUSH)
        socket.linger = 0
        # Without IMMEDIATE, frames would queue for a dead member and reach its next incarnation.
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.SNDHWM, PEER_QUEUE_MESSAGES)
        socket.setsockopt(zmq.RECONNECT_IVL, PEER_RECONNECT_MS)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, PEER_RECONNECT_MS_MAX)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        monitor = self._monitors[member_id] = socket.get_monitor_socket(MONITORED)
        # Its descriptor tells of a first report only after somebody has looked in vain.
        _take_all(monitor)
        socket.connect(url)
        self._links[member_id] = socket
        self._unsure = True

    def _disconnect(self, member_id: int) -> None:
        socket = self._links.pop(member_id)
        socket.disable_monitor()
        self._monitors.pop(member_id).close(linger=0)
        socket.close()

    def descriptors(self) -> list[int]:
        """The monitors'."""
        return [_descriptor(monitor) for monitor in self._monitors.values()]

    def must_drain(self) -> bool:
        """Once after connecting: a monitor's descriptor tells of nothing before it was found empty.

        From then on the monitors are only received from, and always until they are empty.
        """
        return self._unsure

    def drain(self, items_max: int) -> list[int]:
        """The members whose connections broke since the last call."""
        self._unsure = False
        return [member_id for member_id, monitor in self._monitors.items() if _take_all(monitor)]

    def send(self, member_id: int, frame: bytes) -> bool:
        """Send without waiting; False when the frame was dropped, or the member is not known."""
        link = self._links.get(member_id)
        if link is None:
            return False
        try:
            link.send(frame, _NOWAIT)
        except zmq.Again:
            return False
        return True

    def close(self) -> None:
        """Close every link and its monitor."""
        for member_id in list(self._links):
            self._disconnect(member_id)


def _bind(socket: zmq.Socket[bytes], urls: tuple[str, ...]) -> None:
    for url in urls:
        try:
            socket.bind(url)
        except zmq.ZMQError as error:
            socket.close()
            raise OSError(error.errno, f"cannot listen on {url}: {error.strerror}") from None


def _descriptor(socket: zmq.Socket[bytes]) -> int:
    return int(socket.getsockopt(zmq.FD))


def _take_all(monitor: zmq.Socket[bytes]) -> bool:
    """Take every report of a monitor; whether there was any. They all say the same."""
    reported = False
    try:
        while True:
            monitor.recv_multipart(_NOWAIT)
            reported = True
    except zmq.Again:
        return reported
