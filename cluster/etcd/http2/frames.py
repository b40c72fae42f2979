"""Frames as bytes (RFC 9113, 4 and 6): their kinds, flags and layout, and frames not yet whole.

Owns the layout. Refuses to know what a frame means to a stream or to a connection.
"""

from __future__ import annotations

import struct
from typing import Final

from cluster.etcd.http2.limits import FRAME_BYTES_MAX

DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9

ACK: Final = 0x1
END_STREAM: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
WITH_PRIORITY: Final = 0x20
"""The flag PRIORITY of a HEADERS frame; the name is taken by the frame."""

HEADER_TABLE_SIZE: Final = 0x1
ENABLE_PUSH: Final = 0x2
MAX_CONCURRENT_STREAMS: Final = 0x3
INITIAL_WINDOW_SIZE: Final = 0x4
MAX_FRAME_SIZE: Final = 0x5
MAX_HEADER_LIST_SIZE: Final = 0x6
"""Identifiers of settings (RFC 9113, 6.5.2)."""

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client sends before its first frame (RFC 9113, 3.4)."""

FRAME_HEADER_BYTES: Final = 9
FRAME_HEADER: Final = struct.Struct(">HBBBL")
"""The length's two high bytes and its low one, kind, flags, stream id with its reserved bit."""

STREAM_ID_MAX: Final = 0x7FFF_FFFF
PING_BYTES: Final = 8
SETTING: Final = struct.Struct(">HL")


def frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """One whole frame."""
    return frame_header(len(payload), kind, flags, stream_id) + payload


def frame_header(length: int, kind: int, flags: int, stream_id: int) -> bytes:
    """The nine bytes before a payload of this length."""
    return (length << 48 | kind << 40 | flags << 32 | stream_id).to_bytes(9, "big")


def header_frames(stream_id: int, block: bytes, end_stream: bool) -> bytes:
    """A header block as HEADERS, and as CONTINUATION for what one frame cannot hold."""
    flags = END_STREAM if end_stream else 0
    if len(block) <= FRAME_BYTES_MAX:
        return frame(HEADERS, flags | END_HEADERS, stream_id, block)
    parts = [block[at : at + FRAME_BYTES_MAX] for at in range(0, len(block), FRAME_BYTES_MAX)]
    frames = [frame(HEADERS, flags, stream_id, parts[0])]
    frames += [frame(CONTINUATION, 0, stream_id, part) for part in parts[1:-1]]
    frames.append(frame(CONTINUATION, END_HEADERS, stream_id, parts[-1]))
    return b"".join(frames)


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(SETTING.pack(*value) for value in values.items()))


SETTINGS_ACK: Final = frame(SETTINGS, ACK, 0, b"")


def rst_stream(stream_id: int, code: int) -> bytes:
    """An RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream_id, code.to_bytes(4, "big"))


def window_update(stream_id: int, increment: int) -> bytes:
    """A WINDOW_UPDATE frame; stream 0 is the connection."""
    return frame(WINDOW_UPDATE, 0, stream_id, increment.to_bytes(4, "big"))


def ping(payload: bytes, *, ack: bool = False) -> bytes:
    """A PING frame, or the answer to one."""
    return frame(PING, ACK if ack else 0, 0, payload)


def goaway(last_stream_id: int, code: int, reason: str = "") -> bytes:
    """A GOAWAY frame, with a reason for people."""
    numbers = last_stream_id.to_bytes(4, "big") + code.to_bytes(4, "big")
    return frame(GOAWAY, 0, 0, numbers + reason.encode("ascii", "replace"))


class Unfinished:
    """The bytes of a frame that has not come whole: each byte is copied twice, however it comes.

    Without it, a frame that comes byte by byte would be joined anew for each byte.
    """

    __slots__ = ("_bytes", "_needed")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._needed = 0

    def join(self, data: bytes) -> bytes:
        """What was kept and the data behind it, or nothing as long as that completes no frame."""
        if not self._bytes:
            return data
        self._bytes += data
        if len(self._bytes) < self._needed:
            return b""
        joined = bytes(self._bytes)
        self._bytes.clear()
        return joined

    def keep(self, data: bytes, position: int) -> None:
        """Keep what is behind this position: a frame that is not whole, or nothing."""
        left = len(data) - position
        if not left:
            return
        self._needed = FRAME_HEADER_BYTES
        if left >= FRAME_HEADER_BYTES:
            self._needed += int.from_bytes(data[position : position + 3], "big")
        self._bytes += data[position:]
