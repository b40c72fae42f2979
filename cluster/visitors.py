"""Visitors: who is connected to a listening socket, how much each keeps waiting, and who must go.

libzmq bounds neither a message whose last frame never comes nor what waits for a client that does
not read, and has no call that ends a connection. The system can tell the one and do the other: its
monitor names the descriptor of each connection. Knows bytes and addresses, nothing of what is said.
"""

from __future__ import annotations

import errno
import itertools
import select
import socket
import struct
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

import zmq

CONNECTIONS_MAX: Final = 10_000
"""At one listening socket; one more is closed at once."""

INCOMING_CONNECTION_BYTES_MAX: Final = 64 * 1024 * 1024
"""What one connection may have sent that nobody has taken yet, whole or not."""

INCOMING_NODE_BYTES_MAX: Final = 128 * 1024 * 1024
"""What all of them may: above it, whoever holds most has to go."""

UNREAD_BYTES_MAX: Final = 96 * 1024 * 1024
"""What may wait for all who read slowly: above it, whoever reads least of most has to go."""

READING_BYTES_MIN: Final = 64 * 1024
SLOW_MS: Final = 1_000
"""Who reads less in this time while something waits for it reads slowly."""

LOOK_MS: Final = 100
CHECKED_PER_LOOK: Final = 128
"""How often bytes are looked at, and of how many connections at once: the others have a turn."""

HEARTBEAT_BYTES_PER_SECOND: Final = 16
"""What a connection receives or sends of which no message consists."""

EVENTS: Final = (
    zmq.EVENT_ACCEPTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_DISCONNECTED
)

WENT_AWAY: Final = (errno.ECONNRESET, errno.EPIPE)
"""Why a handshake failed, as libzmq tells it, when the other side closed in the middle."""

NOT_ZMTP: Final = "closed a connection that does not speak ZMTP 3"
TOO_MANY: Final = f"closed a connection: there are {CONNECTIONS_MAX}"
ENDLESS: Final = "closed a connection with too much that is not a whole message, or not taken"
UNREAD: Final = "closed a connection that does not read what was sent to it"

_EVENT: Final = struct.Struct("=HI")
_BYTES: Final = struct.Struct("=QQ")
_BYTES_AT: Final = 120  # of struct tcp_info: bytes acknowledged by the other side, bytes received
_TCP_INFO_BYTES: Final = _BYTES_AT + _BYTES.size

T = TypeVar("T")

_numbers = itertools.count()


class Peer(NamedTuple):
    """The other end of a connection."""

    host: str
    port: int


NOWHERE: Final = Peer("", 0)
"""Of a connection that was gone before anybody looked."""

_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)


def _ask(descriptor: int, question: Callable[[socket.socket], T], otherwise: T) -> T:
    """Ask a connection that is libzmq's to close, and may be closed already."""
    try:
        connected = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=descriptor)
    except OSError:
        return otherwise
    try:
        return question(connected)
    except OSError:
        return otherwise
    finally:
        connected.detach()


def _counts(connected: socket.socket) -> tuple[int, int] | None:
    told = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    read, received = _BYTES.unpack_from(told, _BYTES_AT)
    return read, received


def _peer(connected: socket.socket) -> Peer:
    """Where a connection comes from; nothing of what has got its descriptor and is no TCP."""
    if connected.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN) not in _FAMILIES:
        return NOWHERE
    host, port, *_ = connected.getpeername()
    return Peer(host, port)


def _cut(connected: socket.socket, peer: Peer) -> None:
    """Unless the descriptor is another's by now."""
    if peer != NOWHERE and _peer(connected) == peer:
        connected.shutdown(socket.SHUT_RDWR)


class Notice(NamedTuple):
    """A connection was closed: why, and where it came from."""

    reason: str
    address: str


class Gone(NamedTuple):
    """A connection ended whose messages went by this name."""

    name: bytes


class Visitor:
    """One connection: bytes taken from it and given to it, beside what the system counts."""

    __slots__ = (
        "checked_ms",
        "descriptor",
        "ended",
        "given",
        "name",
        "peer",
        "progress_ms",
        "read",
        "read_then",
        "received",
        "speaks",
        "taken",
    )

    def __init__(self, descriptor: int, peer: Peer) -> None:
        self.descriptor = descriptor
        self.peer = peer
        self.speaks = self.ended = False
        self.name = b""
        self.taken = self.received = 0
        self.given = self.read = self.read_then = 0
        self.checked_ms = self.progress_ms = 0

    @property
    def incoming(self) -> int:
        """Bytes that it has sent and nobody has taken, when last looked at."""
        return self.received - self.taken

    @property
    def unread(self) -> int:
        """Bytes that were given to it and that it has not received, when last looked at."""
        return self.given - self.read

    def look(self) -> None:
        """Ask the system how far it is."""
        counts = _ask(self.descriptor, _counts, None)
        if counts is not None:
            self.read, self.received = counts
            # What both sides say beside messages is in the system's figures only.
            self.given = max(self.given, self.read)
            self.taken = min(self.taken, self.received)

    def check(self, now_ms: int) -> None:
        """Look, once in a while: notes when it last read at a fair pace."""
        aside = (now_ms - self.checked_ms) * HEARTBEAT_BYTES_PER_SECOND // 1_000
        self.checked_ms = now_ms
        self.taken += aside
        self.look()
        if self.read - self.read_then >= READING_BYTES_MIN or not self.unread:
            self.progress_ms, self.read_then = now_ms, self.read

    def end(self) -> None:
        """Cut the connection; libzmq finds it broken, and gives back all that it holds of it."""
        self.ended = True
        _ask(self.descriptor, lambda connected: _cut(connected, self.peer), None)


class Visitors:
    """The connections of one socket, which must not be bound yet; `clock` is in milliseconds.

    `incoming_connection_bytes_max` and `incoming_node_bytes_max` may be set.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        listening: zmq.Socket[bytes],
        clock: Callable[[], int],
    ) -> None:
        url = f"inproc://visitors-{next(_numbers)}"
        listening.monitor(url, EVENTS)
        self._monitor = context.socket(zmq.PAIR)
        self._monitor.linger = 0
        # Without a limit: libzmq's own thread would wait for room.
        self._monitor.rcvhwm = 0
        self._monitor.connect(url)
        self.descriptor = int(self._monitor.getsockopt(zmq.FD))
        self._told = select.poll()
        self._told.register(self.descriptor, select.POLLIN)
        self.incoming_connection_bytes_max = INCOMING_CONNECTION_BYTES_MAX
        self.incoming_node_bytes_max = INCOMING_NODE_BYTES_MAX
        # How many connections have ever become ready: libzmq has given no more names than that.
        self.handshakes = 0
        # Whether the connection that is said to have ended next went away in its handshake.
        self._went_away = False
        self._clock = clock
        self._by_descriptor: dict[int, Visitor] = {}
        self._by_name: dict[bytes, Visitor] = {}
        self._news: list[Notice | Gone] = []
        self._turns: list[int] = []
        self.find = self._by_name.get
        # The descriptor tells of nothing before somebody has looked in vain.
        self._follow()

    def __len__(self) -> int:
        return len(self._by_descriptor)

    def meet(self, name: bytes, descriptor: int) -> Visitor | None:
        """Know that a connection's messages go by this name; None if it is gone already."""
        self.follow()
        visitor = self._by_descriptor.get(descriptor)
        if visitor is None or visitor.ended:
            return None
        if visitor.name:  # of a connection that is gone, whose descriptor this one has got
            self._by_name.pop(visitor.name, None)
        visitor.name = name
        self._by_name[name] = visitor
        return visitor

    def at(self, descriptor: int) -> Visitor | None:
        """Whose descriptor this is."""
        return self._by_descriptor.get(descriptor)

    def look(self) -> list[Notice | Gone]:
        """Every LOOK_MS: who came, went, and had to go, as whoever keeps too much waiting has."""
        self.follow()
        now_ms = self._clock()
        visitors = self._by_descriptor
        if not self._turns:
            self._turns = list(visitors)
        turns, self._turns = self._turns[:CHECKED_PER_LOOK], self._turns[CHECKED_PER_LOOK:]
        for descriptor in turns:
            if descriptor in visitors:
                visitors[descriptor].check(now_ms)
        self._check_incoming()
        self._check_unread(now_ms)
        news, self._news = self._news, []
        return news

    # --- who comes and goes ---

    def follow(self) -> None:
        """Take note of who came and went; as soon as `descriptor` is readable, to learn addresses:
        that of a connection which is closed already cannot be found out."""
        if self._told.poll(0):
            self._follow()

    def _follow(self) -> None:
        receive = self._monitor.recv
        try:
            while True:
                event, descriptor = _EVENT.unpack(receive(zmq.NOBLOCK))
                receive()
                self._note(event, descriptor)
        except zmq.Again:
            return

    def _note(self, event: int, descriptor: int) -> None:
        if event == zmq.EVENT_ACCEPTED:
            self._forget(descriptor)
            self._welcome(descriptor)
        elif event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            # The value is no descriptor here but the reason; libzmq says next whose it was.
            self._went_away = descriptor in WENT_AWAY
        elif event == zmq.EVENT_DISCONNECTED:
            visitor, went_away = self._forget(descriptor), self._went_away
            self._went_away = False
            # A client that closes at once is no stranger.
            if visitor is not None and not visitor.speaks and not went_away:
                self._news.append(Notice(NOT_ZMTP, visitor.peer.host))
        else:
            self.handshakes += 1
            if descriptor in self._by_descriptor:
                self._by_descriptor[descriptor].speaks = True

    def _welcome(self, descriptor: int) -> None:
        peer = _ask(descriptor, _peer, NOWHERE)
        visitor = self._by_descriptor[descriptor] = Visitor(descriptor, peer)
        visitor.checked_ms = visitor.progress_ms = self._clock()
        if len(self._by_descriptor) > CONNECTIONS_MAX:
            self.hang_up(visitor, TOO_MANY)

    def _forget(self, descriptor: int) -> Visitor | None:
        visitor = self._by_descriptor.pop(descriptor, None)
        if visitor is not None and self._by_name.get(visitor.name) is visitor:
            del self._by_name[visitor.name]
            self._news.append(Gone(visitor.name))
        return visitor

    # --- who must go ---

    def hang_up(self, visitor: Visitor, reason: str) -> None:
        """End a connection, for this reason."""
        if not visitor.ended:
            visitor.speaks = True  # whether it does not is no reason any more
            visitor.end()
            self._news.append(Notice(reason, visitor.peer.host))

    def unread(self, bytes_max: int) -> int:
        """Bytes that wait for all of them; exact if it is more than `bytes_max`."""
        total = self._sum_unread()
        if total > bytes_max:
            for visitor in self._by_name.values():
                if visitor.unread > 0:
                    visitor.look()
            total = self._sum_unread()
        return total

    def _sum_unread(self) -> int:
        return sum([each.unread for each in self._by_name.values() if not each.ended])

    def _check_incoming(self) -> None:
        here = [each for each in self._by_descriptor.values() if not each.ended]
        total = sum([each.incoming for each in here])
        for visitor in here:
            if visitor.incoming > self.incoming_connection_bytes_max:
                total -= visitor.incoming
                self.hang_up(visitor, ENDLESS)
        while total > self.incoming_node_bytes_max:
            most = max([each for each in here if not each.ended], key=lambda each: each.incoming)
            total -= most.incoming
            self.hang_up(most, ENDLESS)

    def _check_unread(self, now_ms: int) -> None:
        total = self.unread(UNREAD_BYTES_MAX)
        if total <= UNREAD_BYTES_MAX:
            return
        slow = [
            each
            for each in self._by_name.values()
            if not each.ended and now_ms - each.progress_ms >= SLOW_MS
        ]
        for visitor in sorted(slow, key=lambda each: -each.unread):
            if total <= UNREAD_BYTES_MAX // 2:
                return
            total -= visitor.unread
            self.hang_up(visitor, UNREAD)

    def close(self, listening: zmq.Socket[bytes]) -> None:
        """Look no more; before the socket closes."""
        listening.disable_monitor()
        self._monitor.close(linger=0)
        self._by_descriptor.clear()
        self._by_name.clear()
