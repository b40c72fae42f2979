"""The links from one member to the others (PeerLinks): a PUSH socket each, perhaps with keys.

A member that is changing its key has two, and which of them the other side knows is not known here:
so there is a link for each, and frames go by the one that is connected. The class moves frames, and
refuses to know what a frame says. Sockets belong to the thread that made them.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import zmq

from cluster.curve import KeyPair, z85
from cluster.links import HANDSHAKE_MS, descriptor_of, is_ipv6
from cluster.logs import complain
from cluster.schemes import zeromq_url

PEER_QUEUE_MESSAGES: Final = 4_096
"""The number of messages that may wait to be sent to one member."""

RECONNECT_MS: Final = 20
RECONNECT_MS_MAX: Final = 200

REFUSED_RETRY_SECONDS: Final = 0.05
"""libzmq gives a connection up when the other side refuses this member's key, or has no keys at
all. It is made anew after this time, when there is something to send: that member may have heard of
the key by then, or may have been started again."""

REFUSED: Final = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
MONITORED: Final = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | REFUSED

EVENT_BYTES: Final = 2
"""The first frame of a monitor's message begins with the number of the event, 16 bits."""

log = logging.getLogger("leasehold.links")

_NOWAIT: Final = zmq.NOBLOCK


class _Way(NamedTuple):
    """One way to a member: its URL, the key that its door may have, and the own pair."""

    url: str
    server: str = ""  # no key: the link has none
    own: KeyPair | None = None


class _Link:
    """One socket, its monitor, and whether its connection is up."""

    __slots__ = ("is_up", "monitor", "retry_at", "socket", "way")

    def __init__(self, way: _Way, socket: zmq.Socket[bytes], monitor: zmq.Socket[bytes]) -> None:
        self.way = way
        self.socket = socket
        self.monitor = monitor
        self.is_up = False
        # When to connect again, if libzmq has given this link up; 0: it has not.
        self.retry_at = 0.0

    def close(self) -> None:
        """Close both sockets."""
        self.socket.disable_monitor()
        self.monitor.close(linger=0)
        self.socket.close()


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
        self._keys: Mapping[int, Sequence[str]] = {}
        self._pairs: Sequence[KeyPair] = ()
        self._unsure = False
        # When to connect again by the ways that libzmq has given up; 0: there are none.
        self._given_up = 0.0
        # Ways that libzmq refuses to connect to; they are tried again when the URL changes.
        self._refused: dict[int, str] = {}
        self._links: dict[int, list[_Link]] = {}
        self._sockets: dict[int, list[zmq.Socket[bytes]]] = {}

    def update(self, urls: dict[int, str]) -> None:
        """Connect to these members and to no others; `on_change` is called if sockets change."""
        urls = {member_id: zeromq_url(url) for member_id, url in urls.items()}
        if urls != self._urls:
            self._urls = urls
            self._connect_all()

    def use(self, pairs: Sequence[KeyPair], keys: Mapping[int, Sequence[str]]) -> None:
        """Connect with these pairs of this member's, to members whose doors have these keys.

        Of several, the last is the newest. A member without keys here is not connected to.
        """
        if (pairs, keys) != (self._pairs, self._keys):
            self._pairs, self._keys = tuple(pairs), dict(keys)
            self._connect_all()

    def _connect_all(self) -> None:
        """Close the links that are not wanted any more, and open those that are missing."""
        before = {id(link) for links in self._links.values() for link in links}
        for member_id in self._links.keys() | self._urls.keys():
            wanted = self._ways_to(member_id)
            here = {link.way: link for link in self._links.pop(member_id, ())}
            for way in here.keys() - set(wanted):
                here.pop(way).close()
            links = [here.get(way) or self._maybe_connect(member_id, way) for way in wanted]
            self._keep(member_id, [link for link in links if link is not None])
        if before != {id(link) for links in self._links.values() for link in links}:
            self._on_change()

    def _keep(self, member_id: int, links: list[_Link]) -> None:
        if links:
            self._links[member_id] = links
            self._sockets[member_id] = [link.socket for link in links]
        else:
            self._links.pop(member_id, None)
            self._sockets.pop(member_id, None)

    def _ways_to(self, member_id: int) -> list[_Way]:
        """The ways to a member, the newest keys first: they will be the ones in use."""
        url = self._urls.get(member_id)
        if url is None:
            return []
        if not self._pairs:
            return [_Way(url)]
        servers = reversed(self._keys.get(member_id, ()))
        return [_Way(url, server, own) for server in servers for own in reversed(self._pairs)]

    def _maybe_connect(self, member_id: int, way: _Way) -> _Link | None:
        """Connect to a member. If libzmq refuses its URL, the member counts as down."""
        if self._refused.get(member_id) == way.url:
            return None
        try:
            return self._connect(way)
        except zmq.ZMQError as error:
            self._refused[member_id] = way.url
            log.warning("no member can be reached at %s: %s", way.url, error.strerror)
            return None

    def _connect(self, way: _Way) -> _Link:
        """Connect to a member, with a monitor that reports when the connection breaks."""
        socket = self._context.socket(zmq.PUSH)
        socket.linger = 0
        if is_ipv6(way.url):
            socket.setsockopt(zmq.IPV6, 1)
        # Without IMMEDIATE, frames would queue for a dead member and reach its next incarnation.
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.SNDHWM, PEER_QUEUE_MESSAGES)
        socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        # A key that is about to be in use must be found in use soon.
        several = len(self._pairs) > 1 or any(len(keys) > 1 for keys in self._keys.values())
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MS if several else RECONNECT_MS_MAX)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        if way.own is not None:
            socket.setsockopt(zmq.CURVE_SERVERKEY, z85(way.server))
            socket.setsockopt(zmq.CURVE_PUBLICKEY, z85(way.own.public))
            socket.setsockopt(zmq.CURVE_SECRETKEY, z85(way.own.secret))
        monitor = socket.get_monitor_socket(MONITORED)
        link = _Link(way, socket, monitor)
        # The monitor's descriptor signals a first report only after it was once found empty.
        _broke(link)
        try:
            socket.connect(way.url)
        except zmq.ZMQError:
            link.close()
            raise
        self._unsure = True
        return link

    def descriptors(self) -> list[int]:
        """The monitors' descriptors, to poll."""
        return [descriptor_of(link.monitor) for links in self._links.values() for link in links]

    def must_drain(self) -> bool:
        """Once after connecting: a monitor's descriptor is silent until it was found empty.

        Later it never misses a report, as `drain` always reads the monitors until they are empty.
        """
        return self._unsure

    def drain(self, items_max: int) -> list[int]:
        """The members that no link reaches any more, since a connection broke."""
        self._unsure = False
        broken = []
        for member_id, links in self._links.items():
            # All are read, whatever the first says: a report that is left would not signal again.
            gone = [link for link in links if _broke(link)]
            if not self._given_up:
                self._given_up = max(link.retry_at for link in links)
            if gone and not any(link.is_up for link in links if link not in gone):
                broken.append(member_id)
        return broken

    def send(self, member_id: int, frame: bytes) -> bool:
        """Send without waiting; False when the frame was dropped or the member is unknown."""
        if self._given_up:
            self._revive()
        for socket in self._sockets.get(member_id, ()):
            try:
                socket.send(frame, _NOWAIT)
            except zmq.Again:
                continue
            return True
        return False

    def _revive(self) -> None:
        """Connect again by the ways that libzmq has given up, those whose time has come."""
        now = time.monotonic()
        if now < self._given_up:
            return
        for member_id, links in list(self._links.items()):
            for at, link in enumerate(links):
                if link.retry_at:
                    link.close()
                    links[at] = self._connect(link.way)
            self._keep(member_id, links)
        self._given_up = 0.0
        self._on_change()

    def close(self) -> None:
        """Close every link and its monitor."""
        for links in self._links.values():
            for link in links:
                link.close()
        self._links.clear()
        self._sockets.clear()


def _broke(link: _Link) -> bool:
    """Read all reports of a link; whether one says that its connection broke."""
    broke, receive = False, link.monitor.recv_multipart
    try:
        while True:
            # Parsed here: pyzmq's helper imports asyncio.
            event = int.from_bytes(receive(_NOWAIT)[0][:EVENT_BYTES], sys.byteorder)
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                link.is_up = True
            elif event == zmq.EVENT_DISCONNECTED:
                broke, link.is_up = broke or link.is_up, False
            else:
                link.retry_at = time.monotonic() + REFUSED_RETRY_SECONDS
                text = f"the member at {link.way.url} {_reason(event, link.way)}"
                complain(log, text, text)
    except zmq.Again:
        return broke


def _reason(event: int, way: _Way) -> str:
    if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        return "does not know the key of this one (yet)"
    if way.own is not None:
        return "has no keys, or is no member: this one has keys, and does not talk to it"
    return "has keys, or is no member: this one has none, and cannot talk to it"
