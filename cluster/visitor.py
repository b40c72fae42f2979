"""One connection of a listening socket: what it sent and read, as the system counts, and its end.

libzmq has no call that tells how far a connection is, nor one that ends it. The system can do both,
if it is asked about the connection's descriptor, which is libzmq's to close at any moment. Knows
bytes and addresses, and no other connection.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

PROGRESS_BYTES_MIN: Final = 64 * 1024
"""Whoever has read or sent this much since it was last said to make progress makes some."""

HEARTBEAT_BYTES_PER_SECOND: Final = 16
"""What a connection receives or sends of which no message consists."""

_BYTES: Final = struct.Struct("=QQ")
_BYTES_AT: Final = 120  # of struct tcp_info: bytes acknowledged by the other side, bytes received
_TCP_INFO_BYTES: Final = _BYTES_AT + _BYTES.size
_COUNT: Final = struct.Struct("=i")
_AT_ONCE: Final = struct.pack("=ii", 1, 0)

T = TypeVar("T")


class RemoteAddress(NamedTuple):
    """The other end of a connection."""

    host: str
    port: int


NOWHERE: Final = RemoteAddress("", 0)
"""Of a connection that was gone before anybody looked."""

_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)


def ask(descriptor: int, question: Callable[[socket.socket], T], otherwise: T) -> T:
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


def _counts(connected: socket.socket) -> tuple[int, int, int] | None:
    told = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    read, received = _BYTES.unpack_from(told, _BYTES_AT)
    (waiting,) = _COUNT.unpack(fcntl.ioctl(connected, termios.FIONREAD, bytes(_COUNT.size)))
    return read, received, waiting


def peer_of(connected: socket.socket) -> RemoteAddress:
    """Where a connection comes from; nothing of what has got its descriptor and is no TCP."""
    if connected.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN) not in _FAMILIES:
        return NOWHERE
    host, port, *_ = connected.getpeername()
    return RemoteAddress(host, port)


def _cut(connected: socket.socket, peer: RemoteAddress) -> None:
    """Unless the descriptor is another's by now."""
    if peer != NOWHERE and peer_of(connected) == peer:
        # By a reset: who waits for room to send more would hear of an orderly end after minutes.
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        connected.shutdown(socket.SHUT_RDWR)


class Visitor:
    """One connection: bytes taken from it and given to it, beside what the system counts."""

    __slots__ = (
        "arrived",
        "arrived_then",
        "came_ms",
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
        "waiting",
    )

    def __init__(self, descriptor: int, peer: RemoteAddress) -> None:
        self.descriptor = descriptor
        self.peer = peer
        self.speaks = self.ended = False
        self.name = b""
        self.taken = self.received = self.waiting = 0
        self.arrived = self.arrived_then = 0
        self.given = self.read = self.read_then = 0
        self.checked_ms = self.progress_ms = self.came_ms = 0

    @property
    def incoming(self) -> int:
        """Bytes that it has sent and nobody has taken, when last looked at."""
        return self.received - self.taken

    @property
    def incomplete(self) -> int:
        """At least so much of a message whose last frame has not come is in libzmq's memory, if the
        socket was found empty since the last `check`."""
        return self.arrived - self.taken

    @property
    def unread(self) -> int:
        """Bytes that were given to it and that it has not received, when last looked at."""
        return self.given - self.read

    def look(self) -> None:
        """Ask the system how far it is."""
        counts = ask(self.descriptor, _counts, None)
        if counts is not None:
            self.read, self.received, self.waiting = counts
            # What both sides say beside messages is in the system's figures only.
            self.given = max(self.given, self.read)
            self.taken = min(self.taken, self.received)

    def check(self, now_ms: int) -> None:
        """Look, once in a while: notes when it last read and sent at a fair pace."""
        aside = (now_ms - self.checked_ms) * HEARTBEAT_BYTES_PER_SECOND // 1_000
        self.checked_ms = now_ms
        self.taken += aside
        self.look()
        self.arrived = self.received - self.waiting
        if self.arrived - self.arrived_then >= PROGRESS_BYTES_MIN or self.incomplete <= 0:
            self.came_ms, self.arrived_then = now_ms, self.arrived
        if self.read - self.read_then >= PROGRESS_BYTES_MIN or not self.unread:
            self.progress_ms, self.read_then = now_ms, self.read

    def end(self) -> None:
        """Cut the connection; libzmq finds it broken, and gives back all that it holds of it."""
        self.ended = True
        ask(self.descriptor, lambda connected: _cut(connected, self.peer), None)
