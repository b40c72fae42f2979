"""What is sent and in which order: control frames and small answers first, large ones in turns.

Owns the windows of what this side sends, and the queues behind them. A stream whose window is empty
is in no lane, and comes back with the peer's WINDOW_UPDATE. Refuses to know why something is sent.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from cluster.etcd.http2 import frames
from cluster.etcd.http2.codes import ENHANCE_YOUR_CALM, Http2Error
from cluster.etcd.http2.floods import Floods
from cluster.etcd.http2.frames import frame_header
from cluster.etcd.http2.headers import NO_TABLE
from cluster.etcd.http2.limits import (
    FRAME_BYTES_MAX,
    HEADER_TABLE_BYTES_MAX,
    SMALL_BYTES_MAX,
    Limits,
)
from cluster.etcd.http2.streams import Http2Stream, SendQueue
from cluster.etcd.http2.windows import INITIAL_WINDOW_BYTES

USEFUL_BYTES: Final = 1_024
"""A frame with less data takes no nuisance back: a window that opens byte by byte is one itself."""

_HEADERS: Final = frames.HEADERS << 40 | frames.END_HEADERS << 32
_TRAILERS: Final = frames.HEADERS << 40 | (frames.END_HEADERS | frames.END_STREAM) << 32
"""Kind and flags where a frame's header has them."""


class Sender:
    """The outgoing half of one connection."""

    def __init__(self, limits: Limits, floods: Floods) -> None:
        self._limits = limits
        self._floods = floods
        self._frames: list[bytes | memoryview] = []
        self._frames_bytes = 0
        self._control_bytes = 0
        self._pong_bytes = 0
        self.waiting_bytes = 0  # all that the peer has not taken: frames, and what is queued
        self._small: OrderedDict[int, Http2Stream] = OrderedDict()
        self._large: OrderedDict[int, Http2Stream] = OrderedDict()
        self._block_prefix = b""
        self.window = INITIAL_WINDOW_BYTES
        self.initial_window = INITIAL_WINDOW_BYTES
        self.finished: list[Http2Stream] = []  # their last frame has been made
        self.drained: list[Http2Stream] = []

    # --- frames that are sent whatever the windows are ----------------------------------------

    def put(self, frame: bytes) -> None:
        """Send a frame that our own side has called for."""
        size = len(frame)
        self._frames.append(frame)
        self._frames_bytes += size
        self.waiting_bytes += size

    def control(self, frame: bytes) -> None:
        """Send a frame that the peer has called for. Raises Http2Error if it reads none."""
        self.put(frame)
        self._control_bytes += len(frame)
        if self._control_bytes > self._limits.control_bytes:
            raise Http2Error(ENHANCE_YOUR_CALM, "too many frames that are not read")

    def pong(self, payload: bytes) -> None:
        """Answer a PING. Raises Http2Error as `control`."""
        frame = frames.ping(payload, ack=True)
        self._pong_bytes += len(frame)
        self.control(frame)

    @property
    def has_only_pongs(self) -> bool:
        """Whether answers to PINGs wait to be sent, and nothing else."""
        return 0 < self._pong_bytes == self.waiting_bytes

    def headers(self, stream: Http2Stream, block: bytes, *, end: bool) -> None:
        """Send a header block."""
        self.put(frames.header_frames(stream.id, self._block_prefix + block, end))
        self._block_prefix = b""

    def limit_table(self, size: int) -> None:
        """The peer's header table has this limit now.

        Our blocks use no dynamic table, but a limit below the one that holds at first must be
        confirmed at the beginning of the next block (RFC 7541, 4.2). A table that has been set to
        nothing is below any later limit.
        """
        if size < HEADER_TABLE_BYTES_MAX:
            self._block_prefix = NO_TABLE

    def whole(self, stream: Http2Stream, headers: bytes, data: bytes, trailers: bytes) -> bool:
        """Send a small answer at once, if the windows allow it; says whether it was sent."""
        size = len(data)
        if (
            not 0 < size <= SMALL_BYTES_MAX
            or size > self.window
            or size > stream.send_window
            or self._block_prefix
            or len(headers) > FRAME_BYTES_MAX
            or len(trailers) > FRAME_BYTES_MAX
        ):
            return False
        self.window -= size
        number = stream.id
        self._frames += (
            (len(headers) << 48 | _HEADERS | number).to_bytes(9, "big"),
            headers,
            (size << 48 | number).to_bytes(9, "big"),
            data,
            (len(trailers) << 48 | _TRAILERS | number).to_bytes(9, "big"),
            trailers,
        )
        made = size + len(headers) + len(trailers) + 3 * frames.FRAME_HEADER_BYTES
        self._frames_bytes += made
        self.waiting_bytes += made
        return True

    # --- data that waits for its turn and its window ------------------------------------------

    def enqueue(
        self, stream: Http2Stream, data: bytes, *, end: bool, trailers: bytes | None
    ) -> None:
        """Put data behind what is queued for a stream, and behind that its end."""
        outbox = stream.outbox
        if outbox is None:
            outbox = stream.outbox = SendQueue()
        outbox.ends = end
        outbox.trailers = trailers
        if data:
            outbox.chunks.append(data)
            outbox.size += len(data)
            self.waiting_bytes += len(data)
            if outbox.size > self._limits.queued_high_bytes:
                outbox.is_high = True
        if outbox.size:
            self._schedule(stream, outbox)
        elif end:
            self._end(stream, outbox)

    def _end(self, stream: Http2Stream, outbox: SendQueue) -> None:
        """End a stream for which no data waits; no window is needed for that."""
        if outbox.trailers is not None:
            self.headers(stream, outbox.trailers, end=True)
        else:
            self.put(frames.frame(frames.DATA, frames.END_STREAM, stream.id, b""))
        self.finished.append(stream)

    def _schedule(self, stream: Http2Stream, outbox: SendQueue) -> None:
        """Give a stream with data its place in a lane; one that stands in it keeps its place."""
        if stream.send_window <= 0:
            return
        if outbox.size > SMALL_BYTES_MAX:
            self._small.pop(stream.id, None)
            self._large.setdefault(stream.id, stream)
        elif stream.id not in self._large:
            self._small.setdefault(stream.id, stream)

    def forget(self, stream: Http2Stream) -> None:
        """The stream is closed: what waits for it is dropped."""
        outbox = stream.outbox
        if outbox is not None:
            self.waiting_bytes -= outbox.size
            self._small.pop(stream.id, None)
            self._large.pop(stream.id, None)
            stream.outbox = None

    def widen(self, stream: Http2Stream, increment: int) -> None:
        """The stream's window grows, or shrinks by a setting (even below zero: RFC 9113, 6.9.2)."""
        stream.send_window += increment
        outbox = stream.outbox
        if outbox is not None and outbox.size:
            if stream.send_window > 0:
                self._schedule(stream, outbox)
            else:
                self._small.pop(stream.id, None)
                self._large.pop(stream.id, None)

    def take(self) -> bytes:
        """The bytes to write now; streams that ended or drained with them are in the two lists."""
        if self._small or self._large:
            self._fill()
        if not self._frames:
            return b""
        taken = b"".join(self._frames)
        self.drop()
        return taken

    def drop(self) -> None:
        """Forget the frames that have been made: they were taken, or nobody will."""
        self._frames.clear()
        self.waiting_bytes -= self._frames_bytes
        self._frames_bytes = self._control_bytes = self._pong_bytes = 0

    def _fill(self) -> None:
        """Give small streams what the turn allows, and large ones the rest of it, in turns.

        One large stream gets a frame even if the small ones have taken the turn.
        """
        left = self._limits.turn_bytes
        while self._small and left > 0 and self.window > 0:
            left -= self._send_some(self._small)
        left = max(left, 1)
        while self._large and left > 0 and self.window > 0:
            left -= self._send_some(self._large)

    def _send_some(self, lane: OrderedDict[int, Http2Stream]) -> int:
        """One DATA frame of the stream that has waited longest; says how many bytes it has."""
        _, stream = lane.popitem(last=False)
        outbox = stream.outbox
        assert outbox is not None, "only a stream with data stands in a lane"
        count = min(FRAME_BYTES_MAX, outbox.size, self.window, stream.send_window)
        is_last = count == outbox.size and outbox.ends
        with_end = is_last and outbox.trailers is None
        flags = frames.END_STREAM if with_end else 0
        self._frames.append(frame_header(count, frames.DATA, flags, stream.id))
        outbox.cut(count, self._frames)
        self.window -= count
        stream.send_window -= count
        self.waiting_bytes += frames.FRAME_HEADER_BYTES
        self._frames_bytes += frames.FRAME_HEADER_BYTES + count
        if count >= USEFUL_BYTES:
            self._floods.sent()
        if with_end:
            self.finished.append(stream)
        elif is_last:
            self._end(stream, outbox)
        elif outbox.size:
            self._schedule(stream, outbox)
        if outbox.is_high and outbox.size <= self._limits.queued_low_bytes:
            outbox.is_high = False
            if not is_last:
                self.drained.append(stream)
        return count
