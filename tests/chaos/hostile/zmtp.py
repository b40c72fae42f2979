"""ZeroMQ's wire protocol by hand, for what no ZeroMQ library would send. ZMTP/3.0, and 1.0.

Knows frames and the handshake; not what is in a frame.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

SOCKET_SECONDS: Final = 3.0
"""A node that takes or answers nothing for this time is left alone."""

READ_BYTES: Final = 256 * 1024
SMALL_BUFFER_BYTES: Final = 4_096

MORE, COMMAND = 1, 4
_LONG = 2
"""The flags of a frame."""


def greeting(mechanism: bytes) -> bytes:
    """What each side says first: the version, the mechanism, and that it is no server of it."""
    return b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + mechanism.ljust(20, b"\0") + bytes(32)


GREETING: Final = greeting(b"NULL")


def frame(body: bytes, flags: int = 0) -> bytes:
    """One frame."""
    if len(body) < 256:
        return bytes([flags, len(body)]) + body
    return struct.pack(">BQ", flags | _LONG, len(body)) + body


def message(*bodies: bytes) -> bytes:
    """The frames of one message."""
    *before, last = bodies
    return b"".join([*(frame(body, MORE) for body in before), frame(last)])


def endless(*bodies: bytes) -> bytes:
    """Frames of a message whose last frame is missing."""
    return b"".join(frame(body, MORE) for body in bodies)


def version_1(*bodies: bytes) -> bytes:
    """All that an old peer says: an empty name for itself, then the frames of one message."""
    *before, last = bodies
    frames = [(b"", 0), *((body, MORE) for body in before), (last, 0)]
    return b"".join(_frame_1(body, flags) for body, flags in frames)


def _frame_1(body: bytes, flags: int) -> bytes:
    size = len(body) + 1
    head = bytes([size]) if size < 255 else b"\xff" + struct.pack(">Q", size)
    return head + bytes([flags]) + body


def ready(kind: bytes, identity: bytes = b"") -> bytes:
    """The command that ends the handshake, from a socket of this kind and name."""
    return frame(b"\x05READY" + metadata(kind, identity), COMMAND)


def metadata(kind: bytes, identity: bytes) -> bytes:
    """What a socket says of itself."""
    properties = ((b"Socket-Type", kind), (b"Identity", identity))
    return b"".join(
        bytes([len(name)]) + name + struct.pack(">I", len(value)) + value
        for name, value in properties
    )


def frames_of(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The flags and bodies of the whole frames that bytes begin with, and the rest of the bytes."""
    frames, at = [], 0
    while at < len(data):
        flags = data[at]
        head = 9 if flags & _LONG else 2
        size = int.from_bytes(data[at + 1 : at + head], "big")
        if at + head + size > len(data):
            break
        frames.append((flags, data[at + head : at + head + size]))
        at += head + size
    return frames, data[at:]


def connected(address: tuple[str, int], small_buffer: bool) -> socket.socket:
    """A socket that is connected; OSError if it cannot be."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if small_buffer:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
    made.settimeout(SOCKET_SECONDS)
    try:
        made.connect(address)
    except BaseException:
        made.close()
        raise
    return made


class Connection:
    """A TCP connection to a node; OSError (and TimeoutError) when the node has had enough."""

    def __init__(self, address: tuple[str, int], small_buffer: bool = False) -> None:
        self.socket = connected(address, small_buffer)
        self._received = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.socket.close()

    def shake_hands(self, kind: bytes, identity: bytes = b"") -> None:
        """Be a socket of this kind."""
        self.send(GREETING + ready(kind, identity))
        self.take_greeting()
        flags, body = self.take_frame()
        if not flags & COMMAND or not body.startswith(b"\x05READY"):
            raise ConnectionError("the handshake was refused")

    def take_greeting(self) -> None:
        """What the node says first."""
        if self._take(len(GREETING))[:1] != b"\xff":
            raise ConnectionError("no greeting")

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def messages(self, count_max: int, seconds: float) -> Iterator[list[bytes]]:
        """The messages that arrive in this time, up to so many."""
        deadline = time.monotonic() + seconds
        frames: list[bytes] = []
        with suppress(TimeoutError):
            while count_max:
                flags, body = self.take_frame(deadline)
                if flags & COMMAND:
                    continue
                frames.append(body)
                if not flags & MORE:
                    yield frames
                    frames, count_max = [], count_max - 1
        self.socket.settimeout(SOCKET_SECONDS)

    def is_closed_within(self, seconds: float) -> bool:
        """Whether the node closes the connection in this time; what it says meanwhile is lost."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                self._wait_at_most(deadline)
                if not self.socket.recv(READ_BYTES):
                    return True
        except TimeoutError:
            return False
        except OSError:
            return True

    def take_frame(self, deadline: float | None = None) -> tuple[int, bytes]:
        """The flags and the body of the next frame."""
        (flags,) = self._take(1, deadline)
        form = ">Q" if flags & _LONG else ">B"
        (size,) = struct.unpack(form, self._take(struct.calcsize(form), deadline))
        return flags, self._take(size, deadline)

    def _take(self, size: int, deadline: float | None = None) -> bytes:
        while len(self._received) < size:
            if deadline is not None:
                self._wait_at_most(deadline)
            data = self.socket.recv(READ_BYTES)
            if not data:
                raise ConnectionError("closed by the node")
            self._received += data
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def _wait_at_most(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.socket.settimeout(left)


def http_post(host: str, port: int, request: bytes, pads: Sequence[int]) -> bytes | None:
    """A browser's POST whose body, as ZMTP/1.0, holds this request; None if no pad makes it fit.

    The head must read as whole frames, of which the last ends within the body.
    """
    body_bytes = 500
    for pad in pads:
        head = (
            f"POST /{'a' * pad} HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"Content-Length: {body_bytes}\r\nContent-Type: text/plain\r\n"
            "Origin: http://evil.example\r\nSec-Fetch-Mode: no-cors\r\n\r\n"
        ).encode()
        end = _end_of_frames(head + b"A" * body_bytes, len(head))
        if end is None:
            continue
        body = b"A" * (end - len(head)) + _frame_1(request, 0)
        if len(body) <= body_bytes:
            return head + body.ljust(body_bytes, b"A")
    return None


def _end_of_frames(data: bytes, at_least: int) -> int | None:
    """Where the first message of ZMTP/1.0 ends that ends at or after `at_least`."""
    at = frames = more = 0
    while at < at_least:
        if data[at] in (0, 255) or at + 1 >= len(data):
            return None
        more = data[at + 1] & MORE
        at += 1 + data[at]
        frames += 1
    return None if more or frames < 2 else at
