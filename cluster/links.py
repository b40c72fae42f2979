"""The sockets between members (PeerDoor, PeerLinks), and what all listening sockets share.

It owns the options of these sockets that limit memory and time. The classes move frames, and refuse
to know what a frame says. A socket belongs to the thread that made it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

import zmq

from cluster.schemes import LISTEN_BACKLOG, zeromq_url
from cluster.visitors import LOOK_MS, Visitors

PEER_FRAME_BYTES_MAX: Final = 64 * 1024 * 1024
PEER_QUEUE_MESSAGES: Final = 4_096
"""The number of messages that may wait to be sent to one member."""

PEER_INCOMING_BYTES_MAX: Final = 256 * 1024 * 1024
"""Bytes that may have arrived from the other members and are not taken, in whole messages or not:
above it, the connection with the most is ended. The number of messages has no limit: if libzmq has
stopped reading a connection and that connection breaks, the next heartbeat aborts the process."""

PEER_RECONNECT_MS: Final = 20
PEER_RECONNECT_MS_MAX: Final = 200
HANDSHAKE_MS: Final = 2_000

SKIPPED_PER_LOOK_MAX: Final = 1_024
"""The frames of one message that are skipped at once; then the mailbox has its turn."""

FRAME_HEAD_BYTES: Final = 9
"""The largest size of ZMTP's header of a frame."""

SEVERAL_FRAMES: Final = "closed a connection: a peer message has one frame"

ZAP_DOMAIN: Final = b"leasehold"
"""A socket with a domain refuses ZMTP 1 and 2. In those, a browser's HTTP request can pass for
messages. There is no ZAP handler, so libzmq admits every client that speaks ZMTP 3."""

MONITORED: Final = zmq.EVENT_DISCONNECTED

log = logging.getLogger("leasehold.links")

_NOWAIT: Final = zmq.NOBLOCK
_EVENTS: Final = zmq.EVENTS
_INPUT: Final = zmq.POLLIN

ASKED_FIRST: Final = 3
"""For this number of messages a drain asks whether there is another: that is cheaper than the
exception which says that there is none. Behind them more are to be expected."""


class PeerFrame(bytes):
    """A frame as it arrived."""

    arrived: zmq.Frame

    @property
    def address(self) -> str:
        """The host that it came from; empty when the system does not tell."""
        return _address_of(self.arrived)


class PeerDoor:
    """The PULL socket that the other members send to; an item is one frame."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], urls: tuple[str, ...]) -> None:
        socket = context.socket(zmq.PULL)
        socket.linger = 0
        socket.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
        socket.setsockopt(zmq.MAXMSGSIZE, PEER_FRAME_BYTES_MAX)
        socket.setsockopt(zmq.RCVHWM, 0)
        socket.setsockopt(zmq.BACKLOG, LISTEN_BACKLOG)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        self.visitors = Visitors(context, socket, _monotonic_ms)
        self.visitors.incoming_connection_bytes_max = PEER_INCOMING_BYTES_MAX
        self.visitors.incoming_node_bytes_max = PEER_INCOMING_BYTES_MAX
        self._look_at_ms = 0
        bind(socket, urls)
        self._socket = socket
        # ZeroMQ's descriptor signals only changes: it is silent until the socket was found empty.
        self._unsure = True
        self._skipping = False

    def descriptors(self) -> list[int]:
        """The socket's descriptor, to poll."""
        return [descriptor_of(self._socket)]

    def must_drain(self) -> bool:
        """Whether something may have arrived that the descriptor no longer tells of."""
        return self._unsure

    def wait(self, timeout_ms: int) -> None:
        """Sleep until a frame arrives, for a caller that has no mailbox."""
        self._socket.poll(timeout_ms)

    def drain(self, items_max: int) -> list[bytes]:
        """Up to `items_max` frames that have arrived, without waiting.

        Members send messages of one frame. A message of several frames counts as one empty frame,
        and its connection is ended.
        """
        items: list[bytes] = []
        self._unsure = True
        self._look()
        receive, option = self._socket.recv, self._socket.getsockopt
        try:
            while len(items) < items_max and not self._is_skipping():
                if len(items) < ASKED_FIRST and not int(option(_EVENTS)) & _INPUT:
                    self._unsure = False
                    break
                # Only a frame received without a copy knows its descriptor and address.
                arrived = receive(_NOWAIT, copy=False)
                self._count(arrived)
                self._skipping = arrived.more
                frame = PeerFrame(b"" if arrived.more else arrived.buffer)
                frame.arrived = arrived
                items.append(frame)
        except zmq.Again:
            self._unsure = False
        return items

    def _count(self, arrived: zmq.Frame) -> None:
        """Count the bytes taken from a connection; end it when its message has several frames."""
        visitor = self.visitors.at(arrived.get(zmq.SRCFD))
        if visitor is not None:
            visitor.taken += len(arrived) + FRAME_HEAD_BYTES
            if arrived.more:
                self.visitors.hang_up(visitor, SEVERAL_FRAMES)

    def _look(self) -> None:
        """Every LOOK_MS, end the connections that keep too many bytes waiting."""
        now_ms = _monotonic_ms()
        if now_ms >= self._look_at_ms:
            self._look_at_ms = now_ms + LOOK_MS
            self.visitors.look()
        else:
            self.visitors.follow()

    def _is_skipping(self) -> bool:
        """Skip frames of a message that has several; whether more of them are to be skipped."""
        if self._skipping:
            self._skipping = not skip_frames(self._socket, SKIPPED_PER_LOOK_MAX)
        return self._skipping

    def close(self) -> None:
        """Close the socket. Frames not yet taken are lost, as on a broken network."""
        self.visitors.close(self._socket)
        self._socket.close()


class PeerLinks:
    """One PUSH socket to each other member; an item is the id of a member whose connection broke.

    Delivery is not promised: a frame to a member that is down or slow is dropped, and Raft sends
    it again.
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
        # Members whose URL libzmq refuses to connect to; tried again when the URL changes.
        self._refused: dict[int, str] = {}
        self._links: dict[int, zmq.Socket[bytes]] = {}
        self._monitors: dict[int, zmq.Socket[bytes]] = {}

    def update(self, urls: dict[int, str]) -> None:
        """Connect to these members and to no others; `on_change` is called if sockets change."""
        urls = {member_id: zeromq_url(url) for member_id, url in urls.items()}
        if urls == self._urls:
            return
        for member_id in [m for m, url in self._urls.items() if urls.get(m) != url]:
            self._disconnect(member_id)
        for member_id in urls.keys() - self._links.keys():
            url = urls[member_id]
            if self._refused.get(member_id) != url:
                self._maybe_connect(member_id, url)
        self._urls = dict(urls)
        self._on_change()

    def _maybe_connect(self, member_id: int, url: str) -> None:
        """Connect to a member. If libzmq refuses its URL, the member counts as down."""
        try:
            self._connect(member_id, url)
        except zmq.ZMQError as error:
            self._refused[member_id] = url
            log.warning("no member can be reached at %s: %s", url, error.strerror)

    def _connect(self, member_id: int, url: str) -> None:
        """Connect to a member, with a monitor that reports when the connection breaks."""
        socket = self._context.socket(zmq.PUSH)
        socket.linger = 0
        if is_ipv6(url):
            socket.setsockopt(zmq.IPV6, 1)
        # Without IMMEDIATE, frames would queue for a dead member and reach its next incarnation.
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.SNDHWM, PEER_QUEUE_MESSAGES)
        socket.setsockopt(zmq.RECONNECT_IVL, PEER_RECONNECT_MS)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, PEER_RECONNECT_MS_MAX)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        monitor = socket.get_monitor_socket(MONITORED)
        # The monitor's descriptor signals a first report only after it was once found empty.
        _take_all(monitor)
        try:
            socket.connect(url)
        except zmq.ZMQError:
            socket.disable_monitor()
            monitor.close(linger=0)
            socket.close()
            raise
        self._links[member_id], self._monitors[member_id] = socket, monitor
        self._unsure = True

    def _disconnect(self, member_id: int) -> None:
        self._refused.pop(member_id, None)
        socket = self._links.pop(member_id, None)
        if socket is None:
            return
        socket.disable_monitor()
        self._monitors.pop(member_id).close(linger=0)
        socket.close()

    def descriptors(self) -> list[int]:
        """The monitors' descriptors, to poll."""
        return [descriptor_of(monitor) for monitor in self._monitors.values()]

    def must_drain(self) -> bool:
        """Once after connecting: a monitor's descriptor is silent until it was found empty.

        Later it never misses a report, as `drain` always reads the monitors until they are empty.
        """
        return self._unsure

    def drain(self, items_max: int) -> list[int]:
        """The members whose connections broke since the last call."""
        self._unsure = False
        return [member_id for member_id, monitor in self._monitors.items() if _take_all(monitor)]

    def send(self, member_id: int, frame: bytes) -> bool:
        """Send without waiting; False when the frame was dropped or the member is unknown."""
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


def is_ipv6(url: str) -> bool:
    """Whether a URL has an IPv6 address in it; a host name counts as IPv4."""
    return "://[" in url


def bind(socket: zmq.Socket[bytes], urls: tuple[str, ...]) -> None:
    """Listen on these URLs; OSError, which names the URL, when one cannot be bound."""
    if any(map(is_ipv6, urls)):
        socket.setsockopt(zmq.IPV6, 1)
    for url in urls:
        try:
            socket.bind(zeromq_url(url))
        except zmq.ZMQError as error:
            socket.close()
            raise OSError(error.errno, f"cannot listen on {url}: {error.strerror}") from None


def descriptor_of(socket: zmq.Socket[bytes]) -> int:
    """The descriptor that becomes readable when there may be a message to receive."""
    return int(socket.getsockopt(zmq.FD))


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def skip_frames(socket: zmq.Socket[bytes], frames_max: int) -> bool:
    """Skip up to `frames_max` frames of a message; whether its last frame was among them."""
    # Without a copy: a frame may be large, and an uncopied one knows whether more follow.
    return any(not socket.recv(copy=False).more for _ in range(frames_max))


def _address_of(frame: zmq.Frame) -> str:
    try:
        return str(frame.get("Peer-Address"))
    except (zmq.ZMQError, ValueError):
        return ""  # it came from inside this process, through no network connection


def _take_all(monitor: zmq.Socket[bytes]) -> bool:
    """Read all reports of a monitor; whether there was one. Each says that a connection broke."""
    reported = False
    try:
        while True:
            monitor.recv_multipart(_NOWAIT)
            reported = True
    except zmq.Again:
        return reported
