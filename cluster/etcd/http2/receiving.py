"""What a peer sends, frame by frame: the rules of RFC 9113, 5 and 6, and the calls of the handler.

A stream error is answered here, with RST_STREAM; a connection error is raised as Http2Error.
Refuses to know how answers are queued, and what time it is.
"""

from __future__ import annotations

from cluster.etcd.http2 import frames
from cluster.etcd.http2.codes import (
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    STREAM_CLOSED,
    Http2Error,
)
from cluster.etcd.http2.control import ControlFrames
from cluster.etcd.http2.ending import Endings
from cluster.etcd.http2.fields import RequestFields
from cluster.etcd.http2.frames import FRAME_HEADER, FRAME_HEADER_BYTES, PREFACE
from cluster.etcd.http2.handler import Handler
from cluster.etcd.http2.headers import BlockReader
from cluster.etcd.http2.limits import (
    BLOCK_BYTES_A_NUISANCE,
    BLOCK_FREE_BYTES,
    FRAME_BYTES_MAX,
    OVERSIZED_NUISANCES,
    Limits,
)
from cluster.etcd.http2.memory import ConnectionShare
from cluster.etcd.http2.sending import Sender
from cluster.etcd.http2.streams import Http2Stream, Streams
from cluster.etcd.http2.windows import ReceiveWindow


class Receiver:
    """The incoming half of one connection."""

    def __init__(
        self,
        handler: Handler,
        limits: Limits,
        streams: Streams,
        sender: Sender,
        endings: Endings,
        load: ConnectionShare,
    ) -> None:
        self._handler = handler
        self._limits = limits
        self._endings = endings
        self._load = load
        self._floods = endings.floods
        self.control = ControlFrames(handler, streams, sender, endings)
        self._streams = streams
        self._sender = sender
        self._blocks = BlockReader(limits.header_list_bytes)
        self._window = ReceiveWindow(limits.connection_window_bytes)
        self._unfinished = frames.Unfinished()
        self._block = bytearray()  # a header block whose CONTINUATION frames are still to come
        self._block_stream = 0
        self._block_ends_stream = False
        self._continuations = 0
        # Only the connection's first frame and what belongs to a header block have a fixed place.
        self._is_ordered = True
        self._preface_left = PREFACE
        self.is_stopped = False  # no more frames are looked at
        self.final_id: int | None = None  # of the last stream that is served after GOAWAY

    def feed(self, data: bytes) -> None:
        """Do what these bytes say. Raises Http2Error."""
        if self._preface_left:
            data = self._preface(data)
        data = self._unfinished.join(data)
        position, end = 0, len(data)
        while (start := position + FRAME_HEADER_BYTES) <= end and not self.is_stopped:
            high, low, kind, flags, stream_id = FRAME_HEADER.unpack_from(data, position)
            length = high << 8 | low
            if length > FRAME_BYTES_MAX:
                raise Http2Error(FRAME_SIZE_ERROR, "a frame that is too long")
            stop = start + length
            if stop > end:
                break
            position = stop
            stream_id &= frames.STREAM_ID_MAX
            if self._is_ordered:
                self._check_order(kind, flags, stream_id)
            if kind == frames.DATA:
                self._data(flags, stream_id, data, start, stop)
            elif kind == frames.HEADERS:
                self._headers(flags, stream_id, data, start, stop)
            elif kind == frames.CONTINUATION:
                self._continuation(flags, data[start:stop])
            else:
                self.control.receive(kind, flags, stream_id, data[start:stop])
        self._unfinished.keep(data, position)

    def _preface(self, data: bytes) -> bytes:
        """What is behind the preface (RFC 9113, 3.4)."""
        expected = self._preface_left[: len(data)]
        if not data.startswith(expected):
            raise Http2Error(PROTOCOL_ERROR, "a preface that is not HTTP/2's")
        self._preface_left = self._preface_left[len(expected) :]
        return data[len(expected) :]

    def _check_order(self, kind: int, flags: int, stream_id: int) -> None:
        """The first frame is SETTINGS (3.4); nothing stands inside a header block (4.3)."""
        if self._block_stream:
            if kind != frames.CONTINUATION or stream_id != self._block_stream:
                raise Http2Error(PROTOCOL_ERROR, "a frame inside a header block")
        elif kind != frames.SETTINGS or flags & frames.ACK:
            raise Http2Error(PROTOCOL_ERROR, "a first frame that is not SETTINGS")
        else:
            self._is_ordered = False

    # --- HEADERS and CONTINUATION ---------------------------------------------------------------

    def _headers(self, flags: int, stream_id: int, data: bytes, start: int, stop: int) -> None:
        if not stream_id & 1:
            raise Http2Error(PROTOCOL_ERROR, "a request on a stream that is not a client's")
        if flags & (frames.PADDED | frames.WITH_PRIORITY):
            start, stop = _without_padding(flags, data, start, stop)
            if flags & frames.WITH_PRIORITY:  # deprecated, and without meaning here (5.3.2)
                start += 5
                if start > stop:
                    raise Http2Error(FRAME_SIZE_ERROR, "a priority that is too short")
        block = data[start:stop]
        ends = bool(flags & frames.END_STREAM)
        if flags & frames.END_HEADERS:
            self._header_block(stream_id, block, ends)
        else:
            self._block += block
            self._block_stream = stream_id
            self._block_ends_stream = ends
            self._is_ordered = True

    def _continuation(self, flags: int, block: bytes) -> None:
        if not self._block_stream:
            raise Http2Error(PROTOCOL_ERROR, "a continuation of no header block")
        self._block += block
        self._continuations += 1
        # The block cannot be skipped: its table is needed for all that follow.
        if len(self._block) > self._limits.header_block_bytes:
            raise Http2Error(ENHANCE_YOUR_CALM, "a header block that is too long")
        if self._continuations > self._limits.continuations:
            raise Http2Error(ENHANCE_YOUR_CALM, "a header block in too many frames")
        if flags & frames.END_HEADERS:
            whole, stream_id = bytes(self._block), self._block_stream
            self._block.clear()
            self._block_stream = self._continuations = 0
            self._is_ordered = False
            self._header_block(stream_id, whole, self._block_ends_stream)

    def _header_block(self, stream_id: int, block: bytes, ends: bool) -> None:
        streams = self._streams
        if len(block) > BLOCK_FREE_BYTES:
            self._floods.nuisance((len(block) - BLOCK_FREE_BYTES) // BLOCK_BYTES_A_NUISANCE)
        if stream_id <= streams.last_id:
            self._trailers(stream_id, block, ends)
            return
        streams.begin(stream_id)
        request = self._blocks.request(block)
        if not self._may_begin(stream_id, request, ends):
            return
        stream = Http2Stream(stream_id, request, ends, self._sender.initial_window)
        streams.add(stream)
        self._handler.on_request(stream)
        if ends and stream.is_open:
            self._handler.on_end(stream)

    def _may_begin(self, stream_id: int, request: RequestFields, ends: bool) -> bool:
        """Whether a request is served; if not, it has been refused."""
        streams, limits = self._streams, self._limits
        if self.final_id is not None and stream_id > self.final_id:
            streams.remember_reset(stream_id)  # the peer has been told by GOAWAY (6.8)
            self._floods.nuisance()
        elif request.fault:
            if request.size > limits.header_list_bytes:
                self._floods.nuisance(OVERSIZED_NUISANCES)
                self._endings.fault(stream_id, ENHANCE_YOUR_CALM)
            else:
                self._endings.fault(stream_id, PROTOCOL_ERROR)
        elif ends and request.content_length > 0:
            self._endings.fault(stream_id, PROTOCOL_ERROR)
        elif not self._load.may_begin():
            self._endings.refuse(stream_id, REFUSED_STREAM)
        else:
            return True
        return False

    def _trailers(self, stream_id: int, block: bytes, ends: bool) -> None:
        fault = self._blocks.trailers(block)
        stream = self._streams.open.get(stream_id)
        if stream is None:
            self._endings.late(stream_id)
        elif stream.ended:
            self._endings.fault(stream_id, STREAM_CLOSED)
        elif fault or not ends or stream.body_left > 0:
            self._endings.fault(stream_id, PROTOCOL_ERROR)  # 8.1
        else:
            stream.ended = True
            self._handler.on_end(stream)

    # --- DATA -----------------------------------------------------------------------------------

    def _data(self, flags: int, stream_id: int, data: bytes, start: int, stop: int) -> None:
        size = stop - start
        window = self._window
        window.used += size  # with its padding, and whatever becomes of it (6.9)
        if window.used > window.size:
            raise Http2Error(FLOW_CONTROL_ERROR, "more data than the connection's window")
        if window.used * 2 > window.size:
            self._sender.control(frames.window_update(0, window.give_back()))
        if flags & frames.PADDED:
            start, stop = _without_padding(flags, data, start, stop)
        stream = self._streams.open.get(stream_id)
        if stream is None:
            if not stream_id:
                raise Http2Error(PROTOCOL_ERROR, "data on no stream")
            self._endings.late(stream_id)
            return
        if stream.ended:
            self._endings.fault(stream_id, STREAM_CLOSED)
            return
        count = stop - start
        if stream.body_left >= 0 and not self._fits_length(stream, count, flags):
            self._endings.fault(stream_id, PROTOCOL_ERROR)
        elif flags & frames.END_STREAM:
            inflow = stream.inflow
            if size + (inflow.used if inflow else 0) > self._limits.stream_window_bytes:
                self._endings.fault(stream_id, FLOW_CONTROL_ERROR)
                return
            stream.ended = True
            if stream.held:
                self._streams.hold(stream, -stream.held)
            if count:
                self._handler.on_data(stream, data[start:stop])
            else:
                self._handler.on_end(stream)
        else:
            self._part(stream, size, data[start:stop])

    def _fits_length(self, stream: Http2Stream, count: int, flags: int) -> bool:
        """Whether data agrees with the content-length that was announced (8.1.1)."""
        stream.body_left -= count
        return stream.body_left >= 0 and not (flags & frames.END_STREAM and stream.body_left)

    def _part(self, stream: Http2Stream, size: int, data: bytes) -> None:
        """Data behind which more is to come."""
        streams, limits = self._streams, self._limits
        inflow = stream.inflow
        if inflow is None:
            inflow = stream.inflow = ReceiveWindow(limits.stream_window_bytes)
        inflow.used += size
        if inflow.used > inflow.size:
            self._endings.fault(stream.id, FLOW_CONTROL_ERROR)
            return
        if not data:
            self._floods.nuisance()
        streams.hold(stream, len(data))
        if not self._load.may_hold(stream):
            self._endings.fault(stream.id, ENHANCE_YOUR_CALM)
            return
        if not stream.auto:
            inflow.held += len(data)
        increment = inflow.give_back()
        if increment:
            self._sender.control(frames.window_update(stream.id, increment))
        if data:
            self._handler.on_data(stream, data)


def _without_padding(flags: int, data: bytes, start: int, stop: int) -> tuple[int, int]:
    """Where a payload's content stands (6.1); the padding's length is the first byte."""
    if not flags & frames.PADDED:
        return start, stop
    if start == stop:
        raise Http2Error(FRAME_SIZE_ERROR, "a frame without its padding's length")
    stop -= data[start]
    if start + 1 > stop:
        raise Http2Error(PROTOCOL_ERROR, "padding that is longer than its frame")
    return start + 1, stop
