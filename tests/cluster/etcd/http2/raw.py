"""A peer that sends what it likes: frames made and read by `hyperframe`, not by our own code."""

from __future__ import annotations

from typing import Any, Final

from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from cluster.etcd.http2 import LIMITS, Limits, Memory, ServerConnection
from tests.cluster.etcd.http2.judge import Echo

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER_BYTES: Final = 9

FIELDS: Final = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/etcdserverpb.KV/Put"),
    (":authority", "127.0.0.1:2379"),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
]


def block(fields: list[Any] | None = None) -> bytes:
    """A header block that changes no table."""
    return Encoder().encode([(*field, True) for field in fields or FIELDS])


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """A frame of any kind, right or wrong."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream_id.to_bytes(4, "big") + payload


def headers(stream_id: int, fields: list[Any] | None = None, *flags: str) -> bytes:
    """A request's HEADERS; flags END_HEADERS if none are given."""
    made = HeadersFrame(stream_id, block(fields), flags=flags or ("END_HEADERS",))
    return made.serialize()


def request(stream_id: int, fields: list[Any] | None = None) -> bytes:
    """A whole request without a body."""
    return headers(stream_id, fields, "END_HEADERS", "END_STREAM")


def data(stream_id: int, payload: bytes = b"", *flags: str) -> bytes:
    """DATA."""
    return DataFrame(stream_id, payload, flags=flags).serialize()


def continuation(stream_id: int, payload: bytes, *flags: str) -> bytes:
    """CONTINUATION."""
    return ContinuationFrame(stream_id, payload, flags=flags).serialize()


def settings(values: dict[int, int] | None = None) -> bytes:
    """SETTINGS."""
    return SettingsFrame(0, values or {}).serialize()


def ping(payload: bytes = b"12345678") -> bytes:
    """PING."""
    return PingFrame(0, payload).serialize()


def window_update(stream_id: int, increment: int) -> bytes:
    """WINDOW_UPDATE."""
    return WindowUpdateFrame(stream_id, increment).serialize()


def rst_stream(stream_id: int, code: int = 8) -> bytes:
    """RST_STREAM."""
    return RstStreamFrame(stream_id, code).serialize()


def parsed(sent: bytes) -> list[Frame]:
    """The frames of a byte stream."""
    frames = []
    while sent:
        head, length = Frame.parse_frame_header(memoryview(sent[:HEADER_BYTES]))
        head.parse_body(memoryview(sent[HEADER_BYTES : HEADER_BYTES + length]))
        frames.append(head)
        sent = sent[HEADER_BYTES + length :]
    return frames


class Peer:
    """A connection that has been opened, at a time that stands still unless it is moved."""

    def __init__(
        self,
        limits: Limits = LIMITS,
        memory: Memory | None = None,
        values: dict[int, int] | None = None,
        *,
        handler: Echo | None = None,
        opens: bool = True,
    ) -> None:
        self.handler = handler or Echo()
        self.server = ServerConnection(self.handler, limits, memory)
        self.handler.connection = self.server
        self.now_ms = 0
        self.opening = self.send(PREFACE, settings(values)) if opens else []

    def send(self, *sent: bytes) -> list[Frame]:
        """Send bytes, and read all that comes back."""
        self.server.receive(b"".join(sent), self.now_ms)
        return self.read()

    def read(self) -> list[Frame]:
        """All that the engine has to send."""
        parts = []
        while part := self.server.take():
            parts.append(part)
        return parsed(b"".join(parts))

    @property
    def is_open(self) -> bool:
        return not self.server.is_closed


def verdict(frames: list[Frame]) -> list[tuple[str, int, int]]:
    """The errors among frames: ("stream", id, code) and ("connection", last id, code)."""
    found = []
    for each in frames:
        if isinstance(each, RstStreamFrame):
            found.append(("stream", each.stream_id, each.error_code))
        elif isinstance(each, GoAwayFrame):
            found.append(("connection", each.last_stream_id, each.error_code))
    return found
