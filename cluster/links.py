"""The socket that the other members send to (PeerDoor), and what all listening sockets share.

It owns the options of these sockets that limit memory and time. The class moves frames, and refuses
to know what a frame says. A socket belongs to the thread that made it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from typing import Final

import zmq

from cluster.curve import KeyPair
from cluster.gatekeeper import Applicant
from cluster.keyed import SEAL_BYTES, KeyedPorts
from cluster.schemes import LISTEN_BACKLOG, zeromq_url
from cluster.visitor import HEAD_BYTES, LONG_HEAD_BYTES, SHORT_FRAME_BYTES
from cluster.visitors import LOOK_MS, Visitors

PEER_FRAME_BYTES_MAX: Final = 64 * 1024 * 1024
PEER_INCOMING_BYTES_MAX: Final = 256 * 1024 * 1024
"""What may have arrived from the other members and is not taken, in whole messages or not: bytes,
and FRAME_COST_BYTES more for each frame. Above it, the connection with the most is ended. The
number of messages has no limit: if libzmq has stopped reading a connection and that connection
breaks, the next heartbeat aborts the process."""

HANDSHAKE_MS: Final = 2_000

SKIPPED_PER_LOOK_MAX: Final = 1_024
"""The frames of one message that are skipped at once; then the mailbox has its turn."""

SEVERAL_FRAMES: Final = "closed a connection: a peer message has one frame"

ZAP_DOMAIN: Final = b"leasehold"
PEER_DOMAIN: Final = b"leasehold peers"
"""A socket with a domain refuses ZMTP 1 and 2. In those, a browser's HTTP request can pass for
messages. Without keys there is no gatekeeper, and libzmq admits every client that speaks ZMTP 3."""

CURVE: Final = b"CURVE"
USER_ID: Final = "User-Id"
"""ZMTP's mechanism, and its name of what the gatekeeper has answered."""

KNOCKS_PER_SECOND_MAX: Final = 20

FOREIGN_KEY: Final = "closed a connection with the key of no member"

log = logging.getLogger("leasehold.links")

_NOWAIT: Final = zmq.NOBLOCK
_EVENTS: Final = zmq.EVENTS
_INPUT: Final = zmq.POLLIN

ASKED_FIRST: Final = 3
"""For this number of messages a drain asks whether there is another: that is cheaper than the
exception which says that there is none. Behind them more are to be expected."""


class PeerFrame(bytes):
    """A frame as it arrived; `key` is that of its sender, whose connection has it: "" if none."""

    arrived: zmq.Frame
    key = ""

    @property
    def address(self) -> str:
        """The host that it came from; empty when the system does not tell."""
        return _address_of(self.arrived)


class PeerLock:
    """The lock of a peer door: the door's own pair, and the keys of the members that may come in.

    `on_stranger` is called with another key, in the gatekeeper's thread, KNOCKS_PER_SECOND_MAX
    times a second at most: it may be that of a member that this one has not heard of.
    """

    def __init__(
        self, pair: KeyPair, on_stranger: Callable[[str], None] = lambda key: None
    ) -> None:
        self.pair = pair
        self.admitted: Collection[str] = frozenset()
        self.on_stranger = on_stranger
        self._knock_again_at = 0.0

    def judge(self, applicant: Applicant) -> str | None:
        """The key under which an applicant comes in; None: it does not."""
        if applicant.mechanism != CURVE:
            return None
        key = applicant.credentials[0].hex()
        if key in self.admitted:
            return key
        now = time.monotonic()
        if now >= self._knock_again_at:
            self._knock_again_at = now + 1 / KNOCKS_PER_SECOND_MAX
            self.on_stranger(key)
        return None


class PeerDoor:
    """The PULL socket that the other members send to; an item is one frame.

    With a `lock`, only those with the keys in it come in, which a gatekeeper of the same context
    must see to; and frames of connections whose keys are taken out of it do not.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        urls: tuple[str, ...],
        lock: PeerLock | None = None,
    ) -> None:
        socket = context.socket(zmq.PULL)
        socket.linger = 0
        socket.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN if lock is None else PEER_DOMAIN)
        socket.setsockopt(zmq.MAXMSGSIZE, PEER_FRAME_BYTES_MAX)
        socket.setsockopt(zmq.RCVHWM, 0)
        socket.setsockopt(zmq.BACKLOG, LISTEN_BACKLOG)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        self.visitors = Visitors(context, socket, _monotonic_ms)
        self.visitors.incoming_connection_bytes_max = PEER_INCOMING_BYTES_MAX
        self.visitors.incoming_node_bytes_max = PEER_INCOMING_BYTES_MAX
        self._seal_bytes = 0 if lock is None else SEAL_BYTES
        self._look_at_ms = 0
        self._lock, self._ports = lock, None if lock is None else KeyedPorts(urls)
        self._socket = socket
        # ZeroMQ's descriptor signals only changes: it is silent until the socket was found empty.
        self._unsure = True
        self._skipping = False
        if lock is None:
            bind(socket, urls)
        else:
            self.serve(lock.pair)

    def serve(self, pair: KeyPair) -> None:
        """Have this pair from now on; all connections end, and members connect to the new key."""
        assert self._lock is not None and self._ports is not None, "a door without a lock"
        self._lock.pair = pair
        self._ports.serve(self._socket, pair)
        self._unsure = True

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
        and its connection is ended. While too much waits of connections that have ended, theirs
        are dropped.
        """
        items: list[bytes] = []
        taken, leavings = 0, self.visitors.leavings
        self._unsure = True
        self._look()
        receive, option = self._socket.recv, self._socket.getsockopt
        try:
            while taken < items_max and not self._is_skipping():
                if taken < ASKED_FIRST and not int(option(_EVENTS)) & _INPUT:
                    self._unsure = False
                    break
                # Only a frame received without a copy knows its descriptor and address.
                arrived = receive(_NOWAIT, copy=False)
                taken += 1
                self._skipping = arrived.more
                if not self._count(arrived) and leavings.is_shut:
                    continue
                frame = PeerFrame(b"" if arrived.more else arrived.buffer)
                frame.arrived = arrived
                if self._lock is None or self._is_admitted(frame, self._lock):
                    items.append(frame)
        except zmq.Again:
            self._unsure = False
        if leavings.is_any and not self._unsure:
            leavings.found_none()
        return items

    def _count(self, arrived: zmq.Frame) -> bool:
        """Count the bytes taken from a connection; end it when its message has several frames.

        Returns whether the connection is still there.
        """
        visitor = self.visitors.at(arrived.get(zmq.SRCFD))
        if visitor is None:
            self.visitors.leavings.drop()
            return False
        size = len(arrived) + self._seal_bytes
        size += HEAD_BYTES if size <= SHORT_FRAME_BYTES else LONG_HEAD_BYTES
        visitor.taken += size
        visitor.frames += 1
        if arrived.more:
            self.visitors.hang_up(visitor, SEVERAL_FRAMES)
        return True

    def _is_admitted(self, frame: PeerFrame, lock: PeerLock) -> bool:
        """Note the key that a frame came under; end its connection if the key is admitted no more.

        The handshake has proved the key. libzmq keeps it beside each frame of the connection.
        """
        frame.key = str(frame.arrived.get(USER_ID))
        if frame.key in lock.admitted:
            return True
        visitor = self.visitors.at(frame.arrived.get(zmq.SRCFD))
        if visitor is not None:
            self.visitors.hang_up(visitor, FOREIGN_KEY)
        return False

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
        if self._ports is not None:
            self._ports.close()


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
