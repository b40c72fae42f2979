"""The streams of one connection (RFC 9113, 5.1): the open ones, and what is known of others.

Owns each stream's state. Refuses to know frames and handlers.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from cluster.etcd.http2.fields import Field, RequestFields
from cluster.etcd.http2.limits import GAPS_REMEMBERED_MAX, RESETS_REMEMBERED_MAX
from cluster.etcd.http2.windows import ReceiveWindow


class SendQueue:
    """What waits to be sent on one stream: data, then its trailers or its end."""

    __slots__ = ("chunks", "ends", "is_high", "offset", "size", "trailers")

    def __init__(self) -> None:
        self.chunks: deque[bytes] = deque()
        self.offset = 0  # of the first chunk, what has been sent
        self.size = 0
        self.ends = False
        self.trailers: bytes | None = None
        self.is_high = False

    def cut(self, count: int, frames: list[bytes | memoryview]) -> None:
        """Move `count` bytes to the end of `frames`, without a copy of what is large."""
        self.size -= count
        while count:
            chunk = self.chunks[0]
            left = len(chunk) - self.offset
            if left > count:
                frames.append(memoryview(chunk)[self.offset : self.offset + count])
                self.offset += count
                return
            frames.append(chunk[self.offset :] if self.offset else chunk)
            self.chunks.popleft()
            self.offset = 0
            count -= left


class Http2Stream:
    """One request and its answer.

    A handler reads `id`, `headers`, `path`, `ended` (the peer has said all) and `is_open`, and has
    `context` for itself. It sets `auto` to False where it wants to give the window back itself, by
    `consumed`. The other attributes are the engine's.
    """

    __slots__ = (
        "auto",
        "body_left",
        "context",
        "ended",
        "header_bytes",
        "headers",
        "held",
        "id",
        "inflow",
        "is_answered",
        "is_open",
        "outbox",
        "path",
        "send_window",
    )

    def __init__(
        self, stream_id: int, request: RequestFields, ended: bool, send_window: int
    ) -> None:
        self.id = stream_id
        self.headers: tuple[Field, ...]
        self.headers, self.path, self.body_left, self.header_bytes, _ = request
        self.ended = ended
        self.context: Any = None
        self.auto = True
        self.is_open = True
        self.is_answered = False
        self.send_window = send_window
        self.inflow: ReceiveWindow | None = None  # none before the first DATA that ends nothing
        self.held = 0
        self.outbox: SendQueue | None = None


IDLE: Final = "idle"
RESET_HERE: Final = "reset by this side"
PASSED_OVER: Final = "passed over"
CLOSED: Final = "closed"
"""What a stream may be that is not open."""


class Streams:
    """The open streams by id, how many bytes their requests hold, and what became of the others."""

    def __init__(self) -> None:
        self.open: dict[int, Http2Stream] = {}
        self.last_id = 0
        self.unanswered = 0
        self.held = 0
        self.header_bytes = 0
        self._reset_here: dict[int, None] = {}
        self._forgotten_id = 0
        self._gaps: list[range] = []

    def begin(self, stream_id: int) -> None:
        """A new stream: all smaller ids that were not used are closed with it (RFC 9113, 5.1.1)."""
        if stream_id != self.last_id + 2 and stream_id > 1:
            self._gaps.append(range(self.last_id + 1, stream_id))
            del self._gaps[:-GAPS_REMEMBERED_MAX]
        self.last_id = stream_id

    def add(self, stream: Http2Stream) -> None:
        """A stream that begins is served."""
        self.open[stream.id] = stream
        self.unanswered += 1
        self.header_bytes += stream.header_bytes

    def answered(self, stream: Http2Stream) -> None:
        """The stream's response headers are on their way."""
        stream.is_answered = True
        self.unanswered -= 1

    def hold(self, stream: Http2Stream, count: int) -> None:
        """The handler has been given these bytes (or, below zero, has done with them)."""
        stream.held += count
        self.held += count

    def remove(self, stream: Http2Stream) -> None:
        """The stream is closed."""
        del self.open[stream.id]
        stream.is_open = False
        self.header_bytes -= stream.header_bytes
        if not stream.is_answered:
            self.unanswered -= 1
        if stream.held:
            self.hold(stream, -stream.held)

    def remember_reset(self, stream_id: int) -> None:
        """This side has reset the stream. The peer may not know yet: late frames are no error."""
        self._reset_here[stream_id] = None
        if len(self._reset_here) > RESETS_REMEMBERED_MAX:
            oldest = next(iter(self._reset_here))
            del self._reset_here[oldest]
            self._forgotten_id = max(self._forgotten_id, oldest)

    def place(self, stream_id: int) -> str:
        """What a stream is that is not open."""
        if stream_id > self.last_id or not stream_id & 1:  # this side opens none (5.1.1)
            return IDLE
        if stream_id in self._reset_here or stream_id <= self._forgotten_id:
            return RESET_HERE
        return PASSED_OVER if any(stream_id in gap for gap in self._gaps) else CLOSED
