"""Visitor: one connection of a listening socket, the bytes it sent and read, and how to end it.

libzmq has no call that counts the bytes of a connection, and none that ends it. The operating
system can do both, given the connection's descriptor. But libzmq owns the descriptor, and may close
it at any moment. This module knows bytes and addresses, and no other connection.
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
import termios
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

PROGRESS_BYTES_MIN: Final = 64 * 1024
"""A connection makes progress each time it has read or sent this size."""

FRAME_COST_BYTES: Final = 256
"""What a frame that waits is counted for beside its bytes. libzmq keeps 64 bytes for each
(zmq_msg_t), 32 times what was sent of an empty one; and to take a million takes seconds."""

WEIGHED_FRAMES_MIN: Final = 16
"""Of this number of frames taken, the mean size says what those behind them are like."""

SHORT_FRAME_BYTES: Final = 255
HEAD_BYTES, LONG_HEAD_BYTES = 2, 9
"""The size of ZMTP's header: for a frame of up to 255 bytes, and for a longer frame."""

HEARTBEAT_BYTES_PER_SECOND: Final = 16
"""ZMTP's heartbeats: traffic that the system counts and that belongs to no message."""

_BYTES: Final = struct.Struct("=QQ")
_BYTES_AT: Final = 120  # in struct tcp_info: bytes acknowledged by the other side, bytes received
_TCP_INFO_BYTES: Final = _BYTES_AT + _BYTES.size
_COUNT: Final = struct.Struct("=i")
_AT_ONCE: Final = struct.pack("=ii", 1, 0)

T = TypeVar("T")


class RemoteAddress(NamedTuple):
    """The other end of a connection."""

    host: str
    port: int


NOWHERE: Final = RemoteAddress("", 0)
"""The address of a connection that was gone before it could be asked for."""

SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
"""Linux's options of a socket that has a filter: a program of BPF (socket(7)). Python's socket
module does not name them."""

_RETURN_NOTHING: Final = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0))
"""The program "ret #0": of each packet, nothing is let through."""

_NOTHING: Final = struct.pack("@HP", 1, ctypes.addressof(_RETURN_NOTHING))
"""struct sock_fprog: a program of one instruction, and where it is."""

_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)


def ask(descriptor: int, question: Callable[[socket.socket], T], otherwise: T) -> T:
    """Ask the system about a connection; `otherwise` when libzmq has closed it already."""
    try:
        connected = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=descriptor)
    except OSError:
        return otherwise
    try:
        return question(connected)
    except OSError:
        return otherwise
    finally:
        # Closing this object would close libzmq's descriptor.
        connected.detach()


def _counts(connected: socket.socket) -> tuple[int, int, int] | None:
    """Bytes that the other side acknowledged, bytes received, and bytes libzmq has not read yet."""
    told = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    read, received = _BYTES.unpack_from(told, _BYTES_AT)
    (waiting,) = _COUNT.unpack(fcntl.ioctl(connected, termios.FIONREAD, bytes(_COUNT.size)))
    return read, received, waiting


def peer_of(connected: socket.socket) -> RemoteAddress:
    """The address a connection comes from; NOWHERE when its descriptor is now another file's."""
    if connected.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN) not in _FAMILIES:
        return NOWHERE
    host, port, *_ = connected.getpeername()
    return RemoteAddress(host, port)


def own_port(connected: socket.socket) -> int:
    """The port a connection has come to; 0 when its descriptor is now another file's."""
    if connected.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN) not in _FAMILIES:
        return 0
    return int(connected.getsockname()[1])


def refuse_new(listening: socket.socket, *, refused: bool) -> None:
    """Have the system drop whatever asks a listening socket for a connection, or end that.

    Who asks meanwhile asks again by itself, after a second. Connections that are up stay.
    """
    if not listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return  # the descriptor is now another file's
    if refused:
        listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, _NOTHING)
    else:
        listening.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


def _cut(connected: socket.socket, peer: RemoteAddress) -> None:
    """End the connection with `peer`, unless another connection has got its descriptor."""
    if peer != NOWHERE and peer_of(connected) == peer:
        # Cut it by a reset. A client that waits for room to send would notice an orderly end only
        # after minutes.
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        connected.shutdown(socket.SHUT_RDWR)


class Visitor:
    """One connection: the bytes taken from it and given to it here, and those the system counts.

    `taken`, in `frames`, and `given` are counted here; `received`, `waiting` (received by the
    system, not yet read by libzmq) and `read` (acknowledged by the client) are the system's, as of
    the last look. `arrived` is what libzmq had read at the last check. `weight`: a byte that
    waits here is counted for so many. `speaks`: its ZMTP handshake succeeded. `seal_bytes` are
    those that sealing adds to each of its frames.
    """

    __slots__ = (
        "arrived",
        "arrived_then",
        "came_ms",
        "checked_ms",
        "descriptor",
        "ended",
        "frames",
        "frames_then",
        "given",
        "name",
        "peer",
        "place",
        "progress_ms",
        "read",
        "read_then",
        "received",
        "seal_bytes",
        "speaks",
        "taken",
        "taken_then",
        "waiting",
        "weight",
    )

    def __init__(self, descriptor: int, peer: RemoteAddress) -> None:
        self.descriptor = descriptor
        self.peer = peer
        self.speaks = self.ended = False
        self.name = b""
        # Where it comes from in truth, once somebody has asked.
        self.place = ""
        self.seal_bytes = 0
        self.taken = self.received = self.waiting = 0
        self.frames = self.frames_then = self.taken_then = 0
        self.weight = 1.0
        self.arrived = self.arrived_then = 0
        self.given = self.read = self.read_then = 0
        self.checked_ms = self.progress_ms = self.came_ms = 0

    @property
    def incoming(self) -> int:
        """What the client has sent and this node has not taken, as of the last look: its bytes, and
        FRAME_COST_BYTES for each frame, if these are as large as the last ones were."""
        return int((self.received - self.taken) * self.weight)

    @property
    def incomplete(self) -> int:
        """Bytes in libzmq's memory of a message whose last frame has not come: at least this
        number, provided that the socket was found empty since the last `check`."""
        return self.arrived - self.taken

    @property
    def unread(self) -> int:
        """Bytes that were sent to the client and that it has not received, as of the last look."""
        return self.given - self.read

    def look(self) -> None:
        """Ask the system for the connection's counts."""
        counts = ask(self.descriptor, _counts, None)
        if counts is not None:
            self.read, self.received, self.waiting = counts
            # Handshakes and heartbeats are in the system's counts only, so ours are corrected.
            self.given = max(self.given, self.read)
            self.taken = min(self.taken, self.received)

    def check(self, now_ms: int) -> None:
        """Look, and note when the client last made progress in sending (`came_ms`) and in reading
        (`progress_ms`)."""
        heartbeats = (now_ms - self.checked_ms) * HEARTBEAT_BYTES_PER_SECOND // 1_000
        self.checked_ms = now_ms
        self.taken += heartbeats
        self.look()
        self._weigh()
        self.arrived = self.received - self.waiting
        if self.arrived - self.arrived_then >= PROGRESS_BYTES_MIN or self.incomplete <= 0:
            self.came_ms, self.arrived_then = now_ms, self.arrived
        if self.read - self.read_then >= PROGRESS_BYTES_MIN or not self.unread:
            self.progress_ms, self.read_then = now_ms, self.read

    def _weigh(self) -> None:
        frames, taken = self.frames - self.frames_then, self.taken - self.taken_then
        if frames >= WEIGHED_FRAMES_MIN and taken > 0:
            self.weight = 1 + frames * FRAME_COST_BYTES / taken
            self.frames_then, self.taken_then = self.frames, self.taken

    def end(self) -> None:
        """Cut the connection; libzmq finds it broken, and frees all memory it holds for it."""
        self.ended = True
        ask(self.descriptor, lambda connected: _cut(connected, self.peer), None)


def wire_bytes(route: tuple[bytes, ...], payload: bytes, seal_bytes: int) -> int:
    """The size of a message on the wire, headers included; the connection's name is not sent."""
    size = len(payload) + seal_bytes
    size += HEAD_BYTES if size <= SHORT_FRAME_BYTES else LONG_HEAD_BYTES
    for frame in route[1:]:
        size += HEAD_BYTES + seal_bytes + len(frame)
    return size
