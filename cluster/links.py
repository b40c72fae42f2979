"""The server side's ZeroMQ sockets: where clients come in, and the links between members.

Every option that bounds memory or time is set here and nowhere else. The classes move frames; they
have no idea what is in them. A socket belongs to the thread that made it.
"""

from __future__ import annotations

from typing import Final

import zmq

CLIENT_FRAME_BYTES_MAX: Final = 16 * 1024 * 1024
"""A larger frame makes libzmq close the client's connection; the request limit is far below."""

CLIENT_QUEUE_MESSAGES: Final = 20_000
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

MONITORED: Final = zmq.EVENT_DISCONNECTED

_NOWAIT: Final = zmq.NOBLOCK
_NOWAIT_MORE: Final = zmq.NOBLOCK | zmq.SNDMORE

Route = tuple[bytes, ...]


class ClientDoor:
    """The ROUTER that clients connect to; an item is (route back, payload).

    `endpoint` is the last URL it listens on, as bound: with the port that a port 0 became.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], urls: tuple[str, ...]) -> None:
        socket = context.socket(zmq.ROUTER)
        socket.linger = 0
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.setsockopt(zmq.MAXMSGSIZE, CLIENT_FRAME_BYTES_MAX)
        socket.setsockopt(zmq.SNDHWM, CLIENT_QUEUE_MESSAGES)
        socket.setsockopt(zmq.RCVHWM, CLIENT_QUEUE_MESSAGES)
        socket.setsockopt(zmq.BACKLOG, LISTEN_BACKLOG)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        socket.setsockopt(zmq.HEARTBEAT_IVL, CLIENT_HEARTBEAT_MS)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, CLIENT_HEARTBEAT_TIMEOUT_MS)
        _bind(socket, urls)
        self._socket = socket
        self._unsure = True  # a descriptor tells of nothing before it was once found empty
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

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self._context = context
        self._unsure = False
        self._links: dict[int, zmq.Socket[bytes]] = {}
        self._monitors: dict[int, zmq.Socket[bytes]] = {}

    def connect(self, member_id: int, url: str) -> None:
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
        self._monitors[member_id] = socket.get_monitor_socket(MONITORED)
        socket.connect(url)
        self._links[member_id] = socket
        self._unsure = True

    def descriptors(self) -> list[int]:
        """The monitors'; connect every member first."""
        return [_descriptor(monitor) for monitor in self._monitors.values()]

    def must_drain(self) -> bool:
        """Once after connecting: a monitor's descriptor tells of nothing before it was found empty.

        From then on the monitors are only received from, and always until they are empty.
        """
        return self._unsure

    def drain(self, items_max: int) -> list[int]:
        """The members whose connections broke since the last call."""
        self._unsure = False
        down: list[int] = []
        for member_id, monitor in self._monitors.items():
            if _take_all(monitor):
                down.append(member_id)
        return down

    def send(self, member_id: int, frame: bytes) -> bool:
        """Send without waiting; False when the frame was dropped."""
        try:
            self._links[member_id].send(frame, _NOWAIT)
        except zmq.Again:
            return False
        return True

    def close(self) -> None:
        """Close every link and its monitor."""
        for member_id, socket in self._links.items():
            socket.disable_monitor()
            self._monitors[member_id].close(linger=0)
            socket.close()
        self._links.clear()
        self._monitors.clear()


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
